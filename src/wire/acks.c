// SPDX-License-Identifier: MPL-2.0
#include "wire/acks.h"

#include "base/mem.h"
#include "wire/ackwords.h"
#include "wire/ledger.h"
#include "wire/observe.h"
#include "wire/output.h"
#include "wire/owed.h"
#include "wire/pump.h"

#include <stdlib.h>
#include <string.h>
#include <zmq.h>

enum {
    WHO_MOST = 300,
    SAID_AT_ONCE = 16 * 1024, // bytes
};

// Never used for anything else again.
enum {
    TAG_OWED = 1,
    TAG_TO = 10, // a connection
    TAG_SEQUENCE,
    TAG_SIZE,
    TAG_PAYLOAD,
    TAG_ANSWERS,
};

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

static void
owe(conn_t *conn, const uint8_t *frames, const ack_request_t *request, uint64_t sequence)
{
    owed_t *owed = conn->port->own;
    size_t size = ack_answer_write(owed_place(owed, ACK_ANSWER_MOST), frames, request, ANSWER_OK);
    owed_add(owed, conn, sequence, 1, size, ack_answer_payload(request, ANSWER_OK));
    conn->unanswered++;
    conn->wire->pending++;
}

bool
acks_are_owed(const wire_t *wire)
{
    const owed_t *owed = wire->ports[SIDE_ACK].own;
    return owed && owed_any(owed);
}

// These answers are waited for no more. Returns by whom they were, NULL: it has gone.
static conn_t *
end_waiting(wire_t *wire, const owed_run_t *run)
{
    conn_t *conn = run->to;
    if (!conn)
        return NULL;
    conn->unanswered -= run->answers;
    wire->pending -= run->answers;
    return conn;
}

void
acks_committed(wire_t *wire)
{
    owed_t *owed = wire->ports[SIDE_ACK].own;
    uint64_t safe = owed ? wire->ledger->safe(wire) : 0;
    owed_run_t run;
    const uint8_t *at;
    while (owed && owed_take(owed, safe, SAID_AT_ONCE, &run, &at)) {
        conn_t *conn = end_waiting(wire, &run);
        if (conn)
            output_beyond(conn, NULL, at, (size_t)run.answers * run.size, (load_t){ run.answers, (uint64_t)run.answers * run.payload });
    }
}

void
acks_disown(wire_t *wire)
{
    owed_t *owed = wire->ports[SIDE_ACK].own;
    owed_run_t run;
    const uint8_t *at;
    while (owed && owed_take(owed, UINT64_MAX, SAID_AT_ONCE, &run, &at))
        end_waiting(wire, &run);
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
        owe(conn, piece->chunk->data + piece->at, request, sequence);
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

// --- many requests ---------------------------------------------------------------------
//
// Those that lie behind each other, have the empty frame alone for an envelope, and need nobody's leave.

// The request at AT, which is put as MESSAGE: its bytes, 0 if it is another one.
static size_t
find_request(const wport_t *port, const uint8_t *at, size_t have, store_put_in_t *message)
{
    size_t id_size, before = ack_usual_request(at, have, &id_size);
    if (before == 0)
        return 0;
    extent_t body = input_one_at(port, at + before, have - before);
    if (body.size == 0 || body.payload + id_size > port->maxmsgsize || port->max_parts < ACK_PARTS_LEAST) {
        extent_t whole = input_extent(port, at, have);
        if (whole.size == 0)
            return 0;
        body = (extent_t){ whole.size - before, whole.payload - id_size };
    }
    *message = (store_put_in_t){ .data = at + before, .size = body.size, .payload = body.payload,
                                 .id = at + before - id_size, .id_size = id_size };
    return before + body.size;
}

// At most STORE_AT_ONCE.
static uint32_t
find_requests(const conn_t *conn, store_put_in_t messages[])
{
    const uint8_t *at = conn->in->data + conn->start, *end = conn->in->data + conn->in->size;
    uint32_t count = 0;
    for (size_t size; count < STORE_AT_ONCE; at += size, count++)
        if ((size = find_request(conn->port, at, (size_t)(end - at), &messages[count])) == 0)
            break;
    return count;
}

static void
owe_each(conn_t *conn, const store_put_in_t messages[], const store_was_put_t put[], uint32_t count)
{
    owed_t *owed = conn->port->own;
    uint8_t *at = owed_place(owed, count * (size_t)ACK_USUAL_MOST);
    for (uint32_t i = 0, end; i < count; i = end) {
        size_t id_size = messages[i].id_size, size = 0;
        for (end = i; end < count && messages[end].id_size == id_size && put[end].sequence == put[i].sequence + (end - i); end++)
            at += size = ack_usual_answer(at, messages[end].id, id_size);
        owed_add(owed, conn, put[i].sequence, end - i, size, ack_usual_answer_payload(id_size));
    }
    conn->unanswered += count;
    conn->wire->pending += count;
}

// The first COUNT are in the store.
static void
take_requests(conn_t *conn, const store_put_in_t messages[], const store_was_put_t put[], uint32_t count)
{
    counters_t *counters = conn->wire->counters;
    const store_put_in_t *last = &messages[count - 1];
    load_t load = { count, 0 };
    uint64_t known = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t payload = messages[i].payload + messages[i].id_size;
        load.payload += payload;
        known += put[i].result == STORE_KNOWN;
        counter_add(&counters->sizes[size_bucket(payload)], 1);
    }
    counter_add(&counters->acks[ACK_OK], count - known);
    counter_add(&counters->acks[ACK_DUPLICATE], known);
    owe_each(conn, messages, put, count);
    input_take(conn, (size_t)(last->data + last->size - (conn->in->data + conn->start)));
    pump_counted(conn, load);
}

