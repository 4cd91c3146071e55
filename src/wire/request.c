// SPDX-License-Identifier: MPL-2.0
#include "wire/request.h"

#include "base/hash.h"
#include "base/mem.h"
#include "wire/conn.h"
#include "wire/options.h"
#include "wire/output.h"
#include "wire/port.h"
#include "wire/say.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zmq.h>

enum {
    OWN_ID_BYTES = 13,    // 0, the slot, and what is never the same again
    OWNED_MOST = 65536,   // ids of peers that have gone, kept for answers that may still come
    BUCKETS_FIRST = 64,
    SLOTS_MOST = 1 << 20, // that another route may have had
};

// Of what is handed over; never used for anything else again.
enum { TAG_LAST = 1, TAG_NAME, TAG_NAME_BYTES, TAG_NAME_USER, TAG_NAME_UNANSWERED };

// An id that a peer chose, and whose it is.
typedef struct name {
    struct name *next;
    conn_t *holder;     // NULL: has gone, with requests unanswered
    uint32_t before;    // that had it, and end later: what they sent may still wait
    char *user;         // NULL: nobody
    int64_t unanswered; // of those that have gone
    uint64_t hash;
    uint8_t size, bytes[];
} name_t;

typedef struct {
    conn_t **slots; // by number, NULL: free
    uint32_t count, room;
    uint64_t last; // of the numbers that are never used again
    name_t **buckets;
    uint32_t bucket_count, names, orphans;
    bool handover;
} router_t;

static router_t *
router_of(wport_t *self)
{
    if (self->own)
        return self->own;
    router_t *router = self->own = xcalloc(1, sizeof *router);
    router->bucket_count = BUCKETS_FIRST;
    router->buckets = xcalloc(router->bucket_count, sizeof *router->buckets);
    router->handover = side_option(self->conf, "router_handover", 0);
    if (getrandom(&router->last, sizeof router->last, 0) != sizeof router->last)
        router->last = (uint64_t)self->wire->now_ms << 20;
    return router;
}

// --- names ---------------------------------------------------------------------------

static name_t **
find_name(const router_t *self, const void *bytes, size_t size, uint64_t hash)
{
    name_t **at = &self->buckets[hash & (self->bucket_count - 1)];
    while (*at && ((*at)->hash != hash || (*at)->size != size || memcmp((*at)->bytes, bytes, size) != 0))
        at = &(*at)->next;
    return at;
}

static bool
is_orphan(const name_t *self)
{
    return !self->holder && self->before == 0;
}

static void
more_buckets(router_t *self)
{
    uint32_t count = self->bucket_count * 2;
    name_t **buckets = xcalloc(count, sizeof *buckets);
    for (uint32_t i = 0; i < self->bucket_count; i++)
        while (self->buckets[i]) {
            name_t *name = self->buckets[i];
            self->buckets[i] = name->next;
            name->next = buckets[name->hash & (count - 1)];
            buckets[name->hash & (count - 1)] = name;
        }
    free(self->buckets);
    self->buckets = buckets;
    self->bucket_count = count;
}

static name_t *
add_name(router_t *self, const uint8_t *bytes, size_t size, uint64_t hash)
{
    if (self->names >= self->bucket_count)
        more_buckets(self);
    name_t *name = xcalloc(1, sizeof *name + size);
    name->hash = hash;
    name->size = (uint8_t)size;
    memcpy(name->bytes, bytes, size);
    name->next = self->buckets[hash & (self->bucket_count - 1)];
    self->buckets[hash & (self->bucket_count - 1)] = name;
    self->names++;
    return name;
}

static void
remove_name(router_t *self, name_t **at)
{
    name_t *name = *at;
    *at = name->next;
    self->names--;
    free(name->user);
    free(name);
}

