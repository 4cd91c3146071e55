// SPDX-License-Identifier: MPL-2.0
#include "wire/pump.h"

#include "wire/conn.h"
#include "wire/observe.h"
#include "wire/piece.h"
#include "wire/say.h"

bool
pump_has_right(conn_t *self, const piece_t *piece)
{
    size_t size;
    const uint8_t *first = piece_first(piece, &size);
    if (conn_may(self, ADMISSION_PUBLISH, first, size))
        return true;
    port_drop(self->port, DROP_ACL, 1);
    self->dropped++;
    say_denied(self, "publish", first, size);
    return false;
}

// In the drain it was told that this is the end, and would not get the answer.
static bool
is_too_late(conn_t *self)
{
    if (!self->half_closed || !self->prefix)
        return false;
    port_drop(self->port, DROP_SHUTDOWN, 1);
    self->dropped++;
    return true;
}

static bool
is_heard(conn_t *self, piece_t *piece)
{
    const socktype_t *socktype = self->port->socktype;
    return socktype->hears && socktype->hears(self, piece);
}

// Whom it is for is not part of what was sent.
static void
take_off_address(piece_t *piece)
{
    size_t size;
    piece_first(piece, &size);
    piece->load.payload -= size;
}

// What a DEALER or ROUTER with probe_router says first, so that it is known: hardly anybody answers.
static bool
is_probe(const conn_t *self, const piece_t *piece)
{
    return self->messages_received == 0 && piece->size == FRAME_SHORT_HEAD;
}

static void
count_request(conn_t *self, const piece_t *piece)
{
    if (is_probe(self, piece)) {
        self->probed = true;
        return;
    }
    self->unanswered++;
    self->wire->pending++;
}

static given_t
hand_over(conn_t *self, piece_t *piece)
{
    piece->prefix = self->prefix;
    piece->prefix_size = self->prefix_size;
    if (self->wire->observed && !self->shown)
        observe(self, piece);
    self->shown = true;
    given_t given = port_give(self->port->to, piece);
    if (given == GIVEN && self->prefix)
        count_request(self, piece);
    return given;
}

// One by one, whatever the two sides are.
bool
pump_singly(conn_t *self)
{
    piece_t piece;
    int rc;
    bool alone = !self->port->to->contended, addressed = self->port->to->socktype->addresses;
    while ((rc = input_next(self, &piece)) == 1) {
        if (is_heard(self, &piece)) {
            if (self->turn_over)
                return false;
            continue;
        }
        if (addressed)
            take_off_address(&piece);
        if (!is_too_late(self) && pump_admits(self, &piece) && hand_over(self, &piece) == NO_ROOM)
            return pump_wait(self, &piece);
        self->shown = false;
        pump_received(self, &piece);
        if (!alone) {
            conn_schedule(self); // others wait too: one message a turn
            return false;
        }
    }
    return rc == 0;
}

// Nothing is handed on from this side.
static __attribute__((noinline)) bool
pump_nowhere(conn_t *self)
{
    piece_t piece;
    int rc = 1;
    while (!self->turn_over && (rc = input_next(self, &piece)) == 1)
        is_heard(self, &piece);
    return rc == 0;
}

uint64_t
pump_discard(conn_t *self)
{
    uint64_t messages = 0;
    piece_t piece;
    self->turn_over = false;
    while (self->in && input_next(self, &piece) == 1) {
        pump_received(self, &piece);
        messages++;
    }
    return messages;
}

bool
pump(conn_t *self)
{
    wport_t *to = self->port->to;
    if (self->broken)
        return false;
    if (!to)
        return pump_nowhere(self);
    if (to->socktype->pump && !self->wire->observed && !self->rights && !to->contended && !self->prefix
        && !self->port->socktype->hears)
        return to->socktype->pump(self, to);
    return self->port->socktype->pump_in ? self->port->socktype->pump_in(self) : pump_singly(self);
}
