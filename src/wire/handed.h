// SPDX-License-Identifier: MPL-2.0
// handed.h - messages of a stream that workers here have, or had a while ago: so that
// none comes twice because a server has forgotten something when it was killed.
//
// A server may forget that a message was acknowledged, and gives it out again. It may
// forget that it has had a message that is no longer there, and takes it in again when
// a node publishes it again: then it comes under another sequence, with the same id.

#ifndef ZB_WIRE_HANDED_H
#define ZB_WIRE_HANDED_H

#include "store/jetstream.h"

typedef struct handed {
    struct handed *same;            // in its bucket
    struct handed *next, *previous; // in one of the lists
    uint64_t name;
    int64_t stored_ns;
    uint64_t sequence; // in the stream
    uint32_t tries;    // how often workers here got it
    bool done;
    jetstream_message_t *message; // NULL: nobody has it
} handed_t;

// What acknowledged workers know a message by: nobody but the route's thread has the pointer.
static inline uint64_t
handed_number(const handed_t *handed)
{
    return (uint64_t)(uintptr_t)handed;
}

static inline handed_t *
handed_of_number(uint64_t number)
{
    return (handed_t *)(uintptr_t)number;
}

typedef struct {
    handed_t *first, *last;
    size_t count;
} handed_list_t;

typedef struct handed_set handed_set_t;

handed_set_t *handed_new(void);
void handed_free(handed_set_t **self_p); // nobody has any

// What is known of the message that has come; of a new one nothing.
handed_t *handed_meet(handed_set_t *self, const jetstream_arrival_t *in);

// One that workers of another route had, which went on here: it is known by its place in the stream alone.
handed_t *handed_again(handed_set_t *self, const jetstream_arrival_t *in);

void handed_hold(handed_set_t *self, handed_t *handed);    // somebody has it
void handed_release(handed_set_t *self, handed_t *handed); // nobody has it any more

handed_t *handed_held(const handed_set_t *self); // the first that somebody has, and so on by NEXT
handed_t *handed_past(const handed_set_t *self); // that nobody has any more

#endif
