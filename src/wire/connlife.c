// SPDX-License-Identifier: MPL-2.0
#include "wire/connlife.h"

#include "base/clock.h"
#include "base/mem.h"
#include "flow/client.h"
#include "wire/conn.h"
#include "wire/dialled.h"
#include "wire/durable.h"
#include "wire/input.h"
#include "wire/login.h"
#include "wire/output.h"
#include "wire/places.h"
#include "wire/port.h"
#include "wire/pulse.h"
#include "wire/pump.h"
#include "wire/say.h"
#include "wire/settle.h"
#include "wire/shortage.h"

#include <unistd.h>

enum { ORPHAN_BYTES = 16 * 1024 * 1024 };

// --- beginning ---------------------------------------------------------------------

conn_t *
connlife_new(wport_t *port, int fd, dialled_t *dialled, const char *peer_name, const char *host)
{
    int64_t now_ms = port->wire->now_ms;
    conn_t *self = conn_blank(port);
    self->fd = fd;
    self->id = client_next_id();
    self->ipc = !*host;
    self->outgoing = dialled != NULL;
    self->dialled = dialled;
    self->peer_name = xstrdup(peer_name);
    self->host = xstrdup(host);
    self->since_wall_ns = clock_wall_ns();
    self->since_ms = self->heard_ms = self->moved_ms = self->asked_ms = now_ms;
    self->deadline_ms = port->handshake_ms > 0 ? now_ms + port->handshake_ms : INT64_MAX;
    self->handshake = handshake_new(&port->greeting);
    conn_enter(self);
    login_greet(self);
    return self;
}

// --- the end -----------------------------------------------------------------------

static void
give_to_others(conn_t *self)
{
    wport_t *port = self->port;
    if (port->socktype->bequeath && self->own) {
        port->socktype->bequeath(self);
        return;
    }
    bool keep = (port->socktype->keeps_for_others && !port->wire->closing) || self->durable;
    spans_t unbegun = { 0 };
    uint64_t on_the_way;
    self->unsettled = !settle_is_known(self, &on_the_way);
    load_t lost = output_abandon(self, keep ? &unbegun : NULL);
    uint64_t requeued = self->durable ? 0 : unbegun.load.messages;
    if (self->durable)
        durables_take(self->durable, &unbegun);
    if (requeued > 0)
        port_return(port, &unbegun);
    lost.messages += self->unsettled ? 0 : on_the_way;
    self->dropped += lost.messages;
    if (self->cut == CUT_STALLED && lost.messages > 0) { // the one that held up the others
        port_drop(port, DROP_STALLED, 1);
        lost.messages--;
    }
    port_drop(port, DROP_PEER_LOST, lost.messages);
    if (requeued > 0)
        counter_add(&self->wire->counters->requeued, requeued);
    say_lost(self, lost.messages, requeued);
}

// What it had sent and nobody has taken.
static void
drop_unread(conn_t *self)
{
    uint64_t messages = self->port->to && !self->port->socktype->hears ? pump_discard(self) : 0;
    port_drop(self->port, self->cut == CUT_AUTH ? DROP_ACL : DROP_PEER_LOST, messages);
    self->dropped += messages;
}

static void
leave_port(conn_t *self)
{
    if (self->state == CONN_OPEN)
        port_leave(self);
    places_leave(self);
    places_named(self);
    port_forget_parked(self);
    give_to_others(self);
    conn_unlink(self);
}

static void
forget(conn_t *self)
{
    conn_drop_input(self);
    shortage_forget(self);
    login_forget(self);
}

static __attribute__((noinline)) void
end(conn_t *self)
{
    wire_t *wire = self->wire;
    bool was_open = self->state == CONN_OPEN;
    if (was_open)
        drop_unread(self);
    leave_port(self);
    say_ended(self, was_open);
    self->state = CONN_ENDED;
    dialled_ended(self, was_open);
    forget(self);
    (self->unsettled ? settle_later : conn_bury)(self);
    wire->made_room = true;
}

void
connlife_vanish(conn_t *self)
{
    self->state = CONN_ENDED;
    if (self->fd != -1)
        loop_forget(&self->wire->loop, self->fd, &self->watched);
    places_hand_over(self);
    conn_unlink(self);
    conn_drop_buffers(self);
    forget(self);
    self->fd = -1; // which is somebody else's now
    conn_bury(self);
}

// --- its turn ----------------------------------------------------------------------

static bool
may_read(const conn_t *self)
{
    return conn_may_go_on(self) && !shortage_stops(self);
}

// Everything that came in was handed on, and no more will come.
static bool
is_over(const conn_t *self)
{
    return self->input_over && !self->parked;
}

static void
serve_open(conn_t *self)
{
    if (!conn_may_go_on(self))
        return;
    self->turn_over = false;
    self->asked = 0;
    if (self->in && !pump(self))
        return;
    if (shortage_stops(self)) {
        input_rest(self); // with what it keeps empty the shortage would never end
        return;
    }
    if (self->readable && input_read(self) && !pump(self))
        return;
    if (self->readable && !self->broken)
        conn_schedule(self);
    input_rest(self);
    if (is_over(self))
        conn_break(self, CUT_NONE, "%s", self->reason);
}

void
connlife_serve(conn_t *self)
{
    if (self->state == CONN_ENDED)
        return;
    if (self->broken) {
        end(self);
        return;
    }
    if (self->state == CONN_GREETING)
        login_go_on(self);
    if (self->state == CONN_OPEN)
        serve_open(self);
    chunk_pool_tell(conn_pool(self));
}

// --- time --------------------------------------------------------------------------

// The peer has gone, and nobody reads what it had sent: that waits without a
// descriptor and without a place. What is more than we keep for one that has gone is
// dropped with it.
static void
let_go(conn_t *self)
{
    do
        self->want = 2 * input_size(self) + CHUNK_BYTES; // all of it in few steps
    while (input_size(self) < ORPHAN_BYTES && input_read(self));
    if (!self->input_over)
        conn_end_of_input(self, 0);
    self->output_over = true;
    self->writable = false;
    places_leave(self);
    settle_at_once(self);
    say_ended(self, true);
    self->left = true;
    close(self->fd); // and out of the loop
    self->fd = -1;
}

static bool
tick_open(conn_t *self)
{
    bool read = may_read(self);
    if (self->fd == -1)
        return false;
    if (self->half_closed && self->wire->now_ms >= self->deadline_ms)
        conn_break(self, CUT_NONE, "%s", self->reason);
    else if (!read && self->hung_up && !self->wire->is_short)
        let_go(self);
    else
        return pulse_tick(self, read);
    return false;
}

bool
connlife_tick(conn_t *self)
{
    if (self->state == CONN_OPEN && !self->broken)
        return tick_open(self);
    if (self->handshake && self->wire->now_ms >= self->deadline_ms)
        conn_refuse(self, HANDSHAKE_TIMEOUT, "its handshake was not done within handshake_ivl");
    else if (self->handshake && self->state == CONN_GREETING)
        login_prompt(self);
    return false;
}
