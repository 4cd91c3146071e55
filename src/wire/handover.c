// SPDX-License-Identifier: MPL-2.0
#include "wire/handover.h"

#include "base/idset.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/memory.h"
#include "flow/savedroute.h"
#include "wire/acks.h"
#include "wire/archive.h"
#include "wire/cluster.h"
#include "wire/conn.h"
#include "wire/connect.h"
#include "wire/connlife.h"
#include "wire/connrecord.h"
#include "wire/doors.h"
#include "wire/durable.h"
#include "wire/fan.h"
#include "wire/login.h"
#include "wire/output.h"
#include "wire/places.h"
#include "wire/port.h"
#include "wire/remember.h"
#include "wire/stored.h"
#include "wire/strangers.h"
#include "wire/terms.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    STORE_MS = 2000, // for what is on its way to the disk
    STUCK_MS = 30,   // where that has no room: all other routes wait, too
};

// A number is never used for anything else again: see SAVEDROUTE_FORMAT.
enum {
    TAG_FORMAT = 1,
    TAG_PENDING,
    TAG_MODE,
    TAG_PORT,
    TAG_CONN,
    TAG_CLUSTER,
    TAG_SIDE = 900, // of a port or a connection
    TAG_TURN,
    TAG_RETURNED,
    TAG_OWN,
    TAG_TERMS,
    TAG_REMEMBERED, // there is one where it remembers, if nothing yet
    TAG_AWAY,
};

// --- whom another configuration may keep -----------------------------------------------

// All of it is there twice while it is handed over, beside what other routes have.
static bool
fits_twice(const wire_t *self)
{
    const memory_t *memory = self->resources->memory;
    uint64_t limit = memory ? memory_limit_of(memory) : 0;
    return limit == 0 || memory_taken(memory) + self->pool.bytes <= limit;
}

// To another program all routes hand over at once, and that program has all of it once more before this one has gone.
static bool
fits_often(const wire_t *self)
{
    const memory_t *memory = self->resources->memory;
    uint64_t limit = memory ? memory_limit_of(memory) : 0;
    return limit == 0 || self->pool.bytes <= limit / 4;
}

static bool
may_keep_all(const wire_t *self, const route_conf_t *successor)
{
    bool keep = self->conf->engine == successor->engine && self->conf->flow == successor->flow &&
                cluster_may_go_on(self, successor);
    for (side_t side = 0; side < SIDES && keep; side++) {
        const wport_t *port = &self->ports[side];
        bool any = port->socktype && (port->conns || port->returned.count > 0);
        keep = !any || port->terms == terms_wanted(port, &successor->sides[side]);
    }
    return keep;
}

bool
handover_can_save(const route_t *self, const route_conf_t *successor)
{
    return may_keep_all(self, successor) && fits_twice(self) && fits_often(self);
}

// --- saving ----------------------------------------------------------------------------

// Whoever is about to end does so here: what that changes is handed over.
static void
end_broken(wire_t *self)
{
    for (side_t side = 0; side < SIDES; side++)
        for (conn_t *conn = self->ports[side].conns, *next; conn; conn = next) {
            next = conn->next;
            if (conn->broken)
                connlife_serve(conn);
        }
}

static void
save_conn(const conn_t *conn, record_t *to)
{
    size_t opened = record_open(to, TAG_CONN);
    record_number(to, TAG_SIDE, conn->port->side);
    connrecord_save(conn, to);
    record_close(to, opened);
}

static void
save_returned(const wport_t *port, record_t *to)
{
    for (uint32_t i = 0; i < port->returned.count; i++)
        spans_save(&port->returned, i, record_place(to, TAG_RETURNED, spans_saved_size(&port->returned, i)));
}

static void
save_own(const wport_t *port, record_t *to)
{
    size_t opened = record_open(to, TAG_OWN);
    if (port->socktype->save)
        port->socktype->save(port, to);
    record_close(to, opened);
}

