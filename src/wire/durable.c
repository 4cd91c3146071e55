// SPDX-License-Identifier: MPL-2.0
#include "wire/durable_internal.h"

#include "base/mem.h"
#include "flow/client.h"
#include "wire/archivelog.h"
#include "wire/conn.h"
#include "wire/fan.h"
#include "wire/output.h"
#include "wire/port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bytes_t
name_of(const void *durable)
{
    const durable_t *self = durable;
    return bytes_of(self->name, self->size);
}

static kept_limits_t
limits_of(const route_conf_t *conf)
{
    return (kept_limits_t){ .messages = conf->durable_messages,
                            .bytes = conf->durable_bytes,
                            .time_ms = conf->durable_time_ms,
                            .topic_end = -1 };
}

durables_t *
durables_new(wport_t *port)
{
    if (port->side != SIDE_BACKEND || !port->wire->conf->durable)
        return NULL;
    durables_t *self = xcalloc(1, sizeof *self);
    self->port = port;
    self->names.name = name_of;
    self->limits = limits_of(port->wire->conf);
    return self;
}

// --- one of them -------------------------------------------------------------------

static bool
is_away(const durable_t *self)
{
    return self->kept && !self->conn;
}

static void
free_durable(durable_t *self)
{
    if (is_away(self))
        durable_is_back(self);
    if (self->kept)
        durable_let_go_of_kept(self);
    bytetree_remove(&self->all->names, name_of(self));
    self->all->at[self->number] = NULL;
    self->all->known--;
    free(self->peer_name);
    free(self->user);
    free(self);
}

// For good, while it is away.
void
durable_forget(durable_t *self)
{
    wport_t *port = self->all->port;
    if (!self->all->reading && self->kept)
        port_drop(port, DROP_EXPIRED, durable_total(self).messages);
    durable_note_forgotten(self);
    fan_forget(port, self->number);
    free_durable(self);
}

// What is on disk stays.
static bool
count_lost(void *arg, const kept_t *kept)
{
    durables_t *self = arg;
    if (!kept->stored || kept->sequence >= self->port->wire->archived)
        port_drop(self->port, DROP_SHUTDOWN, 1);
    return true;
}

void
durables_free(durables_t **self_p)
{
    durables_t *self = *self_p;
    if (!self)
        return;
    for (uint32_t i = 0; i < self->room; i++)
        if (self->at[i]) {
            if (is_away(self->at[i]) && !self->port->wire->handed_over)
                keeper_history.each(self->at[i]->kept, count_lost, self);
            free_durable(self->at[i]);
        }
    free(self->at);
    free(self);
    *self_p = NULL;
}

// --- coming ------------------------------------------------------------------------

durable_t *
durable_make(const void *name, size_t size)
{
    durable_t *self = xcalloc(1, sizeof *self + size);
    memcpy(self->name, name, size);
    self->size = size;
    return self;
}

// NULL: it has no name.
static durable_t *
named(const conn_t *conn)
{
    uint8_t name[NAME_MOST];
    const struct {
        char kind;
        const void *at;
        size_t size;
    } words[] = {
        { 'u', conn->user, conn->user ? strlen(conn->user) : 0 },
        { 'x', conn->said_durable, conn->said_durable_size },
        { 'i', conn->routing_id, conn->major < 3 ? conn->routing_id_size : 0 },
    };
    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i].size > 0 && words[i].size < sizeof name) {
            name[0] = (uint8_t)words[i].kind;
            memcpy(name + 1, words[i].at, words[i].size);
            return durable_make(name, 1 + words[i].size);
        }
    return NULL;
}

int
durables_join(durables_t *self, conn_t *conn)
{
    conn->durable = named(conn);
    void **known = conn->durable ? bytetree_find(&self->names, name_of(conn->durable)) : NULL;
    if (!known)
        return 0;
    free(conn->durable);
    conn->durable = *known;
    if (conn->durable->conn) {
        conn->durable = NULL;
        conn_refuse(conn, HANDSHAKE_DUPLICATE_ID, "a subscriber of its name is connected");
        return -1;
    }
    conn->durable->conn = conn;
    conn->slot = conn->durable->number;
    return 1;
}

void
durable_enter(durables_t *self, durable_t *durable, uint32_t number)
{
    while (number >= self->room) {
        uint32_t room = self->room ? 2 * self->room : 64;
        self->at = xrealloc(self->at, room, sizeof(durable_t *));
        memset(self->at + self->room, 0, (room - self->room) * sizeof(durable_t *));
        self->room = room;
    }
    durable->all = self;
    durable->limits = self->limits;
    durable->number = number;
    self->at[number] = durable;
    self->known++;
    bytetree_add(&self->names, durable);
}

