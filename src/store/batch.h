// SPDX-License-Identifier: MPL-2.0
// batch.h - what one commit writes: messages and what was said of others, in memory
// and on the disk.
//
// On the disk it is one value: a head, twice, for each message an entry, what was said, and
// then the messages, one behind the other. The head has a CRC, what stands between it
// and the messages has one, and so has every message together with its entry: of a
// damaged one the others stay.
// A file draws a salt that is in each of its heads, so that nobody who sends messages
// can make up a batch. Numbers are in the order of bytes of the machine.

#ifndef ZB_STORE_BATCH_H
#define ZB_STORE_BATCH_H

#include "store/early.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MESSAGE_BYTES_MAX = 1 << 30 };

typedef struct {
    uint64_t salt;
    uint64_t number;      // of the batch: later ones have higher numbers
    uint64_t first;       // sequence of its first message, or of the next one that comes
    uint64_t done_before; // all below are done
    int64_t wall_ns;
    uint64_t data;     // bytes of the messages
    uint32_t messages; // entries
    uint32_t said;     // records
} batch_head_t;

// Where a message is, so that each is found whatever becomes of the others.
typedef struct {
    uint32_t at, size, crc;
    uint32_t heads : 30; // bytes of it that are no payload
    uint32_t flags : 2;
} entry_t;

enum { ENTRY_DONE = 1, ENTRY_BAD = 2 }; // bad: only in memory

typedef enum { SAID_DONE = 1, SAID_UNDONE, SAID_TRIED, SAID_ID, SAID_KEY, SAID_EARLY } said_kind_t;

// How ids are hashed, as the key says that stands in each file: ids of another form mean nothing.
enum { IDS_FORM = 1 }; // 0: of a build that did not say so

typedef struct {
    uint32_t kind;
    uint32_t number; // of messages; of tries; the id's age in ms; the ids' form
    union {
        uint64_t sequence;
        uint8_t bytes[16];
        struct {
            uint64_t first, group;
        } early;
    } about;
} said_t;

// --- on the disk -------------------------------------------------------------------

enum { BATCH_HEAD = 160 }; // there are two of them, so that one may be damaged

static inline size_t
batch_control(const batch_head_t *head) // bytes between the head and the messages
{
    return (size_t)head->messages * sizeof(entry_t) + (size_t)head->said * sizeof(said_t);
}

static inline uint64_t
batch_bytes(const batch_head_t *head)
{
    return BATCH_HEAD + batch_control(head) + head->data;
}

// ENTRIES and SAID follow on it: its check sums are of them, too.
void batch_write_head(uint8_t *at, const batch_head_t *head, const void *entries, const void *said);

// False: AT is no head of a batch with SALT in a file of FILE_BYTES.
bool batch_read_head(const uint8_t *at, uint64_t salt, uint64_t file_bytes, batch_head_t *head);
bool batch_check_control(const uint8_t *at, const uint8_t *control, const batch_head_t *head);
bool batch_check_said(const uint8_t *at, const void *said, const batch_head_t *head);

// --- in memory ---------------------------------------------------------------------

typedef struct batch batch_t;

struct batch {
    batch_t *next;
    batch_head_t head; // messages, said, data and first are kept up
    void *block;       // of the owner; the messages are at DATA
    uint8_t *data;
    size_t room;
    entry_t *entries;
    uint32_t alive; // messages that were not put as done
    said_t *saying;
    size_t entry_room, saying_room;
    uint64_t said_number; // of the last thing said of other messages
    uint32_t own_said;    // records that belong to its messages: they come first
    int64_t since_ms;     // when the first message or word came
    bool sealed;
    bool stays; // in its owner's memory until its messages have gone, most likely

    // Where it is on the disk.
    uint32_t file;
    uint64_t offset;
    bool fresh; // committed by this process, and still in memory since
    const early_run_t *early; // it was read for these of its messages
};

batch_t *batch_new(void);
void batch_free(batch_t *self); // its block is the owner's
entry_t *batch_add_entries(batch_t *self, uint32_t count);
void batch_say(batch_t *self, said_kind_t kind, uint32_t number, const void *about, size_t size);
void batch_say_sequence(batch_t *self, said_kind_t kind, uint32_t number, uint64_t sequence);
void batch_say_early(batch_t *self, uint64_t sequence, uint64_t group);

static inline bool
batch_is_empty(const batch_t *self)
{
    return self->head.messages == 0 && self->head.said == 0;
}

void batch_seal(batch_t *self);   // its entries get their check sums
void batch_verify(batch_t *self); // messages that are damaged are marked

#endif
