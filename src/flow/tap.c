// SPDX-License-Identifier: MPL-2.0
#include "flow/tap.h"

#include "base/bell.h"
#include "base/mem.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CACHE_LINE 64
#define ROOM 8192u                     // messages that wait for the reader: a power of two
#define ROOM_BYTES (16u * 1024 * 1024) // and the size of those that are shared
#define FULL (ROOM / 4 * 3)            // the rest is for taps with a topic
#define READY (ROOM / 2)               // not before so few wait is it filled again
#define INSIDE_BYTES 224               // of a message that is copied into the ring
#define INSIDE_FRAMES 3                // of one that is shared
#define TELL_EVERY 64                  // messages, until the route hears that there is room

// A message: its frames, each behind its size, in BYTES, or references to them.
typedef struct {
    alignas(CACHE_LINE) int64_t wall_ns;
    uint64_t *lost; // of each tap, up to here; NULL: as before
    size_t frames;
    uint8_t side;
    bool shared;
    union {
        alignas(8) unsigned char bytes[INSIDE_BYTES];
        tap_hold_t frame[INSIDE_FRAMES];
        tap_hold_t *more; // than INSIDE_FRAMES
    };
} tap_slot_t;

// What one side writes all the time lies apart from what the other one does.
struct tap_ring {
    alignas(CACHE_LINE) _Atomic uint64_t head; // as far as the reader is through
    _Atomic size_t freed;                      // shared bytes
    uint64_t next;                             // the reader's own
    uint64_t tail_seen;
    bool out; // the message at NEXT is with the reader
    size_t frame_room;
    tap_frame_t *frame;
    tap_message_t message;

    alignas(CACHE_LINE) uint64_t end; // the route's own
    uint64_t head_seen;
    size_t shared, freed_seen;
    bool full;
    bool gap; // something was lost since the last message
    size_t selective;
    size_t tap_count;
    tap_t *taps[TAPS_MAX];

    alignas(CACHE_LINE) _Atomic uint64_t tail; // as far as the route is through
    _Atomic bool sleeps;                       // the reader, until FD is written
    _Atomic bool closed;
    _Atomic unsigned references;
    int fd;
    const tap_sharing_t *sharing;
    tap_slot_t *slots;
};

struct tap {
    tap_ring_t *ring;
    _Atomic unsigned references;
    _Atomic bool left;
    _Atomic uint64_t lost; // the route's
    unsigned number;
    uint64_t start;
    uint64_t seen, lost_before; // the reader's
    size_t prefix_size;
    unsigned char prefix[];
};

// --- where frames cannot be shared -------------------------------------------

static void
hold_copy(tap_hold_t *hold, const tap_frame_t *frame, void *message, size_t i)
{
    (void)message;
    (void)i;
    void *bytes = xrealloc(NULL, frame->size + 1, 1);
    if (frame->size)
        memcpy(bytes, frame->data, frame->size);
    tap_frame_t copy = { bytes, frame->size };
    memcpy(hold->bytes, &copy, sizeof copy);
}

static tap_frame_t
look_at_copy(tap_hold_t *hold)
{
    tap_frame_t copy;
    memcpy(&copy, hold->bytes, sizeof copy);
    return copy;
}

static void
free_copy(tap_hold_t *hold)
{
    free((void *)look_at_copy(hold).data);
}

static const tap_sharing_t copying = { hold_copy, look_at_copy, free_copy };

// --- the ring ----------------------------------------------------------------

tap_ring_t *
tap_ring_new(const tap_sharing_t *sharing)
{
    int fd = bell_new();
    tap_ring_t *self = fd == -1 ? NULL : aligned_alloc(CACHE_LINE, sizeof *self);
    tap_slot_t *slots =
        self ? aligned_alloc(CACHE_LINE, ROOM * sizeof *slots) : NULL; // a page is had when it is written
    if (!slots) {
        free(self);
        if (fd != -1)
            close(fd);
        return NULL;
    }
    memset(self, 0, sizeof *self);
    self->slots = slots;
    self->sharing = sharing ? sharing : &copying;
    self->fd = fd;
    self->references = 1;
    return self;
}

static void
empty(tap_ring_t *self, tap_slot_t *slot)
{
    if (slot->shared) {
        tap_hold_t *frame = slot->frames > INSIDE_FRAMES ? slot->more : slot->frame;
        size_t bytes = 0;
        for (size_t i = 0; i < slot->frames; i++) {
            bytes += self->sharing->look(&frame[i]).size;
            self->sharing->let_go(&frame[i]);
        }
        if (slot->frames > INSIDE_FRAMES)
            free(slot->more);
        atomic_store_explicit(&self->freed, atomic_load_explicit(&self->freed, memory_order_relaxed) + bytes, memory_order_relaxed);
    }
    free(slot->lost);
}

static void
drop_ring(tap_ring_t *self)
{
    if (atomic_fetch_sub(&self->references, 1) > 1)
        return;
    for (; self->next < self->end; self->next++)
        empty(self, &self->slots[self->next % ROOM]);
    close(self->fd);
    free(self->frame);
    free(self->slots);
    free(self);
}