uint32_t
durables_free_number(const durables_t *self)
{
    uint32_t number = fan_free_number(self->port, 0);
    while (durables_has(self, number))
        number = fan_free_number(self->port, number + 1);
    return number;
}

void
durables_enter(durables_t *self, conn_t *conn)
{
    if (!conn->durable)
        return;
    conn->durable->conn = conn;
    durable_enter(self, conn->durable, conn->slot);
}

void
durables_topic(conn_t *conn, const uint8_t *topic, size_t size, bool on)
{
    durable_t *self = conn->durable;
    if (!self->noted && on)
        durable_write_whole(self);
    else
        durable_note(self, on ? TAG_TOPIC : TAG_NO_TOPIC, topic, size);
}

// --- going -------------------------------------------------------------------------

static void
remember_what_is_shown(durable_t *self, const conn_t *conn)
{
    free(self->peer_name);
    free(self->user);
    self->peer_name = xstrdup(conn->peer_name);
    self->user = conn->user ? xstrdup(conn->user) : NULL;
    self->id = conn->id;
    self->since_wall_ns = conn->since_wall_ns;
}

static void
leave(durable_t *self, const conn_t *conn)
{
    if (self->kept)
        durable_look_how_far_it_is(self);
    remember_what_is_shown(self, conn);
    durable_go_away(self, self->all->port->wire->now_ms);
    durable_note_left(self);
}

bool
durables_leave(durables_t *self, conn_t *conn)
{
    durable_t *durable = conn->durable;
    if (!durable)
        return false;
    if (conn->cut == CUT_AUTH || self->port->wire->closing || fan_topics_of(conn) == 0) {
        conn->durable = NULL;
        if (!self->port->wire->closing)
            durable_note_forgotten(durable);
        free_durable(durable);
        return false;
    }
    leave(durable, conn);
    if (self->away > AWAY_MAX)
        durable_forget(self->oldest);
    return true;
}

uint64_t
durables_keep_queue(conn_t *conn)
{
    durable_t *self = conn->durable;
    spans_t spans = { 0 };
    if (!self || !archivelog_is_ready(conn->wire) || fan_topics_of(conn) == 0)
        return 0;
    leave(self, conn);
    uint64_t lost = output_abandon(conn, &spans).messages;
    durables_take(self, &spans);
    conn->durable = NULL;
    return lost;
}

// --- while it is away --------------------------------------------------------------

bool
durables_has(const durables_t *self, uint32_t number)
{
    return number < self->room && self->at[number] && !self->at[number]->conn;
}

bool
durables_keeps(const durables_t *self, uint32_t number)
{
    return number < self->room && self->at[number] && self->at[number]->kept;
}

void
durables_put(durables_t *self, uint32_t number, const kept_t *kept)
{
    durable_t *durable = self->at[number];
    durable->behind |= durable->noted && !kept->stored;
    durable_put(durable, kept);
}

static void
look_at_all(durables_t *self)
{
    for (uint32_t i = 0; i < self->room; i++) {
        durable_t *durable = self->at[i];
        if (durable && durable->conn && durable->kept)
            durable_look_how_far_it_is(durable);
        if (durable && durable->behind)
            durable_write_whole(durable);
    }
}

void
durables_tick(durables_t *self)
{
    wire_t *wire = self->port->wire;
    if (self->reading)
        return;
    while (self->oldest && wire->now_ms - self->oldest->left_ms > self->limits.time_ms)
        durable_forget(self->oldest);
    for (durable_t *i = self->oldest; i; i = i->newer)
        durable_expire(i);
    if (wire->is_short && self->oldest)
        durable_forget(self->oldest);
    if (archivelog_is_ready(wire))
        look_at_all(self);
}

// --- seen from outside -------------------------------------------------------------

void
durables_list(const durables_t *self, client_list_t *list)
{
    for (const durable_t *i = self->oldest; i; i = i->newer) {
        client_t *client = client_list_add(list, self->port->wire->name, self->port->side, i->id, i->peer_name ? i->peer_name : "");
        client->away = true;
        client->since_wall_ns = i->since_wall_ns;
        snprintf(client->user, sizeof client->user, "%s", i->user ? i->user : "");
        client->queued = (int64_t)durable_total(i).messages;
        client->queued_bytes = (int64_t)durable_total(i).bytes;
        client->subscriptions = (int64_t)fan_topics_at(self->port, i->number);
    }
}

bool
durables_forget(durables_t *self, uint64_t id)
{
    for (durable_t *i = self->oldest; i; i = i->newer)
        if (i->id == id) {
            durable_forget(i);
            return true;
        }
    return false;
}
