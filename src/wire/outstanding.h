// SPDX-License-Identifier: MPL-2.0
// outstanding.h - the requests that a queue has passed on and that are not answered:
// which service has each, since when, and for whom.
//
// A request of a client whose routing id is ours goes out under a number of its own,
// in the form of such an id, and a new one each time it is given to a service: an
// answer says which request it is for, and which try. A client that chose its id is
// known by it, and its requests at one service are answered in the order in which that
// got them. So where one of those was given up, a mark stays for the answer that may
// still come.

#ifndef ZB_OUTSTANDING_H
#define ZB_OUTSTANDING_H

#include "wire/chunk.h"
#include "wire/spans.h"

#include <stdbool.h>

enum {
    OUTSTANDING_NAME = 13,   // bytes of an id of ours: 0, and twelve more
    OUTSTANDING_LATE = 1000, // marks at one service; the oldest goes first
    OUTSTANDING_FAILED = 4,  // services that are remembered to have failed with a request
};

typedef struct asked asked_t;

typedef struct {
    asked_t *first, *last;
    uint32_t count;
} asked_list_t;

// What one service has. All zeros: nothing.
typedef struct {
    asked_list_t unanswered, late; // in the order in which it got them
    uint64_t given;                // messages, ever
} inhand_t;

struct asked {
    asked_t *next, *previous; // in one of those lists, or in its owner's while no service has it
    asked_t *newer, *older;   // of all that services have, by when they got them
    asked_t *after, *before;  // named by their clients: in a bucket, in the order in which they were given
    inhand_t *at;             // NULL: no service has it
    uint64_t nth;             // message of that service
    int64_t since_ns;
    uint64_t number;
    uint32_t slot;
    uint32_t tries; // after the first
    uint64_t failed[OUTSTANDING_FAILED];
    bool named;     // by its client
    bool late;      // only a mark
    chunk_t *chunk; // its message without the id; NULL: not kept
    size_t body_at, size;
    load_t load;
    uint64_t hash;
    uint8_t client_size, client[]; // its routing id
};

typedef struct {
    asked_t *first, *last;
} asked_bucket_t;

// All zeros but for the pool, against which the memory is counted, is an empty one.
typedef struct {
    chunk_pool_t *pool;
    asked_t **slots;
    uint32_t count, room;
    uint32_t *unused; // slots without a request
    uint32_t unused_count, unused_room;
    asked_bucket_t *buckets;
    uint32_t bucket_count, named;
    asked_t *oldest, *newest;
    asked_t *kept; // of answered requests: memory for the next ones, of those that go out under a number
    uint32_t kept_count;
} outstanding_t;

// One more, which no service has yet.
asked_t *outstanding_add(outstanding_t *self, const uint8_t *client, size_t size);

// Two for whoever makes a table again: with the slot that it had, NULL where another one has that; and a mark.
asked_t *outstanding_add_at(outstanding_t *self, const uint8_t *client, size_t size, uint32_t slot);
void outstanding_mark(outstanding_t *self, const uint8_t *client, size_t size, inhand_t *at, uint64_t nth);

// A service gets it, under NUMBER, which is never used again.
void outstanding_give(outstanding_t *self, asked_t *asked, inhand_t *to, uint64_t number, int64_t now_ns);

size_t outstanding_name(const asked_t *asked, uint8_t *at); // the id under which it goes out: its size, at most 255

// What an answer of a service under that id is for: also a mark. NULL: nothing that it has.
asked_t *outstanding_find(const outstanding_t *self, const inhand_t *at, const uint8_t *id, size_t size);

// Its service has it no more: answered, or lost.
void outstanding_take(outstanding_t *self, asked_t *asked);

// The same, but an answer may still come.
void outstanding_give_up(outstanding_t *self, asked_t *asked);

// AT has answered what it got as the NTH, and answers in order: what it got before will not be answered.
void outstanding_passed(outstanding_t *self, inhand_t *at, uint64_t nth);

void outstanding_forget(outstanding_t *self, asked_t *asked); // free it; no service has it, or it is a mark
void outstanding_forget_late(outstanding_t *self, inhand_t *at);
void outstanding_free(outstanding_t *self); // the table; it is empty

void asked_append(asked_list_t *self, asked_t *asked);
void asked_remove(asked_list_t *self, asked_t *asked);

// The service of that id failed with it; has it?
void asked_fails_at(asked_t *self, uint64_t service);
bool asked_failed_at(const asked_t *self, uint64_t service);

#endif
