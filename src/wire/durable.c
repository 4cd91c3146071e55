// SPDX-License-Identifier: MPL-2.0
#include "wire/durable.h"

#include "base/mem.h"
#include "flow/client.h"
#include "wire/conn.h"
#include "wire/fan.h"
#include "wire/history.h"
#include "wire/output.h"
#include "wire/port.h"
#include "wire/remember.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { AWAY_MAX = 10000 }; // of a side: names cost nothing to make up

struct durable {
    durables_t *all;
    durable_t *older, *newer; // of those that are away, by when they left
    uint32_t number;
    conn_t *conn; // NULL: it is away
    void *kept;   // then
    uint64_t id;  // of its connection, and what of that is shown
    int64_t since_wall_ns, left_ms;
    char *peer_name, *user;
    size_t size;
    uint8_t name[]; // its first byte says whose word it is
};

struct durables {
    wport_t *port;
    bytetree_t names;
    durable_t **at; // by number; NULL: not here
    uint32_t room, away;
    durable_t *oldest, *newest;
};

static bytes_t
name_of(const void *durable)
{
    const durable_t *self = durable;
    return bytes_of(self->name, self->size);
}

durables_t *
durables_new(wport_t *port)
{
    if (port->side != SIDE_BACKEND || !port->wire->conf->durable)
        return NULL;
    durables_t *self = xcalloc(1, sizeof *self);
    self->port = port;
    self->names.name = name_of;
    return self;
}

// --- one of them -------------------------------------------------------------------

static kept_total_t
total(const durable_t *self)
{
    return keeper_history.total(self->kept);
}

// What fell out of the limits.
static void
count_expired(const durable_t *self, uint64_t before)
{
    port_drop(self->all->port, DROP_EXPIRED, before - total(self).messages);
}

static void
put(durable_t *self, const kept_t *message)
{
    uint64_t before = total(self).messages;
    keeper_history.put(self->kept, message);
    count_expired(self, before + 1);
}

static void
let_go_of_kept(durable_t *self)
{
    durables_t *all = self->all;
    *(self->older ? &self->older->newer : &all->oldest) = self->newer;
    *(self->newer ? &self->newer->older : &all->newest) = self->older;
    self->older = self->newer = NULL;
    all->away--;
    keeper_history.free(self->kept);
    self->kept = NULL;
}

static void
free_durable(durable_t *self)
{
    if (self->kept)
        let_go_of_kept(self);
    bytetree_remove(&self->all->names, name_of(self));
    self->all->at[self->number] = NULL;
    free(self->peer_name);
    free(self->user);
    free(self);
}

// For good, while it is away.
static void
forget(durable_t *self)
{
    port_drop(self->all->port, DROP_EXPIRED, total(self).messages);
    fan_forget(self->all->port, self->number);
    free_durable(self);
}

void
durables_free(durables_t **self_p)
{
    durables_t *self = *self_p;
    if (!self)
        return;
    for (uint32_t i = 0; i < self->room; i++)
        if (self->at[i]) {
            if (self->at[i]->kept)
                port_drop(self->port, DROP_SHUTDOWN, total(self->at[i]).messages);
            free_durable(self->at[i]);
        }
    free(self->at);
    free(self);
    *self_p = NULL;
}

// --- coming ------------------------------------------------------------------------

