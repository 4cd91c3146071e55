// SPDX-License-Identifier: MPL-2.0
#include "wire/acks.h"

#include "base/mem.h"
#include "wire/ackwords.h"
#include "wire/ledger.h"
#include "wire/observe.h"
#include "wire/output.h"
#include "wire/pump.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    WHO_MOST = 300,
    SAID_AT_ONCE = 16 * 1024, // bytes
};

// An "ok" that waits for the disk.
typedef struct {
    uint64_t sequence; // of the message
    conn_t *conn;      // NULL: has gone
    uint32_t size, payload; // of its bytes, which lie behind those of the one before
} owed_t;

// Of a port. Answers go out in the order of their requests.
typedef struct {
    owed_t *owed; // [first, count)
    size_t first, count, room;
    uint8_t *bytes; // of the answers, [start, size)
    size_t start, size, bytes_room;
} acks_t;

// --- answers -------------------------------------------------------------------------

static void
count(const conn_t *conn, ack_result_t result)
{
    counter_add(&conn->wire->counters->acks[result], 1);
}

static void
answer_now(conn_t *conn, const piece_t *piece, const ack_request_t *request, ack_answer_t answer)
{
    uint8_t bytes[ACK_ANSWER_MOST];
    size_t size = ack_answer_write(bytes, piece->chunk->data + piece->at, request, answer);
    output_beyond(conn, NULL, bytes, size, (load_t){ 1, ack_answer_payload(request, answer) });
}

// What has been said is forgotten when it is most of what is there.
static void
make_room(acks_t *self)
{
    if (self->first > self->count / 2) {
        memmove(self->owed, self->owed + self->first, (self->count - self->first) * sizeof *self->owed);
        self->count -= self->first;
        self->first = 0;
    }
    mem_grow(self->owed, self->count, self->room);
    if (self->start > self->size / 2) {
        memmove(self->bytes, self->bytes + self->start, self->size - self->start);
        self->size -= self->start;
        self->start = 0;
    }
    if (self->bytes_room - self->size < ACK_ANSWER_MOST) {
        self->bytes_room = 2 * self->bytes_room + ACK_ANSWER_MOST;
        self->bytes = xrealloc(self->bytes, self->bytes_room, 1);
    }
}

static void
owe(conn_t *conn, const piece_t *piece, const ack_request_t *request, uint64_t sequence)
{
    acks_t *self = conn->port->own;
    make_room(self);
    size_t size = ack_answer_write(self->bytes + self->size, piece->chunk->data + piece->at, request, ANSWER_OK);
    size_t payload = ack_answer_payload(request, ANSWER_OK);
    self->owed[self->count++] = (owed_t){ sequence, conn, (uint32_t)size, (uint32_t)payload };
    self->size += size;
    conn->unanswered++;
    conn->wire->pending++;
}

static void
forget(owed_t *owed)
{
    owed->conn->unanswered--;
    owed->conn->wire->pending--;
    owed->conn = NULL;
}

bool
acks_are_owed(const wire_t *wire)
{
    const acks_t *self = wire->ports[SIDE_ACK].own;
    return self && self->first < self->count;
}

// The first of those that wait, and what follows on it for the same producer.
static void
say_ok(acks_t *self, uint64_t safe)
{
    conn_t *conn = self->owed[self->first].conn;
    const uint8_t *at = self->bytes + self->start;
    size_t size = 0;
    load_t load = { 0 };
    do {
        owed_t *owed = &self->owed[self->first++];
        size += owed->size;
        load.messages++;
        load.payload += owed->payload;
        if (conn)
            forget(owed);
    } while (self->first < self->count && size < SAID_AT_ONCE && self->owed[self->first].conn == conn &&
             self->owed[self->first].sequence < safe);
    self->start += size;
    if (conn)
        output_beyond(conn, NULL, at, size, load);
}

void
acks_committed(wire_t *wire)
{
    acks_t *self = wire->ports[SIDE_ACK].own;
    uint64_t safe = self ? wire->ledger->safe(wire) : 0;
    while (self && self->first < self->count && self->owed[self->first].sequence < safe)
        say_ok(self, safe);
}

// --- requests ------------------------------------------------------------------------