static bool
same_user(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

// --- who comes -----------------------------------------------------------------------

static uint32_t
free_slot(router_t *self)
{
    for (uint32_t i = 0; i < self->count; i++)
        if (!self->slots[i])
            return i;
    mem_grow(self->slots, self->count, self->room);
    return self->count++;
}

static void
give_own_id(router_t *self, conn_t *conn)
{
    uint64_t unique = ++self->last;
    conn->routing_id = xcalloc(1, OWN_ID_BYTES);
    conn->routing_id_size = OWN_ID_BYTES;
    memcpy(conn->routing_id + 1, &conn->slot, sizeof conn->slot);
    memcpy(conn->routing_id + 5, &unique, sizeof unique);
}

// connect_routing_id: the peer that we connect to is called so, whatever it says of itself.
static void
name_ourselves(conn_t *conn)
{
    const char *id = conn->outgoing ? options_text(conn->port->conf, "connect_routing_id") : NULL;
    if (!id)
        return;
    free(conn->routing_id);
    conn->routing_id = (uint8_t *)xstrdup(id);
    conn->routing_id_size = (uint8_t)strlen(id);
}

// What it sent may still wait for a service, but nothing more can reach it.
static bool
has_gone(const conn_t *conn)
{
    return conn->hung_up || conn->broken || conn->left;
}

// CONN is called so from now on, and is owed the answers to those before it.
static void
hold(name_t *self, conn_t *conn)
{
    conn_t *last = self->holder;
    int64_t *unanswered = last ? &last->unanswered : &self->unanswered;
    self->before += last != NULL;
    conn->unanswered += *unanswered;
    *unanswered = 0;
    self->holder = conn;
}

// May another connection have NAME? IS_FIRST: it had it before its holder.
static bool
may_take_over(const router_t *self, const name_t *name, bool is_first)
{
    return !name->holder || self->handover || has_gone(name->holder) || is_first;
}

// Does another connection have the id that CONN chose, or is an answer on its way to another user? IS_BACK: it has come
// from another route, and had it there.
static int
claim_name(router_t *self, conn_t *conn, bool is_back)
{
    uint64_t hash = hash_bytes(conn->routing_id, conn->routing_id_size);
    name_t *name = *find_name(self, conn->routing_id, conn->routing_id_size, hash);
    bool is_first = is_back && has_gone(conn);
    if (name && (!same_user(name->user, conn->user) || !may_take_over(self, name, is_first))) {
        conn_refuse(conn, HANDSHAKE_DUPLICATE_ID, "its routing id belongs to another client");
        return -1;
    }
    if (!name) {
        name = add_name(self, conn->routing_id, conn->routing_id_size, hash);
        name->user = conn->user ? xstrdup(conn->user) : NULL;
    } else if (is_orphan(name))
        self->orphans--;
    if (name->holder && is_first) {
        name->before++;
        return 0;
    }
    if (name->holder && !has_gone(name->holder))
        conn_break(name->holder, CUT_NONE, "another client took over its routing id");
    hold(name, conn);
    return 0;
}

static void
take_slot(router_t *self, conn_t *conn)
{
    self->slots[conn->slot] = conn;
    conn->prefix = xcalloc(1, FRAME_SHORT_HEAD + (size_t)conn->routing_id_size);
    conn->prefix_size = frame_write_head(conn->prefix, FRAME_MORE, conn->routing_id_size);
    memcpy(conn->prefix + conn->prefix_size, conn->routing_id, conn->routing_id_size);
    conn->prefix_size += conn->routing_id_size;
}

static int
client_joined(conn_t *conn)
{
    router_t *self = router_of(conn->port);
    name_ourselves(conn);
    if (conn->routing_id_size > 0 && conn->routing_id[0] == 0) {
        conn_refuse(conn, HANDSHAKE_PROTOCOL, "its routing id begins with a 0 byte");
        return -1;
    }
    conn->slot = free_slot(self);
    if (conn->routing_id_size == 0)
        give_own_id(self, conn);
    else if (claim_name(self, conn, false) == -1)
        return -1;
    take_slot(self, conn);
    return 0;
}

// Its id may have been given by the route before, and has its slot in it.
static int
client_rejoined(conn_t *conn)
{
    router_t *self = router_of(conn->port);
    bool is_own = conn->routing_id_size == OWN_ID_BYTES && conn->routing_id[0] == 0;
    while (conn->slot < SLOTS_MOST && self->count <= conn->slot) {
        mem_grow(self->slots, self->count, self->room);
        self->slots[self->count++] = NULL;
    }
    if (conn->slot >= SLOTS_MOST || self->slots[conn->slot] || conn->routing_id_size == 0) {
        conn_break(conn, CUT_PROTOCOL, "its place was handed over to another client");
        return -1;
    }
    if (!is_own && claim_name(self, conn, true) == -1)
        return -1;
    take_slot(self, conn);
    return 0;
}

// Too many that nobody answers: the answers will find nobody, and are counted then.
static void
forget_orphans(router_t *self)
{
    for (uint32_t i = 0; i < self->bucket_count; i++)
        for (name_t **at = &self->buckets[i]; *at;)
            if (!is_orphan(*at))
                at = &(*at)->next;
            else
                remove_name(self, at);
    self->orphans = 0;
}

// Nobody is called so any more.
static void
leave_name(router_t *self, name_t **at)
{
    if ((*at)->unanswered <= 0 || !(*at)->user)
        remove_name(self, at);
    else if (++self->orphans > OWNED_MOST)
        forget_orphans(self);
}

static void
client_left(conn_t *conn)
{
    router_t *self = router_of(conn->port);
    self->slots[conn->slot] = NULL;
    uint64_t hash = hash_bytes(conn->routing_id, conn->routing_id_size);
    name_t **at = find_name(self, conn->routing_id, conn->routing_id_size, hash), *name = *at;
    if (!name)
        return;
    if (name->holder == conn)
        name->holder = NULL;
    else
        name->before--;
    *(name->holder ? &name->holder->unanswered : &name->unanswered) += conn->unanswered;
    if (is_orphan(name))
        leave_name(self, at);
}

static void
router_close(wport_t *self)
{
    router_t *router = self->own;
    if (!router)
        return;
    for (uint32_t i = 0; i < router->bucket_count; i++)
        while (router->buckets[i])
            remove_name(router, &router->buckets[i]);
    free(router->buckets);
    free(router->slots);
    free(router);
    self->own = NULL;
}

// --- handing over --------------------------------------------------------------------

static void
save_orphan(const name_t *name, record_t *to)
{
    size_t opened = record_open(to, TAG_NAME);
    record_bytes(to, TAG_NAME_BYTES, name->bytes, name->size);
    record_text(to, TAG_NAME_USER, name->user);
    record_number(to, TAG_NAME_UNANSWERED, (uint64_t)name->unanswered);
    record_close(to, opened);
}

static void
router_save(const wport_t *port, record_t *to)
{
    const router_t *self = port->own;
    if (!self)
        return;
    record_number(to, TAG_LAST, self->last);
    for (uint32_t i = 0; i < self->bucket_count; i++)
        for (const name_t *name = self->buckets[i]; name; name = name->next)
            if (!name->holder)
                save_orphan(name, to);
}

static void
restore_orphan(router_t *self, record_fields_t from)
{
    record_field_t bytes, user, unanswered;
    uint64_t count;
    if (!record_find(from, TAG_NAME_BYTES, &bytes) || bytes.size == 0 || bytes.size > UINT8_MAX || self->orphans >= OWNED_MOST
        || !record_find(from, TAG_NAME_USER, &user) || !record_find(from, TAG_NAME_UNANSWERED, &unanswered)
        || !record_to_number(&unanswered, INT64_MAX, &count))
        return;
    uint64_t hash = hash_bytes(bytes.at, bytes.size);
    char *text = record_to_text(&user, UINT8_MAX);
    if (!text || *find_name(self, bytes.at, bytes.size, hash)) {
        free(text);
        return;
    }
    name_t *name = add_name(self, bytes.at, bytes.size, hash);
    name->user = text;
    name->unanswered = (int64_t)count;
    self->orphans++;
}

static void
router_restore(wport_t *port, record_fields_t from)
{
    router_t *self = router_of(port);
    record_field_t field;
    if (record_find(from, TAG_LAST, &field))
        record_to_number(&field, UINT64_MAX, &self->last);
    while (record_next(&from, &field))
        if (field.tag == TAG_NAME)
            restore_orphan(self, record_inside(&field));
}

// --- messages ------------------------------------------------------------------------

// On the way of every reply: by_own_id and by_id are made part of it.
static inline __attribute__((always_inline)) conn_t *
by_own_id(const router_t *self, const uint8_t *id)
{
    uint32_t slot;
    memcpy(&slot, id + 1, sizeof slot);
    conn_t *conn = slot < self->count ? self->slots[slot] : NULL;
    if (!conn || conn->routing_id_size != OWN_ID_BYTES)
        return NULL;
    uint64_t unique, wanted; // the rest says where it is
    memcpy(&unique, conn->routing_id + 5, sizeof unique);
    memcpy(&wanted, id + 5, sizeof wanted);
    return unique == wanted && conn->routing_id[0] == 0 ? conn : NULL;
}

static void
answered_nobody(router_t *self, name_t **at)
{
    name_t *name = *at;
    if (!name || --name->unanswered > 0 || !is_orphan(name))
        return;
    self->orphans--;
    remove_name(self, at);
}

static __attribute__((noinline)) conn_t *
by_name(router_t *self, const uint8_t *id, size_t size)
{
    name_t **at = find_name(self, id, size, hash_bytes(id, size));
    conn_t *holder = *at ? (*at)->holder : NULL;
    if (!holder)
        answered_nobody(self, at);
    return holder;
}

static inline __attribute__((always_inline)) conn_t *
by_id(router_t *self, const uint8_t *id, size_t size)
{
    return size == OWN_ID_BYTES && id[0] == 0 ? by_own_id(self, id) : by_name(self, id, size);
}

static given_t
drop(wport_t *self, drop_reason_t reason)
{
    port_drop(self, reason, 1);
    return DROPPED;
}

static void
answered(wport_t *self, conn_t *client)
{
    if (client && client->probed && client->unanswered == 0) {
        client->probed = false; // the answer to that
        return;
    }
    if (self->wire->pending > 0)
        self->wire->pending--;
    if (client && client->unanswered > 0)
        client->unanswered--;
}

uint64_t
request_number(wport_t *port)
{
    return ++router_of(port)->last;
}

bool
request_is_wanted(wport_t *port, const uint8_t *id, size_t size)
{
    router_t *self = router_of(port);
    if (size == OWN_ID_BYTES && id[0] == 0)
        return by_own_id(self, id) != NULL;
    return *find_name(self, id, size, hash_bytes(id, size)) != NULL;
}

void
request_is_given_up(wport_t *port, const uint8_t *id, size_t size)
{
    answered(port, by_id(router_of(port), id, size));
}

void
request_service_left(conn_t *service)
{
    const wport_t *to = service->port->to;
    uint64_t got = service->messages_sent + spans_inside(&service->out);
    if (!to || !to->socktype->addresses || got <= service->messages_received)
        return;
    int64_t unanswered = (int64_t)(got - service->messages_received), *pending = &service->wire->pending;
    *pending -= unanswered < *pending ? unanswered : *pending;
}

// The first frame names the client, the rest is its message.
static given_t
router_give(wport_t *self, const piece_t *piece)
{
    frame_head_t head;
    const uint8_t *at = piece->chunk->data + piece->at;
    if (piece->prefix || frame_read(at, piece->size, &head) != 1 || !(head.flags & FRAME_MORE))
        return drop(self, DROP_UNDELIVERABLE);
    size_t named = head.head + head.body;
    conn_t *conn = by_id(router_of(self), at + head.head, head.body);
    answered(self, conn);
    if (!conn)
        return drop(self, DROP_UNDELIVERABLE);
    if (conn->full)
        output_flush(conn);
    if (conn->full) {
        conn->dropped++;
        say_slow(conn);
        return drop(self, DROP_HWM);
    }
    piece_t body = *piece;
    body.at += named;
    body.size -= named;
    output_add(conn, &body);
    return GIVEN;
}

const socktype_t socktype_router = { .type = ZMQ_ROUTER, .give = router_give, .joined = client_joined,
                                     .rejoined = client_rejoined, .left = client_left, .close = router_close,
                                     .save = router_save, .restore = router_restore, .addresses = true };