// NULL: it has no name.
static durable_t *
named(const conn_t *conn)
{
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
        if (words[i].size > 0) {
            durable_t *self = xcalloc(1, sizeof *self + 1 + words[i].size);
            self->name[0] = (uint8_t)words[i].kind;
            memcpy(self->name + 1, words[i].at, words[i].size);
            self->size = 1 + words[i].size;
            return self;
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
durables_enter(durables_t *self, conn_t *conn)
{
    durable_t *durable = conn->durable;
    if (!durable)
        return;
    while (conn->slot >= self->room) {
        uint32_t room = self->room ? 2 * self->room : 64;
        self->at = xrealloc(self->at, room, sizeof(durable_t *));
        memset(self->at + self->room, 0, (room - self->room) * sizeof(durable_t *));
        self->room = room;
    }
    durable->all = self;
    durable->conn = conn;
    durable->number = conn->slot;
    self->at[conn->slot] = durable;
    bytetree_add(&self->names, durable);
}

static bool
bring(void *arg, const kept_t *kept)
{
    conn_t *conn = arg;
    bytes_t first = kept_first(kept->data, kept->size);
    if (!conn->rights || conn->wire->services->admission->may(conn->rights, ADMISSION_READ, first.at, first.size))
        output_beyond(conn, kept->chunk, kept->data, kept->size, (load_t){ 1, kept->payload });
    return true;
}

bool
durables_bring(durables_t *self, conn_t *conn)
{
    durable_t *durable = conn->durable;
    if (!durable || !durable->kept)
        return false;
    uint64_t before = total(durable).messages;
    keeper_history.expire(durable->kept, self->port->wire->now_ms);
    count_expired(durable, before);
    keeper_history.list(durable->kept, bytes_of(NULL, 0), bring, conn);
    let_go_of_kept(durable);
    return true;
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

bool
durables_leave(durables_t *self, conn_t *conn)
{
    const route_conf_t *conf = self->port->wire->conf;
    durable_t *durable = conn->durable;
    if (!durable)
        return false;
    if (conn->cut == CUT_AUTH || self->port->wire->closing || fan_topics_of(conn) == 0) {
        conn->durable = NULL;
        free_durable(durable);
        return false;
    }
    kept_limits_t limits = { conf->durable_messages, conf->durable_bytes, conf->durable_time_ms, -1 };
    remember_what_is_shown(durable, conn);
    durable->conn = NULL;
    durable->left_ms = self->port->wire->now_ms;
    durable->kept = keeper_history.new(&self->port->wire->pool, &limits);
    durable->older = self->newest;
    *(self->newest ? &self->newest->newer : &self->oldest) = durable;
    self->newest = durable;
    if (++self->away > AWAY_MAX)
        forget(self->oldest);
    return true;
}

void
durables_take(durable_t *self, spans_t *spans)
{
    wire_t *wire = self->all->port->wire;
    kept_t kept = { .since_ms = wire->now_ms };
    load_t load;
    size_t at;
    while (spans_take(spans, &wire->pool, &kept.chunk, &at, &kept.size, &load)) {
        kept.data = kept.chunk->data + at;
        kept.payload = load.payload;
        if (load.messages > 0)
            put(self, &kept);
        chunk_drop(kept.chunk);
    }
    spans_clear(spans);
}

// --- while it is away --------------------------------------------------------------

bool
durables_has(const durables_t *self, uint32_t number)
{
    return number < self->room && self->at[number] && !self->at[number]->conn;
}

void
durables_put(durables_t *self, uint32_t number, const piece_t *piece)
{
    kept_t kept = remember_kept(self->port->wire, piece);
    if (durables_has(self, number))
        put(self->at[number], &kept);
}

void
durables_tick(durables_t *self)
{
    wire_t *wire = self->port->wire;
    while (self->oldest && wire->now_ms - self->oldest->left_ms > wire->conf->durable_time_ms)
        forget(self->oldest);
    for (durable_t *i = self->oldest; i; i = i->newer) {
        uint64_t before = total(i).messages;
        keeper_history.expire(i->kept, wire->now_ms);
        count_expired(i, before);
    }
    if (wire->is_short && self->oldest)
        forget(self->oldest);
}

// --- seen from outside -------------------------------------------------------------

void
durables_each(const durables_t *self, durables_fn *fn, void *arg)
{
    for (const durable_t *i = self->oldest; i; i = i->newer) {
        client_t client;
        client_know_nothing(&client);
        client.id = i->id;
        client.route = self->port->wire->name;
        client.side = self->port->side;
        client.away = true;
        client.since_wall_ns = i->since_wall_ns;
        snprintf(client.peer, sizeof client.peer, "%s", i->peer_name);
        snprintf(client.user, sizeof client.user, "%s", i->user ? i->user : "");
        client.queued = (int64_t)total(i).messages;
        client.queued_bytes = (int64_t)total(i).bytes;
        client.subscriptions = (int64_t)fan_topics_at(self->port, i->number);
        fn(arg, &client);
    }
}

bool
durables_forget(durables_t *self, uint64_t id)
{
    for (durable_t *i = self->oldest; i; i = i->newer)
        if (i->id == id) {
            forget(i);
            return true;
        }
    return false;
}
