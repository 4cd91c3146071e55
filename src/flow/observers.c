// SPDX-License-Identifier: MPL-2.0
#include "flow/observers.h"

#include "base/clock.h"

#define SHOWN_AT_ONCE 32 // messages that count as of the same moment

void
observers_begin(observers_t *self)
{
    self->shown = 0;
    if (self->taps)
        tap_ring_begin(self->taps);
}

void
observers_end(observers_t *self)
{
    if (self->taps)
        tap_ring_end(self->taps);
}

static uint64_t
messages_so_far(const counters_t *counters)
{
    uint64_t messages = 0;
    for (side_t side = 0; side < SIDES; side++)
        messages += counter_get(&counters->sides[side].messages_received);
    return messages;
}

bool
observers_look(observers_t *self, bool others, const counters_t *counters, uint64_t uncounted)
{
    bool was = self->any;
    self->any = self->taps || others;
    if (self->any && !was)
        self->seq = messages_so_far(counters) + uncounted;
    return self->any;
}

bool
observers_next(observers_t *self)
{
    self->seq++;
    if (self->shown++ % SHOWN_AT_ONCE == 0)
        self->wall_ns = clock_wall_ns();
    if (!self->taps || !tap_ring_is_full(self->taps))
        return self->taps;
    tap_ring_pass(self->taps, 1);
    return false;
}

void
observers_show(observers_t *self, side_t side, const tap_frame_t *frames, size_t count, void *message)
{
    tap_ring_offer(self->taps, side, self->wall_ns, frames, count, message);
}

tap_t *
observers_tap(observers_t *self, const tap_sharing_t *sharing, const void *prefix, size_t prefix_size)
{
    if (!self->taps)
        self->taps = tap_ring_new(sharing);
    return self->taps ? tap_ring_add(self->taps, prefix, prefix_size) : NULL;
}

void
observers_sweep(observers_t *self)
{
    if (self->taps && !tap_ring_sweep(self->taps))
        tap_ring_close(&self->taps);
}

void
observers_close(observers_t *self)
{
    tap_ring_close(&self->taps);
}
