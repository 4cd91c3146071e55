// SPDX-License-Identifier: MPL-2.0
#include "wire/observe.h"

#include "base/mem.h"
#include "flow/envelope.h"
#include "wire/fan.h"
#include "wire/port.h"

#include <stdlib.h>
#include <string.h>

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
    tap_frame_t few[OBSERVERS_FEW_FRAMES], *frames = few;
    size_t count = split_piece(piece, few, OBSERVERS_FEW_FRAMES);
    if (count > OBSERVERS_FEW_FRAMES) {
        frames = xcalloc(count, sizeof *frames);
        split_piece(piece, frames, count);
    }
    observers_show(&self->observers, side, frames, count, NULL);
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
    envelope_write(envelope, self->observers.seq, self->observers.wall_ns);
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
    bool to_taps = observers_next(&self->observers);
    if (has_readers(&self->ports[SIDE_CAPTURE]))
        show_capture(self, side, piece);
    if (to_taps)
        show_taps(self, side, piece);
}

static void
look(wire_t *self)
{
    uint64_t uncounted = 0;
    for (side_t side = 0; side < SIDES; side++)
        uncounted += self->ports[side].received.messages;
    self->observed = observers_look(&self->observers, has_readers(&self->ports[SIDE_CAPTURE]), self->counters, uncounted);
}

void
observe_begin(wire_t *self)
{
    look(self);
    observers_begin(&self->observers);
}

void
observe_end(wire_t *self)
{
    observers_end(&self->observers);
}

void
observe_sweep(wire_t *self)
{
    observers_sweep(&self->observers);
}

void
observe_close(wire_t *self)
{
    observers_close(&self->observers);
    free(self->envelopes);
    self->envelopes = NULL;
}

// What is large is copied, too: its chunk belongs to the route's thread.
tap_t *
observe_tap(route_t *self, const void *prefix, size_t prefix_size)
{
    tap_t *tap = observers_tap(&self->observers, NULL, prefix, prefix_size);
    look(self);
    return tap;
}
