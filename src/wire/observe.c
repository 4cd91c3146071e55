// SPDX-License-Identifier: MPL-2.0
#include "wire/observe.h"

#include "base/clock.h"
#include "base/mem.h"
#include "flow/envelope.h"
#include "flow/tap.h"
#include "wire/fan.h"
#include "wire/port.h"

#include <stdlib.h>
#include <string.h>

enum {
    FEW_FRAMES = 16,    // of a message that needs no memory of its own
    SHOWN_AT_ONCE = 32, // messages that count as of the same moment
};

// --- taps ------------------------------------------------------------------------------

// The frames at AT, as far as there is room for them. Returns how many there are.
static size_t
split(const uint8_t *at, size_t size, tap_frame_t *frames, size_t count, size_t room)
{
    frame_head_t head;
    for (size_t done = 0; done < size && frame_read(at + done, size - done, &head) == 1; count++) {
        if (count < room)
            frames[count] = (tap_frame_t){ at + done + head.head, head.body };
        done += head.head + head.body;
    }
    return count;
}

static size_t
split_piece(const piece_t *piece, tap_frame_t *frames, size_t room)
{
    size_t count = piece->prefix ? split(piece->prefix, piece->prefix_size, frames, 0, room) : 0;
    return split(piece->chunk->data + piece->at, piece->size, frames, count, room);
}

static void
show_taps(wire_t *self, side_t side, const piece_t *piece)
{
    tap_frame_t few[FEW_FRAMES], *frames = few;
    size_t count = split_piece(piece, few, FEW_FRAMES);
    if (count > FEW_FRAMES) {
        frames = xcalloc(count, sizeof *frames);
        split_piece(piece, frames, count);
    }
    tap_ring_offer(self->taps, side, self->wall_ns, frames, count, NULL);
    if (frames != few)
        free(frames);
}

// --- the capture -----------------------------------------------------------------------

static size_t
write_envelope(wire_t *self, side_t side, uint8_t *at)
{
    if (!self->envelopes) {
        self->envelopes = xcalloc(SIDES, sizeof *self->envelopes);
        for (side_t i = 0; i < SIDES; i++)
            envelope_begin(&self->envelopes[i], self->name, i);
    }
    envelope_t *envelope = &self->envelopes[side];
    envelope_write(envelope, self->seq, self->wall_ns);
    size_t head = frame_write_head(at, FRAME_MORE, envelope->size);
    memcpy(at + head, envelope->text, envelope->size);
    return head + envelope->size;
}

static void
show_capture(wire_t *self, side_t side, const piece_t *piece)
{
    uint8_t prefix[FRAME_SHORT_HEAD + ENVELOPE_MAX + FRAME_SHORT_HEAD + 255];
    piece_t shown = *piece;
    shown.from = NULL;
    if (self->conf->capture_envelope) {
        shown.prefix = prefix;
        shown.prefix_size = write_envelope(self, side, prefix);
        if (piece->prefix)
            memcpy(prefix + shown.prefix_size, piece->prefix, piece->prefix_size);
        shown.prefix_size += piece->prefix_size;
    }
    if (port_give(&self->ports[SIDE_CAPTURE], &shown) == NO_ROOM)
        port_drop(&self->ports[SIDE_CAPTURE], DROP_HWM, 1);
}

static bool
has_readers(const wport_t *capture)
{
    if (!capture->socktype)
        return false;
    return capture->socktype->subscribed ? fan_is_wanted(capture) : capture->count > 0;
}

// --- both ------------------------------------------------------------------------------

void
observe(const conn_t *from, const piece_t *piece)
{
    wire_t *self = from->wire;
    side_t side = from->port->side;
    self->seq++;
    if (self->shown++ % SHOWN_AT_ONCE == 0)
        self->wall_ns = clock_wall_ns();
    if (has_readers(&self->ports[SIDE_CAPTURE]))
        show_capture(self, side, piece);
    if (self->taps && tap_ring_is_full(self->taps))
        tap_ring_pass(self->taps, 1);
    else if (self->taps)
        show_taps(self, side, piece);
}

// Numbering goes on from all that has passed unobserved.
static uint64_t
messages_so_far(const wire_t *self)
{
    uint64_t messages = 0;
    for (side_t side = 0; side < SIDES; side++)
        messages += counter_get(&self->counters->sides[side].messages_received) + self->ports[side].received.messages;
    return messages;
}

static void
look(wire_t *self)
{
    bool was = self->observed;
    self->observed = self->taps || has_readers(&self->ports[SIDE_CAPTURE]);
    if (self->observed && !was)
        self->seq = messages_so_far(self);
}

void
observe_begin(wire_t *self)
{
    look(self);
    self->shown = 0;
    if (self->taps)
        tap_ring_begin(self->taps);
}

void
observe_end(wire_t *self)
{
    if (self->taps)
        tap_ring_end(self->taps);
}

void
observe_sweep(wire_t *self)
{
    if (self->taps && !tap_ring_sweep(self->taps))
        tap_ring_close(&self->taps);
}

void
observe_close(wire_t *self)
{
    tap_ring_close(&self->taps);
    free(self->envelopes);
    self->envelopes = NULL;
}

// What is large is copied, too: its chunk belongs to the route's thread.
tap_t *
observe_tap(route_t *self, const void *prefix, size_t prefix_size)
{
    if (!self->taps)
        self->taps = tap_ring_new(NULL);
    tap_t *tap = self->taps ? tap_ring_add(self->taps, prefix, prefix_size) : NULL;
    look(self);
    return tap;
}