// --- the route's side --------------------------------------------------------

tap_t *
tap_ring_add(tap_ring_t *self, const void *prefix, size_t prefix_size)
{
    if (self->tap_count == TAPS_MAX)
        return NULL;
    unsigned taken = 0, number = 0;
    for (size_t i = 0; i < self->tap_count; i++)
        taken |= 1u << self->taps[i]->number;
    while (taken & 1u << number)
        number++;
    tap_t *tap = xcalloc(1, sizeof *tap + prefix_size);
    *tap = (tap_t){ .ring = self, .references = 2, .number = number, .start = self->end, .prefix_size = prefix_size };
    if (prefix_size)
        memcpy(tap->prefix, prefix, prefix_size);
    atomic_fetch_add(&self->references, 1);
    self->taps[self->tap_count++] = tap;
    self->selective += prefix_size > 0;
    return tap;
}

void
tap_ring_begin(tap_ring_t *self)
{
    self->head_seen = atomic_load_explicit(&self->head, memory_order_acquire);
    self->freed_seen = atomic_load_explicit(&self->freed, memory_order_relaxed);
    if (self->full)
        self->full = self->end - self->head_seen > READY || self->shared - self->freed_seen > ROOM_BYTES / 2;
}

// Either the reader, before it sleeps, sees the new tail, or we see that it sleeps.
void
tap_ring_end(tap_ring_t *self)
{
    if (atomic_load_explicit(&self->tail, memory_order_relaxed) == self->end)
        return;
    atomic_store(&self->tail, self->end);
    if (atomic_load(&self->sleeps) && atomic_exchange(&self->sleeps, false))
        bell_ring(self->fd);
}

static bool
matches(const tap_t *tap, const tap_frame_t *first)
{
    return first->size >= tap->prefix_size && memcmp(first->data, tap->prefix, tap->prefix_size) == 0;
}

// Does a tap with a topic want it?
static bool
is_selected(const tap_ring_t *self, const tap_frame_t *first)
{
    for (size_t i = 0; self->selective && i < self->tap_count; i++)
        if (self->taps[i]->prefix_size && matches(self->taps[i], first))
            return true;
    return false;
}

// Only the route writes it: no need for a locked instruction.
static void
count_lost(tap_t *tap, uint64_t messages)
{
    atomic_store_explicit(&tap->lost, atomic_load_explicit(&tap->lost, memory_order_relaxed) + messages, memory_order_relaxed);
}

static void
lose(tap_ring_t *self, const tap_frame_t *first)
{
    for (size_t i = 0; i < self->tap_count; i++)
        if (matches(self->taps[i], first))
            count_lost(self->taps[i], 1);
    self->gap = true;
}

static uint64_t *
all_lost(const tap_ring_t *self)
{
    uint64_t *lost = xcalloc(TAPS_MAX, sizeof *lost);
    for (size_t i = 0; i < self->tap_count; i++)
        lost[self->taps[i]->number] = atomic_load_explicit(&self->taps[i]->lost, memory_order_relaxed);
    return lost;
}

static void
share(tap_ring_t *self, tap_slot_t *slot, const tap_frame_t *frames, size_t count, void *message)
{
    tap_hold_t *to = slot->frame;
    if (count > INSIDE_FRAMES)
        to = slot->more = xcalloc(count, sizeof *to);
    for (size_t i = 0; i < count; i++) {
        self->sharing->hold(&to[i], &frames[i], message, i);
        self->shared += frames[i].size;
    }
    slot->shared = true;
    if (self->shared - self->freed_seen > ROOM_BYTES) {
        self->freed_seen = atomic_load_explicit(&self->freed, memory_order_relaxed);
        self->full = self->shared - self->freed_seen > ROOM_BYTES;
    }
}

static void
fill(tap_ring_t *self, tap_slot_t *slot, const tap_frame_t *frames, size_t count, void *message)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        size_t size = frames[i].size;
        if (size > INSIDE_BYTES || at + sizeof(uint32_t) + size > INSIDE_BYTES) {
            share(self, slot, frames, count, message);
            return;
        }
        uint32_t prefix = (uint32_t)size;
        memcpy(slot->bytes + at, &prefix, sizeof prefix);
        if (size)
            memcpy(slot->bytes + at + sizeof prefix, frames[i].data, size);
        at += sizeof prefix + size;
    }
    slot->shared = false;
}