// False: what comes next is not like that, or has no room.
static bool
put_many(conn_t *conn)
{
    store_put_in_t messages[STORE_AT_ONCE];
    store_was_put_t put[STORE_AT_ONCE];
    char owner[WHO_MOST];
    const ledger_t *ledger = conn->wire->ledger;
    if (!input_is_fresh(conn) || conn->whole || conn->rights || conn->wire->observed || !ledger->put_each)
        return false;
    uint32_t count = find_requests(conn, messages);
    count = count > 0 ? ledger->put_each(conn->wire, owner, who(conn, owner), messages, count, put) : 0;
    if (count > 0)
        take_requests(conn, messages, put, count);
    return count > 0;
}

static bool
pump_requests(conn_t *conn)
{
    piece_t piece;
    int rc = 0;
    do {
        while (put_many(conn))
            continue;
        acks_committed(conn->wire); // one that is known may be on the disk already
        rc = input_next(conn, &piece);
        if (rc == 1)
            hears(conn, &piece);
    } while (rc == 1 && !conn->turn_over);
    return rc == 0;
}

// --- life ----------------------------------------------------------------------------

static owed_t *
owed_of(wport_t *port)
{
    if (!port->own)
        port->own = xcalloc(1, sizeof(owed_t));
    return port->own;
}

static int
joined(conn_t *conn)
{
    conn->own = owed_of(conn->port); // so that it can be told apart from one that has never been in
    return 0;
}

// It has come, and waits for answers of the route before.
static int
rejoined(conn_t *conn)
{
    joined(conn);
    owed_inherit(conn->own, conn->id, conn);
    return 0;
}

static void
save_run(void *arg, const owed_run_t *run, const uint8_t *at)
{
    record_t *to = arg;
    if (!run->to)
        return;
    size_t opened = record_open(to, TAG_OWED);
    record_number(to, TAG_TO, ((const conn_t *)run->to)->id);
    record_number(to, TAG_SEQUENCE, run->sequence);
    record_number(to, TAG_SIZE, run->size);
    record_number(to, TAG_PAYLOAD, run->payload);
    record_bytes(to, TAG_ANSWERS, at, (size_t)run->answers * run->size);
    record_close(to, opened);
}

static void
save(const wport_t *port, record_t *to)
{
    if (port->own)
        owed_each(port->own, save_run, to);
}

static void
restore_run(owed_t *owed, record_fields_t from)
{
    record_field_t answers;
    owed_run_t run = { .heir = record_number_of(from, TAG_TO, UINT64_MAX),
                       .sequence = record_number_of(from, TAG_SEQUENCE, UINT64_MAX / 2),
                       .size = (uint32_t)record_number_of(from, TAG_SIZE, ACK_ANSWER_MOST),
                       .payload = (uint32_t)record_number_of(from, TAG_PAYLOAD, ACK_ANSWER_MOST) };
    if (!record_find(from, TAG_ANSWERS, &answers) || run.heir == 0 || run.size == 0 || answers.size == 0 ||
        answers.size % run.size > 0 || answers.size / run.size > UINT32_MAX)
        return;
    run.answers = (uint32_t)(answers.size / run.size);
    owed_again(owed, &run, answers.at);
}

static void
restore(wport_t *port, record_fields_t from)
{
    record_field_t field;
    while (record_next(&from, &field))
        if (field.tag == TAG_OWED)
            restore_run(owed_of(port), record_inside(&field));
}

// Its answers find nobody, and were no messages of the route.
static void
bequeath(conn_t *conn)
{
    int64_t answers = (int64_t)owed_forget(conn->port->own, conn);
    conn->unanswered -= answers;
    conn->wire->pending -= answers;
    output_abandon(conn, NULL);
    conn->own = NULL;
}

static void
acks_close(wport_t *port)
{
    if (!port->own)
        return;
    owed_free(port->own);
    free(port->own);
    port->own = NULL;
}

const socktype_t socktype_acks = {
    .type = ZMQ_ROUTER,
    .joined = joined,
    .rejoined = rejoined,
    .hears = hears,
    .pump_in = pump_requests,
    .save = save,
    .restore = restore,
    .bequeath = bequeath,
    .close = acks_close,
};
