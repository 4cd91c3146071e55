// SPDX-License-Identifier: MPL-2.0
#include "flow/tap.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define TAP_ROOM 4096u              // messages that wait for the reader: a power of two
#define TAP_BYTES (16u * 1024 * 1024) // and their size

struct tap {
    tap_message_t *ring[TAP_ROOM];
    _Atomic unsigned head, tail; // written by the reader, by the route
    _Atomic size_t waiting;      // bytes
    _Atomic uint64_t missed;
    _Atomic unsigned references;
    _Atomic bool abandoned;
    uint64_t seq;
    int fd;
    size_t prefix_size;
    unsigned char prefix[];
};

tap_t *
tap_new(const void *prefix, size_t prefix_size)
{
    tap_t *self = xcalloc(1, sizeof *self + prefix_size);
    self->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->fd == -1) {
        free(self);
        return NULL;
    }
    self->references = 2;
    self->prefix_size = prefix_size;
    if (prefix_size)
        memcpy(self->prefix, prefix, prefix_size);
    return self;
}

int
tap_fd(const tap_t *self)
{
    return self->fd;
}

static size_t
size_of(const tap_message_t *message)
{
    size_t size = sizeof *message;
    for (size_t i = 0; i < message->frames; i++)
        size += sizeof message->frame[i] + zmq_msg_size(&message->frame[i]);
    return size;
}

tap_message_t *
tap_take(tap_t *self)
{
    unsigned head = atomic_load_explicit(&self->head, memory_order_relaxed);
    if (head == atomic_load_explicit(&self->tail, memory_order_acquire)) {
        uint64_t ignored;
        ssize_t rc = read(self->fd, &ignored, sizeof ignored);
        (void) rc;
        // It may have been filled between the look and the read.
        if (head == atomic_load_explicit(&self->tail, memory_order_acquire))
            return NULL;
    }
    tap_message_t *message = self->ring[head % TAP_ROOM];
    atomic_fetch_sub_explicit(&self->waiting, size_of(message), memory_order_relaxed);
    atomic_store_explicit(&self->head, head + 1, memory_order_release);
    return message;
}

void
tap_message_free(tap_message_t **message_p)
{
    tap_message_t *message = *message_p;
    if (!message)
        return;
    for (size_t i = 0; i < message->frames; i++)
        zmq_msg_close(&message->frame[i]);
    free(message->frame);
    free(message);
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

static tap_message_t *
copy_message(uint64_t seq, side_t side, zmq_msg_t *frames, size_t count)
{
    tap_message_t *message = xcalloc(1, sizeof *message);
    *message = (tap_message_t) { .seq = seq, .wall_ns = clock_wall_ns(), .side = side, .frames = count };
    message->frame = xcalloc(count, sizeof *message->frame);
    for (size_t i = 0; i < count; i++) {
        zmq_msg_init(&message->frame[i]);
        zmq_msg_copy(&message->frame[i], &frames[i]);
    }
    return message;
}

void
tap_offer(tap_t *self, side_t side, zmq_msg_t *frames, size_t count)
{
    if (tap_abandoned(self) || !matches(self, &frames[0]))
        return;
    self->seq++;
    unsigned tail = atomic_load_explicit(&self->tail, memory_order_relaxed);
    unsigned used = tail - atomic_load_explicit(&self->head, memory_order_acquire);
    if (used == TAP_ROOM || atomic_load_explicit(&self->waiting, memory_order_relaxed) > TAP_BYTES) {
        atomic_fetch_add_explicit(&self->missed, 1, memory_order_relaxed);
        return;
    }
    tap_message_t *message = copy_message(self->seq, side, frames, count);
    atomic_fetch_add_explicit(&self->waiting, size_of(message), memory_order_relaxed);
    self->ring[tail % TAP_ROOM] = message;
    atomic_store_explicit(&self->tail, tail + 1, memory_order_release);
    if (used == 0) {
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
    free(self);
}
