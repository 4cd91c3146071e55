// SPDX-License-Identifier: MPL-2.0
#include "wire/handed.h"

#include "base/hash.h"
#include "base/mem.h"
#include "store/node.h"

#include <stdlib.h>
#include <string.h>

enum {
    PAST_MOST = 16 * 1024, // messages that nobody has any more
    BUCKETS = 16 * 1024,
};

// So long a stream knows an id: what comes later under the same one is another message, if it is not one of ours.
#define DUPLICATES_NS (INT64_C(120) * 1000000000)

struct handed_set {
    handed_t *buckets[BUCKETS];
    handed_list_t held, past; // PAST: the oldest first
};

// --- lists -----------------------------------------------------------------------------

static void
append(handed_list_t *list, handed_t *handed)
{
    handed->next = NULL;
    handed->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = handed;
    list->last = handed;
    list->count++;
}

static void
take_out(handed_list_t *list, handed_t *handed)
{
    *(handed->previous ? &handed->previous->next : &list->first) = handed->next;
    *(handed->next ? &handed->next->previous : &list->last) = handed->previous;
    list->count--;
}

// --- names -----------------------------------------------------------------------------

// The id that its sender gave it; else, what no other message of the stream has.
static uint64_t
name_of(const jetstream_arrival_t *in)
{
    uint64_t place[] = { in->piece.sequence, (uint64_t)in->stored_ns };
    return in->id ? hash_bytes(in->id, strlen(in->id)) : hash_bytes(place, sizeof place);
}

static bool
is_same(const handed_t *handed, uint64_t name, const jetstream_arrival_t *in)
{
    int64_t apart_ns = in->stored_ns - handed->stored_ns;
    bool is_near = apart_ns < DUPLICATES_NS && apart_ns > -DUPLICATES_NS;
    return handed->name == name && (is_near || (in->id && node_gave_id(in->id)));
}

static void
forget(handed_set_t *self, handed_t *handed)
{
    handed_t **at = &self->buckets[handed->name % BUCKETS];
    while (*at != handed)
        at = &(*at)->same;
    *at = handed->same;
    free(handed);
}

static void
forget_oldest(handed_set_t *self)
{
    handed_t *oldest = self->past.first;
    take_out(&self->past, oldest);
    forget(self, oldest);
}

// --- the set -----------------------------------------------------------------------------

handed_set_t *
handed_new(void)
{
    return xcalloc(1, sizeof(handed_set_t));
}

void
handed_free(handed_set_t **self_p)
{
    handed_set_t *self = *self_p;
    while (self && self->past.first)
        forget_oldest(self);
    free(self);
    *self_p = NULL;
}

handed_t *
handed_meet(handed_set_t *self, const jetstream_arrival_t *in)
{
    uint64_t name = name_of(in);
    handed_t **bucket = &self->buckets[name % BUCKETS];
    for (handed_t *handed = *bucket; handed; handed = handed->same)
        if (is_same(handed, name, in))
            return handed;
    if (self->past.count >= PAST_MOST)
        forget_oldest(self);
    handed_t *handed = xcalloc(1, sizeof *handed);
    handed->name = name;
    handed->stored_ns = in->stored_ns;
    handed->sequence = in->piece.sequence;
    handed->same = *bucket;
    *bucket = handed;
    append(&self->past, handed);
    return handed;
}

void
handed_hold(handed_set_t *self, handed_t *handed)
{
    take_out(&self->past, handed);
    append(&self->held, handed);
}

void
handed_release(handed_set_t *self, handed_t *handed)
{
    take_out(&self->held, handed);
    append(&self->past, handed);
}

handed_t *
handed_held(const handed_set_t *self)
{
    return self->held.first;
}
