// SPDX-License-Identifier: MPL-2.0
#include "flow/tap.h"

#include "base/mem.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TAP_ROOM 4096u              // messages that wait for the reader: a power of two
#define TAP_BYTES (16u * 1024 * 1024) // and their size
#define TAP_FRAMES 2u               // of a message, that have their place in the ring
#define CACHE_LINE 64

typedef struct {
    tap_message_t message;
    zmq_msg_t frame[TAP_FRAMES];
    size_t size;
} slot_t;

// A message costs the route no memory of its own and no lock: what one side
// writes all the time lies apart from what the other one does.
struct tap {
    alignas(CACHE_LINE) _Atomic unsigned head; // the reader's
    _Atomic size_t taken;                      // bytes
    bool out;                                  // the message at head is with the reader
    alignas(CACHE_LINE) _Atomic unsigned tail; // the route's
    _Atomic size_t given;
    _Atomic uint64_t missed;
    uint64_t seq;
    alignas(CACHE_LINE) _Atomic unsigned references;
    _Atomic bool abandoned;
    int fd;
    size_t prefix_size;
    unsigned char *prefix;
    slot_t ring[TAP_ROOM];
};

tap_t *
tap_new(const void *prefix, size_t prefix_size)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    tap_t *self = fd == -1 ? NULL : aligned_alloc(CACHE_LINE, sizeof *self);
    if (!self) {
        if (fd != -1)
            close(fd);
        return NULL;
    }
    memset(self, 0, offsetof(tap_t, ring));
    self->fd = fd;
    self->references = 2;
    self->prefix_size = prefix_size;
    self->prefix = xcalloc(1, prefix_size + 1);
    if (prefix_size)
        memcpy(self->prefix, prefix, prefix_size);
    return self;
}

int
tap_fd(const tap_t *self)
{
    return self->fd;
}

// Only the side that writes it calls this: no need for a locked instruction.
#define ADD(counter, n) atomic_store_explicit((counter), atomic_load_explicit((counter), memory_order_relaxed) + (n), memory_order_relaxed)

// The reader is done with what it took: its place is free.
static unsigned
move_on(tap_t *self)
{
    unsigned head = atomic_load_explicit(&self->head, memory_order_relaxed);
    if (!self->out)
        return head;
    self->out = false;
    ADD(&self->taken, self->ring[head % TAP_ROOM].size);
    atomic_store_explicit(&self->head, head + 1, memory_order_release);
    return head + 1;
}

tap_message_t *
tap_take(tap_t *self)
{
    unsigned head = move_on(self);
    if (head == atomic_load_explicit(&self->tail, memory_order_acquire)) {
        uint64_t ignored;
        ssize_t rc = read(self->fd, &ignored, sizeof ignored);
        (void) rc;
        // It may have been filled meanwhile: either the route sees how far we are, or we see its message.
        atomic_thread_fence(memory_order_seq_cst);
        if (head == atomic_load_explicit(&self->tail, memory_order_acquire))
            return NULL;
    }
    self->out = true;
    return &self->ring[head % TAP_ROOM].message;
}

void
tap_message_free(tap_message_t **message_p)
{
    tap_message_t *message = *message_p;
    if (!message)
        return;
    for (size_t i = 0; i < message->frames; i++)
        zmq_msg_close(&message->frame[i]);
    if (message->frames > TAP_FRAMES)
        free(message->frame);
    message->frames = 0;
    *message_p = NULL;
}

uint64_t
tap_missed(const tap_t *self)
{
    return atomic_load_explicit(&self->missed, memory_order_relaxed);
}

bool
tap_abandoned(const tap_t *self)
{
    return atomic_load_explicit(&self->abandoned, memory_order_relaxed);
}

bool
tap_orphaned(const tap_t *self)
{
    return atomic_load_explicit(&self->references, memory_order_acquire) == 1;
}

static bool
matches(const tap_t *self, zmq_msg_t *first)
{
    return zmq_msg_size(first) >= self->prefix_size && memcmp(zmq_msg_data(first), self->prefix, self->prefix_size) == 0;
}

static void
fill(slot_t *slot, uint64_t seq, side_t side, int64_t wall_ns, zmq_msg_t *frames, size_t count)
{
    tap_message_t *message = &slot->message;
    *message = (tap_message_t) { .seq = seq, .wall_ns = wall_ns, .side = side, .frames = count };
    message->frame = count > TAP_FRAMES ? xcalloc(count, sizeof *message->frame) : slot->frame;
    slot->size = sizeof *slot;
    for (size_t i = 0; i < count; i++) {
        zmq_msg_init(&message->frame[i]);
        zmq_msg_copy(&message->frame[i], &frames[i]);
        slot->size += sizeof frames[i] + zmq_msg_size(&frames[i]);
    }
}

static size_t
waiting_bytes(const tap_t *self)
{
    return atomic_load_explicit(&self->given, memory_order_relaxed) - atomic_load_explicit(&self->taken, memory_order_relaxed);
}

void
tap_offer(tap_t *self, side_t side, int64_t wall_ns, zmq_msg_t *frames, size_t count)
{
    if (tap_abandoned(self) || !matches(self, &frames[0]))
        return;
    self->seq++;
    unsigned tail = atomic_load_explicit(&self->tail, memory_order_relaxed);
    unsigned used = tail - atomic_load_explicit(&self->head, memory_order_acquire);
    if (used == TAP_ROOM || waiting_bytes(self) > TAP_BYTES) {
        ADD(&self->missed, 1);
        return;
    }
    slot_t *slot = &self->ring[tail % TAP_ROOM];
    fill(slot, self->seq, side, wall_ns, frames, count);
    ADD(&self->given, slot->size);
    atomic_store_explicit(&self->tail, tail + 1, memory_order_release);
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(&self->head, memory_order_relaxed) == tail) { // it may sleep
        ssize_t rc = write(self->fd, &(uint64_t) { 1 }, sizeof(uint64_t));
        (void) rc;
    }
}

void
tap_release(tap_t **self_p)
{
    tap_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    atomic_store_explicit(&self->abandoned, true, memory_order_relaxed);
    // So that the reader wakes and finds out.
    ssize_t rc = write(self->fd, &(uint64_t) { 1 }, sizeof(uint64_t));
    (void) rc;
    if (atomic_fetch_sub_explicit(&self->references, 1, memory_order_acq_rel) > 1)
        return;
    tap_message_t *message;
    while ((message = tap_take(self)))
        tap_message_free(&message);
    close(self->fd);
    free(self->prefix);
    free(self);
}
