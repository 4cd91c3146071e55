// SPDX-License-Identifier: MPL-2.0
#include "wire/durable.h"

#include "base/mem.h"
#include "flow/client.h"
#include "wire/conn.h"
#include "wire/fan.h"
#include "wire/history.h"
#include "wire/keptrecord.h"
#include "wire/output.h"
#include "wire/port.h"
#include "wire/remember.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AWAY_MAX = 10000, // of a side: names cost nothing to make up
    NAME_MOST = 1 + UINT8_MAX,
};

// Of one that is away. Never used for anything else again.
enum { TAG_AWAY = 1, TAG_NAME, TAG_ID, TAG_SINCE, TAG_LEFT, TAG_PEER_NAME, TAG_USER, TAG_TOPIC };

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
            if (self->at[i]->kept && !self->port->wire->handed_over)
                port_drop(self->port, DROP_SHUTDOWN, total(self->at[i]).messages);
            free_durable(self->at[i]);
        }
    free(self->at);
    free(self);
    *self_p = NULL;
}

// --- coming ------------------------------------------------------------------------

static durable_t *
make(const void *name, size_t size)
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
            return make(name, 1 + words[i].size);
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

static void
enter(durables_t *self, durable_t *durable, uint32_t number)
{
    while (number >= self->room) {
        uint32_t room = self->room ? 2 * self->room : 64;
        self->at = xrealloc(self->at, room, sizeof(durable_t *));
        memset(self->at + self->room, 0, (room - self->room) * sizeof(durable_t *));
        self->room = room;
    }
    durable->all = self;
    durable->number = number;
    self->at[number] = durable;
    bytetree_add(&self->names, durable);
}

void
durables_enter(durables_t *self, conn_t *conn)
{
    if (!conn->durable)
        return;
    conn->durable->conn = conn;
    enter(self, conn->durable, conn->slot);
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

static void
go_away(durable_t *self, int64_t now_ms)
{
    durables_t *all = self->all;
    const route_conf_t *conf = all->port->wire->conf;
    kept_limits_t limits = { conf->durable_messages, conf->durable_bytes, conf->durable_time_ms, -1 };
    self->conn = NULL;
    self->left_ms = now_ms;
    self->kept = keeper_history.new(&all->port->wire->pool, &limits);
    self->older = all->newest;
    *(all->newest ? &all->newest->newer : &all->oldest) = self;
    all->newest = self;
    all->away++;
}

bool
durables_leave(durables_t *self, conn_t *conn)
{
    durable_t *durable = conn->durable;
    if (!durable)
        return false;
    if (conn->cut == CUT_AUTH || self->port->wire->closing || fan_topics_of(conn) == 0) {
        conn->durable = NULL;
        free_durable(durable);
        return false;
    }
    remember_what_is_shown(durable, conn);
    go_away(durable, self->port->wire->now_ms);
    if (self->away > AWAY_MAX)
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

// --- handing over ------------------------------------------------------------------

static void
save_topic(void *to, const void *topic, size_t size)
{
    record_bytes(to, TAG_TOPIC, topic, size);
}

static void
save_one(const durable_t *self, record_t *to)
{
    size_t opened = record_open(to, TAG_AWAY);
    record_bytes(to, TAG_NAME, self->name, self->size);
    record_number(to, TAG_ID, self->id);
    record_number(to, TAG_SINCE, (uint64_t)self->since_wall_ns);
    record_number(to, TAG_LEFT, (uint64_t)self->left_ms);
    record_text(to, TAG_PEER_NAME, self->peer_name);
    record_text(to, TAG_USER, self->user);
    fan_topics_each_at(self->all->port, self->number, save_topic, to);
    keeper_history.each(self->kept, keptrecord_save, to);
    record_close(to, opened);
}

void
durables_save(const durables_t *self, record_t *to)
{
    for (const durable_t *i = self->oldest; i; i = i->newer)
        save_one(i, to);
}

static char *
text_in(record_fields_t from, unsigned tag)
{
    record_field_t field;
    return record_find(from, tag, &field) ? record_to_text(&field, UINT8_MAX) : NULL;
}

// NULL: the record is wrong, or there is one of its name.
static durable_t *
find_new(durables_t *self, record_fields_t from)
{
    record_field_t field;
    if (!record_find(from, TAG_NAME, &field) || field.size < 2 || field.size > NAME_MOST ||
        bytetree_find(&self->names, bytes_of(field.at, field.size)))
        return NULL;
    return make(field.at, field.size);
}

static void
put_again(void *durable, const kept_t *kept)
{
    put(durable, kept);
}

static void
restore_one(durables_t *self, record_fields_t from)
{
    wire_t *wire = self->port->wire;
    record_field_t field;
    durable_t *durable = find_new(self, from);
    if (!durable)
        return;
    enter(self, durable, fan_free_number(self->port));
    go_away(durable, (int64_t)record_number_of(from, TAG_LEFT, (uint64_t)wire->now_ms));
    durable->id = record_number_of(from, TAG_ID, UINT64_MAX);
    durable->since_wall_ns = (int64_t)record_number_of(from, TAG_SINCE, INT64_MAX);
    durable->peer_name = text_in(from, TAG_PEER_NAME);
    durable->user = text_in(from, TAG_USER);
    for (record_fields_t i = from; record_next(&i, &field);)
        if (field.tag == TAG_TOPIC)
            fan_topic_again_at(self->port, durable->number, field.at, field.size);
    keptrecord_restore(from, wire->now_ms, put_again, durable);
}

static void
count_one(void *messages, const kept_t *kept)
{
    (void)kept;
    ++*(uint64_t *)messages;
}

uint64_t
durables_restore(durables_t *self, record_fields_t from)
{
    record_field_t field;
    uint64_t messages = 0;
    while (record_next(&from, &field)) {
        if (field.tag != TAG_AWAY)
            continue;
        keptrecord_restore(record_inside(&field), INT64_MAX, count_one, &messages);
        if (self && self->away < AWAY_MAX)
            restore_one(self, record_inside(&field));
    }
    return messages;
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
        client->queued = (int64_t)total(i).messages;
        client->queued_bytes = (int64_t)total(i).bytes;
        client->subscriptions = (int64_t)fan_topics_at(self->port, i->number);
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