// What it has published, and for whom it keeps it.
static void
save_kept(const wport_t *port, record_t *to)
{
    size_t opened;
    if (port->remembered) {
        opened = record_open(to, TAG_REMEMBERED);
        remember_save(port->remembered, to);
        record_close(to, opened);
    }
    if (port->durables) {
        opened = record_open(to, TAG_AWAY);
        durables_save(port->durables, to);
        record_close(to, opened);
    }
}

static void
save_port(const wport_t *port, record_t *to)
{
    size_t opened = record_open(to, TAG_PORT);
    record_number(to, TAG_SIDE, port->side);
    record_number(to, TAG_TURN, port->turn);
    record_number(to, TAG_TERMS, port->terms);
    save_returned(port, to);
    save_own(port, to);
    save_kept(port, to);
    record_close(to, opened);
}

// The order of the open ones is that of the round robin; of the others the oldest comes first.
static void
save_conns(const wport_t *port, record_t *to)
{
    const conn_t *last = port->conns;
    for (uint32_t i = 0; i < port->count; i++)
        save_conn(port->open[i], to);
    while (last && last->next)
        last = last->next;
    for (; last; last = last->previous)
        if (last->state != CONN_OPEN)
            save_conn(last, to);
}

static void
vanish_all(wport_t *port)
{
    uint64_t gone = 0;
    while (port->conns) {
        conn_t *conn = port->conns;
        gone += conn->state == CONN_OPEN && !conn->left;
        if (conn->dialled)
            conn->dialled->conn = NULL;
        connlife_vanish(conn);
    }
    counter_set(&port->counters->connections, counter_get(&port->counters->connections) - gone);
    spans_clear(&port->returned);
    port->parked = NULL;
    port->parked_end = &port->parked;
    port->count = port->ready = 0;
    port->queued = (load_t){ 0 };
    port->queued_bytes = 0;
    port_count(port);
}

static void
save_fds(const wire_t *self, record_t *to)
{
    size_t opened = record_open(to, SAVEDROUTE_FDS);
    for (side_t side = 0; side < SIDES; side++)
        for (const conn_t *conn = self->ports[side].conns; conn; conn = conn->next)
            if (conn->fd != -1)
                record_add(to, &conn->fd, sizeof conn->fd);
    record_close(to, opened);
}

static void
close_stores(wire_t *self, record_t *to)
{
    int64_t wait_ms = counter_get(&self->counters->store.state) >= STORE_FULL ? STUCK_MS : STORE_MS;
    size_t opened = record_open(to, TAG_CLUSTER);
    uint64_t lost = cluster_hand_over(self, wait_ms, to);
    record_close(to, opened);
    stored_settle(self, wait_ms);
    lost += stored_close(self, wait_ms);
    counter_add(&self->counters->dropped[DROP_SHUTDOWN], lost);
    if (lost > 0)
        acks_disown(self);
}

static uint64_t
format_of(const wire_t *self)
{
    return self->cluster ? SAVEDROUTE_FORMAT_STREAM : SAVEDROUTE_FORMAT;
}

bool
handover_save(route_t *self, const route_conf_t *successor, record_t *to)
{
    if (!may_keep_all(self, successor) || !fits_twice(self))
        return false;
    end_broken(self);
    close_stores(self, to);
    if (self->ports[SIDE_BACKEND].durables)
        durables_hand_over(self->ports[SIDE_BACKEND].durables);
    archive_close(self, STORE_MS);
    record_number(to, TAG_FORMAT, format_of(self));
    record_number(to, TAG_PENDING, (uint64_t)self->pending);
    record_number(to, TAG_MODE, (uint64_t)atomic_load(&self->base.thread.mode));
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype)
            save_port(&self->ports[side], to);
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype)
            save_conns(&self->ports[side], to);
    save_fds(self, to);
    cluster_part(self);
    self->closing = self->handed_over = true;
    routethread_end_now(&self->base.thread);
    doors_remove_all(self);
    for (side_t side = 0; side < SIDES; side++)
        if (self->ports[side].socktype)
            vanish_all(&self->ports[side]);
    return true;
}

