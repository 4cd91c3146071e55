// SPDX-License-Identifier: MPL-2.0
#include "wire/request.h"

#include "base/hash.h"
#include "base/mem.h"
#include "wire/conn.h"
#include "wire/options.h"
#include "wire/output.h"
#include "wire/pump.h"
#include "wire/say.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zmq.h>

enum {
    OWN_ID_BYTES = 13,    // 0, the slot, and what is never the same again
    OWNED_MOST = 65536,   // ids of peers that have gone, kept for answers that may still come
    BUCKETS_FIRST = 64,
};

// An id that a peer chose, and whose it is.
typedef struct name {
    struct name *next;
    conn_t *holder;     // NULL: has gone, with requests unanswered
    char *user;         // NULL: nobody
    int64_t unanswered; // when its holder went
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

// Does another connection have the id that CONN chose, or is an answer on its way to another user?
static int
claim_name(router_t *self, conn_t *conn)
{
    uint64_t hash = hash_bytes(conn->routing_id, conn->routing_id_size);
    name_t *name = *find_name(self, conn->routing_id, conn->routing_id_size, hash);
    if (!name)
        name = add_name(self, conn->routing_id, conn->routing_id_size, hash);
    else if (!same_user(name->user, conn->user) || (name->holder && !self->handover)) {
        conn_refuse(conn, HANDSHAKE_DUPLICATE_ID, "its routing id belongs to another client");
        return -1;
    } else if (name->holder)
        conn_break(name->holder, CUT_NONE, "another client took over its routing id");
    else
        self->orphans--;
    free(name->user);
    name->user = conn->user ? xstrdup(conn->user) : NULL;
    name->holder = conn;
    return 0;
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
    else if (claim_name(self, conn) == -1)
        return -1;
    self->slots[conn->slot] = conn;
    return 0;
}

// Too many that nobody answers: the answers will find nobody, and are counted then.
static void
forget_orphans(router_t *self)
{
    for (uint32_t i = 0; i < self->bucket_count; i++)
        for (name_t **at = &self->buckets[i]; *at;)
            if ((*at)->holder)
                at = &(*at)->next;
            else
                remove_name(self, at);
    self->orphans = 0;
}

static void
client_left(conn_t *conn)
{
    router_t *self = router_of(conn->port);
    self->slots[conn->slot] = NULL;
    uint64_t hash = hash_bytes(conn->routing_id, conn->routing_id_size);
    name_t **at = find_name(self, conn->routing_id, conn->routing_id_size, hash);
    if (!*at || (*at)->holder != conn)
        return;
    if (conn->unanswered <= 0 || !conn->user) {
        remove_name(self, at);
        return;
    }
    (*at)->holder = NULL;
    (*at)->unanswered = conn->unanswered;
    if (++self->orphans > OWNED_MOST)
        forget_orphans(self);
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

// --- messages ------------------------------------------------------------------------

static size_t
prefix(const conn_t *conn, uint8_t *at)
{
    size_t head = frame_write_head(at, FRAME_MORE, conn->routing_id_size);
    memcpy(at + head, conn->routing_id, conn->routing_id_size);
    return head + conn->routing_id_size;
}

static conn_t *
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
    if (*at && !(*at)->holder && --(*at)->unanswered <= 0) {
        self->orphans--;
        remove_name(self, at);
    }
}

static conn_t *
by_id(router_t *self, const uint8_t *id, size_t size)
{
    if (size == OWN_ID_BYTES && id[0] == 0)
        return by_own_id(self, id);
    name_t **at = find_name(self, id, size, hash_bytes(id, size));
    conn_t *holder = *at ? (*at)->holder : NULL;
    if (!holder)
        answered_nobody(self, at);
    return holder;
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
    if (self->wire->pending > 0)
        self->wire->pending--;
    if (client && client->unanswered > 0)
        client->unanswered--;
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

const socktype_t socktype_router = { .type = ZMQ_ROUTER, .give = router_give, .prefix = prefix, .joined = client_joined,
                                     .left = client_left, .close = router_close, .addresses = true };