// Whose the ID is, told apart from all others. "ipc uid 1000 pid 4711": there it is the user of the system.
static size_t
who(const conn_t *conn, char text[WHO_MOST])
{
    const char *kind = conn->user ? "user " : *conn->host ? "host " : "";
    const char *name = conn->user ? conn->user : *conn->host ? conn->host : conn->peer_name;
    const char *end = *kind ? NULL : strstr(name, " pid");
    size_t size = strlen(kind), most = WHO_MOST - size, length = end ? (size_t)(end - name) : strlen(name);
    length = length < most ? length : most;
    memcpy(text, kind, size);
    memcpy(text + size, name, length);
    return size + length;
}

static piece_t
body_of(const piece_t *piece, const ack_request_t *request)
{
    piece_t body = *piece;
    body.at += request->body;
    body.size -= request->body;
    body.load.payload -= request->payload;
    return body;
}

// Where the oldest is dropped for it, only the disk itself says that there is no room.
static bool
is_full(const wire_t *wire)
{
    store_figures_t figures;
    if (!wire->conf->store_drops_oldest)
        return false;
    store_figures(wire->ledger->store(wire), &figures);
    return figures.state != STORE_READY && figures.state != STORE_OPENING;
}

static void
refuse(conn_t *conn, const piece_t *piece, const ack_request_t *request)
{
    count(conn, ACK_REFUSED);
    answer_now(conn, piece, request, ANSWER_REFUSED);
}

// False: it waits for room.
static bool
put(conn_t *conn, const piece_t *piece, const ack_request_t *request, const piece_t *body)
{
    char owner[WHO_MOST];
    uint64_t sequence;
    store_put_in_t message = { .data = body->chunk->data + body->at,
                               .size = body->size,
                               .payload = body->load.payload,
                               .who = owner,
                               .who_size = request->id_size > 0 ? who(conn, owner) : 0,
                               .id = request->id,
                               .id_size = request->id_size };
    store_put_t result = conn->wire->ledger->put(conn->wire, &message, &sequence);
    if (result == STORE_NO_ROOM && !is_full(conn->wire))
        return false;
    if (result == STORE_NO_ROOM) {
        count(conn, ACK_FULL);
        answer_now(conn, piece, request, ANSWER_FULL);
    } else if (result == STORE_TOO_LARGE)
        refuse(conn, piece, request);
    else {
        count(conn, result == STORE_TAKEN ? ACK_OK : ACK_DUPLICATE);
        owe(conn, piece, request, sequence);
        acks_committed(conn->wire); // one that is known may be on the disk already
    }
    if (result == STORE_TAKEN && conn->wire->observed)
        observe(conn, body);
    return true;
}

static bool
hears(conn_t *conn, piece_t *piece)
{
    ack_request_t request;
    if (!ack_request_read(piece->chunk->data + piece->at, piece->size, &request)) {
        conn->dropped++;
        count(conn, ACK_REFUSED); // and nobody can be told
    } else if (!request.is_right)
        refuse(conn, piece, &request);
    else {
        piece_t body = body_of(piece, &request);
        if (!pump_admits(conn, &body))
            refuse(conn, piece, &request);
        else if (!put(conn, piece, &request, &body)) {
            pump_wait(conn, piece);
            conn->turn_over = true; // nothing more of it in this turn
            return true;
        }
    }
    pump_received(conn, piece);
    return true;
}

// --- life ----------------------------------------------------------------------------

static int
joined(conn_t *conn)
{
    if (!conn->port->own)
        conn->port->own = xcalloc(1, sizeof(acks_t));
    conn->own = conn->port->own; // so that it can be told apart from one that has never been in
    return 0;
}

// Its answers find nobody, and were no messages of the route.
static void
bequeath(conn_t *conn)
{
    acks_t *self = conn->port->own;
    for (size_t i = self->first; i < self->count; i++)
        if (self->owed[i].conn == conn)
            forget(&self->owed[i]);
    output_abandon(conn, NULL);
    conn->own = NULL;
}

static void
acks_close(wport_t *port)
{
    acks_t *self = port->own;
    if (!self)
        return;
    free(self->owed);
    free(self->bytes);
    free(self);
    port->own = NULL;
}

const socktype_t socktype_acks = {
    .type = ZMQ_ROUTER,
    .joined = joined,
    .rejoined = joined,
    .hears = hears,
    .bequeath = bequeath,
    .close = acks_close,
};
