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

// What no other message of the stream has.
static uint64_t
name_of_place(uint64_t sequence, int64_t stored_ns)
{
    uint64_t place[] = { sequence, (uint64_t)stored_ns };
    return hash_bytes(place, sizeof place);
}

// The id that its sender gave it; else, its place.
static uint64_t
name_of(const jetstream_arrival_t *in)
{
    return in->id ? hash_bytes(in->id, strlen(in->id)) : name_of_place(in->piece.sequence, in->stored_ns);
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

static handed_t *
find(const handed_set_t *self, uint64_t name, const jetstream_arrival_t *in)
{
    handed_t *handed = self->buckets[name % BUCKETS];
    while (handed && !is_same(handed, name, in))
        handed = handed->same;
    return handed;
}

static handed_t *
add(handed_set_t *self, uint64_t name, uint64_t sequence, int64_t stored_ns)
{
    handed_t **bucket = &self->buckets[name % BUCKETS];
    if (self->past.count >= PAST_MOST)
        forget_oldest(self);
    handed_t *handed = xcalloc(1, sizeof *handed);
    handed->name = name;
    handed->stored_ns = stored_ns;
    handed->sequence = sequence;
    handed->same = *bucket;
    *bucket = handed;
    append(&self->past, handed);
    return handed;
}

handed_t *
handed_meet(handed_set_t *self, const jetstream_arrival_t *in)
{
    uint64_t name = name_of(in), place = name_of_place(in->piece.sequence, in->stored_ns);
    handed_t *known = find(self, name, in);
    if (!known)
        known = find(self, place, in);
    return known ? known : add(self, name, in->piece.sequence, in->stored_ns);
}

handed_t *
handed_again(handed_set_t *self, const jetstream_arrival_t *in)
{
    return add(self, name_of_place(in->piece.sequence, in->stored_ns), in->piece.sequence, in->stored_ns);
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

handed_t *
handed_past(const handed_set_t *self)
{
    return self->past.first;
}