void
handover_take(route_t *self, record_t *saved)
{
    self->saved = *saved;
    *saved = (record_t){ 0 };
}

// --- restoring -------------------------------------------------------------------------

static wport_t *
port_of(wire_t *self, record_fields_t from)
{
    record_field_t field;
    uint64_t side;
    bool known = record_find(from, TAG_SIDE, &field) && record_to_number(&field, SIDES - 1, &side);
    return known && self->ports[side].socktype ? &self->ports[side] : NULL;
}

// A configuration without durable subscribers forgets those that are away.
static void
restore_kept(wport_t *port, record_fields_t from)
{
    record_field_t field;
    if (port->remembered && !archive_has_any(port->wire) && record_find(from, TAG_REMEMBERED, &field)) {
        remember_restore(port->remembered, record_inside(&field));
        archive_write(port->wire);
    }
    if (!record_find(from, TAG_AWAY, &field))
        return;
    uint64_t messages = durables_restore(port->durables, record_inside(&field));
    if (!port->durables)
        port_drop(port, DROP_SHUTDOWN, messages);
}

// Publishers were asked for what is wanted, or for everything.
static void
settle_upstream(wport_t *port, record_fields_t from)
{
    record_field_t field;
    bool remembered = record_find(from, TAG_REMEMBERED, &field);
    if (port->socktype->subscribed && remembered != (port->remembered != NULL))
        fan_remembers_now(port);
}

static void
restore_port(wport_t *port, record_fields_t from)
{
    record_field_t field;
    uint64_t number;
    spans_t returned = { 0 };
    restore_kept(port, from);
    if (record_find(from, TAG_TURN, &field) && record_to_number(&field, UINT32_MAX, &number))
        port->turn = (uint32_t)number;
    if (record_find(from, TAG_OWN, &field) && port->socktype->restore)
        port->socktype->restore(port, record_inside(&field));
    while (record_next(&from, &field))
        if (field.tag == TAG_RETURNED)
            spans_restore(&returned, &port->wire->pool, field.at, field.size, false);
    port_return(port, &returned);
}

static void
restore_endpoint(conn_t *conn, record_fields_t from)
{
    char *endpoint = connrecord_endpoint(from);
    if (!endpoint)
        return;
    if (conn->outgoing)
        connect_again(conn, endpoint);
    else
        conn->listener = listeners_find(&conn->wire->base.listeners, conn->port->side, endpoint);
    if (!conn->dialled && !conn->listener)
        conn_leave(conn, "its endpoint was removed");
    free(endpoint);
}

// It is judged anew before anything of it is read.
static void
restore_open(conn_t *conn, record_fields_t from)
{
    wport_t *port = conn->port;
    login_again(conn);
    if (!conn->left)
        places_keep(conn);
    conn->full = false;
    if (port_rejoin(conn) == -1) {
        conn->state = CONN_GREETING;
        return;
    }
    port->queued.messages += conn->out.load.messages;
    port->queued_bytes += conn->out.bytes;
    port_count(port);
    if (!conn->left)
        counter_add(&port->counters->connections, 1);
    connrecord_topics(conn, from, fan_topic_again);
    output_limits_changed(conn);
    conn_mark(conn);
}

static void
restore_unnamed(conn_t *conn)
{
    stranger_t *stranger = conn->outgoing ? NULL : strangers_find(conn->wire, conn->fd);
    if (stranger && !places_wait(conn->port, stranger)) {
        conn_break(conn, CUT_NONE, "too many handshakes at once");
        return;
    }
    if (stranger)
        places_unnamed(conn, stranger);
    login_resume(conn);
}