void
tap_ring_offer(tap_ring_t *self, side_t side, int64_t wall_ns, const tap_frame_t *frames, size_t count, void *message)
{
    bool selected_only = self->selective == self->tap_count;
    if ((self->full || selected_only) && !is_selected(self, &frames[0])) {
        if (!selected_only)
            lose(self, &frames[0]);
        return;
    }
    if (self->end - self->head_seen == ROOM || (self->full && self->shared - self->freed_seen > ROOM_BYTES)) {
        tap_ring_begin(self); // it may have room by now
        if (self->end - self->head_seen == ROOM || self->shared - self->freed_seen > ROOM_BYTES) {
            lose(self, &frames[0]);
            return;
        }
    }
    tap_slot_t *slot = &self->slots[self->end++ % ROOM];
    slot->wall_ns = wall_ns;
    slot->side = (uint8_t)side;
    slot->frames = count;
    slot->lost = self->gap ? all_lost(self) : NULL;
    self->gap = false;
    fill(self, slot, frames, count, message);
    if (self->end - self->head_seen >= FULL) {
        self->head_seen = atomic_load_explicit(&self->head, memory_order_acquire);
        self->full |= self->end - self->head_seen >= FULL;
    }
}

bool
tap_ring_is_full(const tap_ring_t *self)
{
    return self->full && !self->selective;
}

void
tap_ring_pass(tap_ring_t *self, size_t messages)
{
    for (size_t i = 0; messages && i < self->tap_count; i++)
        count_lost(self->taps[i], messages);
    self->gap |= messages > 0;
}

static void
drop_tap(tap_ring_t *self, size_t i)
{
    self->selective -= self->taps[i]->prefix_size > 0;
    tap_release(&self->taps[i]);
    self->taps[i] = self->taps[--self->tap_count];
}

bool
tap_ring_sweep(tap_ring_t *self)
{
    for (size_t i = self->tap_count; i-- > 0;)
        if (atomic_load_explicit(&self->taps[i]->left, memory_order_relaxed))
            drop_tap(self, i);
    return self->tap_count > 0;
}

void
tap_ring_close(tap_ring_t **self_p)
{
    tap_ring_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    tap_ring_end(self);
    atomic_store(&self->closed, true);
    bell_ring(self->fd);
    while (self->tap_count > 0)
        drop_tap(self, self->tap_count - 1);
    drop_ring(self);
}

// --- the reader's side -------------------------------------------------------

int
tap_ring_fd(const tap_ring_t *self)
{
    return self->fd;
}

tap_ring_t *
tap_ring_of(const tap_t *tap)
{
    return tap->ring;
}

bool
tap_ring_is_closed(const tap_ring_t *self)
{
    return atomic_load(&self->closed);
}

static void
tell_head(tap_ring_t *self)
{
    atomic_store_explicit(&self->head, self->next, memory_order_release);
}

static void
look_inside(tap_ring_t *self, tap_slot_t *slot)
{
    while (self->frame_room < slot->frames)
        mem_grow(self->frame, self->frame_room, self->frame_room);
    tap_hold_t *frame = slot->frames > INSIDE_FRAMES ? slot->more : slot->frame;
    const unsigned char *at = slot->bytes;
    for (size_t i = 0; i < slot->frames; i++) {
        if (slot->shared) {
            self->frame[i] = self->sharing->look(&frame[i]);
            continue;
        }
        uint32_t size;
        memcpy(&size, at, sizeof size);
        self->frame[i] = (tap_frame_t){ at + sizeof size, size };
        at += sizeof size + size;
    }
    self->message = (tap_message_t){ slot->wall_ns, (side_t)slot->side, slot->frames, self->frame };
}

const tap_message_t *
tap_ring_take(tap_ring_t *self)
{
    if (self->out) {
        empty(self, &self->slots[self->next++ % ROOM]);
        self->out = false;
        if (self->next % TELL_EVERY == 0)
            tell_head(self);
    }
    if (self->next == self->tail_seen) {
        tell_head(self);
        self->tail_seen = atomic_load(&self->tail);
        if (self->next == self->tail_seen)
            return NULL;
    }
    self->out = true;
    look_inside(self, &self->slots[self->next % ROOM]);
    return &self->message;
}

bool
tap_ring_sleep(tap_ring_t *self)
{
    bell_hear(self->fd);
    atomic_store(&self->sleeps, true);
    if (self->next == atomic_load(&self->tail) && !tap_ring_is_closed(self))
        return true;
    atomic_store(&self->sleeps, false);
    return false;
}

uint64_t
tap_see(tap_t *self)
{
    const tap_ring_t *ring = self->ring;
    if (ring->next < self->start)
        return 0;
    const tap_slot_t *slot = &ring->slots[ring->next % ROOM];
    if (slot->lost)
        self->lost_before = slot->lost[self->number];
    if (!matches(self, &ring->frame[0]))
        return 0;
    return ++self->seen + self->lost_before;
}

uint64_t
tap_seq(const tap_t *self)
{
    return self->seen + atomic_load_explicit(&self->lost, memory_order_relaxed);
}

void
tap_leave(tap_t *self)
{
    atomic_store_explicit(&self->left, true, memory_order_relaxed);
}

tap_t *
tap_hold(tap_t *self)
{
    atomic_fetch_add(&self->references, 1);
    return self;
}

void
tap_release(tap_t **self_p)
{
    tap_t *self = *self_p;
    *self_p = NULL;
    if (!self || atomic_fetch_sub(&self->references, 1) > 1)
        return;
    drop_ring(self->ring);
    free(self);
}