// A wrong record costs its connection. FDS: those that have an owner already, and 1.
static bool
restore_conn(wire_t *self, record_fields_t from, idset_t *fds)
{
    int fd = connrecord_fd(from);
    wport_t *port = port_of(self, from);
    bool is_owned = fd != -1 && !idset_put(fds, (uint32_t)fd + 1);
    conn_t *conn = port && !is_owned ? connrecord_restore(port, from, fd) : NULL;
    if (!conn) {
        if (fd != -1 && !is_owned)
            close(fd);
        return false;
    }
    conn_enter(conn);
    restore_endpoint(conn, from);
    if (conn->state == CONN_OPEN)
        restore_open(conn, from);
    else
        restore_unnamed(conn);
    return true;
}

static void
say_lost(const wire_t *self, uint64_t connections, const char *reason)
{
    if (connections > 0)
        log_event(EVENT_HANDOVER_LOST, EVENT_TEXT("route", self->name), EVENT_NUMBER("connections", connections),
                  EVENT_PROSE("reason", reason));
}

static void
restore_numbers(wire_t *self, record_fields_t from)
{
    record_field_t field;
    uint64_t number;
    if (record_find(from, TAG_PENDING, &field) && record_to_number(&field, INT64_MAX, &number))
        self->pending = (int64_t)number;
    if (record_find(from, TAG_MODE, &field) && record_to_number(&field, ROUTE_DRAINING, &number))
        atomic_store(&self->base.thread.mode, (int)number);
}

static bool
is_known(const wire_t *self, record_fields_t from)
{
    record_field_t field;
    uint64_t format;
    return record_find(from, TAG_FORMAT, &field) && record_to_number(&field, UINT64_MAX, &format) &&
           format == format_of(self);
}

// A configuration that was read after it was written may say otherwise.
static bool
has_our_terms(wire_t *self, record_fields_t from)
{
    record_field_t field;
    uint64_t terms;
    while (record_next(&from, &field)) {
        if (field.tag != TAG_PORT)
            continue;
        record_fields_t inside = record_inside(&field);
        const wport_t *port = port_of(self, inside);
        if (!port || !record_find(inside, TAG_TERMS, &field) || !record_to_number(&field, UINT64_MAX, &terms) ||
            terms != port->terms)
            return false;
    }
    return true;
}

// The round robin goes on where it was, also past those that came back after it was read.
static void
settle_turns(wire_t *self, const uint32_t *turns)
{
    for (side_t side = 0; side < SIDES; side++)
        if (turns[side] < self->ports[side].ready)
            self->ports[side].turn = turns[side];
}

static void
each_port(wire_t *self, record_fields_t from, void (*fn)(wport_t *port, record_fields_t from))
{
    record_field_t field;
    while (record_next(&from, &field)) {
        wport_t *port = field.tag == TAG_PORT ? port_of(self, record_inside(&field)) : NULL;
        if (port)
            fn(port, record_inside(&field));
    }
}

static void
restore_all(wire_t *self, record_fields_t all)
{
    record_fields_t from = all;
    record_field_t field;
    idset_t fds = { 0 };
    uint64_t lost = 0;
    uint32_t turns[SIDES];
    restore_numbers(self, from);
    if (record_find(from, TAG_CLUSTER, &field))
        cluster_restore(self, record_inside(&field));
    each_port(self, all, restore_port);
    for (side_t side = 0; side < SIDES; side++)
        turns[side] = self->ports[side].turn;
    while (record_next(&from, &field))
        if (field.tag == TAG_CONN)
            lost += !restore_conn(self, record_inside(&field), &fds);
    idset_free(&fds);
    say_lost(self, lost, "what was handed over is wrong");
    settle_turns(self, turns);
    each_port(self, all, settle_upstream);
}

void
handover_restore(wire_t *self)
{
    record_fields_t from = record_fields(&self->saved);
    if (!self->saved.data)
        return;
    if (!is_known(self, from))
        say_lost(self, savedroute_drop(&self->saved), "another version has written it");
    else if (!has_our_terms(self, from))
        say_lost(self, savedroute_drop(&self->saved), "socket types or security are others now");
    else
        restore_all(self, from);
    record_forget(&self->saved);
}
