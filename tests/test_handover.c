// SPDX-License-Identifier: MPL-2.0
//
// A connection as a record: made again it is the same, and a record that is wrong makes
// none. The route around it does not run.
#include "wire/connrecord.h"

#include "base/mem.h"
#include "wire/conn.h"
#include "wire/fan_internal.h"
#include "wire/handover.h"
#include "wire/port.h"
#include "wire/portlife.h"
#include "wire/terms.h"
#include "zmtp/handshake.h"

#include "test.h"

#include <sodium.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

static wire_t wire;
static wport_t *const port = &wire.ports[SIDE_FRONTEND];
static int sockets[2];

static void
set_up(handshake_mechanism_t mechanism)
{
    static curve_keys_t keys;
    static side_conf_t conf;
    *port = (wport_t){ .wire = &wire, .side = SIDE_FRONTEND, .conf = &conf, .socktype = socktype_find(ZMQ_PULL) };
    port->maxmsgsize = port->max_parts = UINT32_MAX;
    port->greeting = (handshake_conf_t){ .type = ZMQ_PULL, .mechanism = mechanism, .as_server = true, .asks = true };
    if (mechanism == HANDSHAKE_CURVE)
        port->greeting.curve_keys = &keys;
}

static conn_t *
new_conn(conn_state_t state)
{
    conn_t *self = conn_blank(port);
    self->fd = sockets[0];
    self->state = state;
    self->peer_name = xstrdup("192.0.2.1:40312");
    self->host = xstrdup("192.0.2.1");
    self->id = 4711;
    self->deadline_ms = INT64_MAX;
    if (state != CONN_OPEN)
        self->handshake = handshake_new(&port->greeting);
    return self;
}

static record_t
save(const conn_t *conn)
{
    record_t record = { 0 };
    connrecord_save(conn, &record);
    return record;
}

static conn_t *
restore(const record_t *record)
{
    record_fields_t fields = record_fields(record);
    return connrecord_restore(port, fields, connrecord_fd(fields));
}

// Made again from its record it has the same record.
static void
check_same(conn_t *conn)
{
    record_t before = save(conn), after = { 0 };
    conn_t *again = restore(&before);
    CHECK(again != NULL);
    if (again) {
        after = save(again);
        CHECK(after.size == before.size && memcmp(after.data, before.data, after.size) == 0);
        conn_scrap(again);
    }
    record_forget(&before);
    record_forget(&after);
    conn_scrap(conn);
}

// A record of one field more is as good as VALID says.
static void
check_with(conn_t *conn, unsigned tag, uint64_t number, bool valid)
{
    record_t record = save(conn);
    record_number(&record, tag, number);
    conn_t *again = restore(&record);
    CHECK(!again == !valid);
    if (again)
        conn_scrap(again);
    record_forget(&record);
}

// --- contents ------------------------------------------------------------------------

static const char message[] = "\1\3abc\0\2de"; // two parts

static void
receive(conn_t *conn, const void *bytes, size_t size, size_t collected)
{
    conn->in = chunk_new(&wire.pool, size);
    memcpy(conn->in->data, bytes, size);
    conn->in->size = size;
    conn->scan = conn->raw = collected;
}

static void
queue(conn_t *conn, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        spans_copy(&conn->out, &wire.pool, message, sizeof message - 1, (load_t){ 1, 5 });
}

// --- tests ---------------------------------------------------------------------------

static void
a_connection_at_rest_is_made_again(void)
{
    set_up(HANDSHAKE_NULL);
    conn_t *conn = new_conn(CONN_OPEN);
    conn->user = xstrdup("alice");
    conn->said_id = xstrdup("a");
    conn->routing_id = xcalloc(1, 1);
    conn->routing_id_size = 1;
    conn->type = ZMQ_PUSH;
    conn->messages_received = 12;
    conn->heard_ms = 99;
    check_same(conn);
}

static void
half_a_message_and_what_comes_after_it_are_made_again(void)
{
    set_up(HANDSHAKE_NULL);
    conn_t *conn = new_conn(CONN_OPEN);
    receive(conn, message, sizeof message - 2, 5);
    record_t record = save(conn);
    conn_t *again = restore(&record);
    CHECK(again && again->parts == 1 && again->payload == 3 && !again->whole);
    conn_scrap(again);
    record_forget(&record);
    check_same(conn);

    conn = new_conn(CONN_OPEN);
    receive(conn, message, sizeof message - 1, sizeof message - 1);
    record = save(conn);
    again = restore(&record);
    CHECK(again && again->whole && again->payload == 5);
    conn_scrap(again);
    record_forget(&record);
    check_same(conn);
}

static void
what_is_queued_and_half_sent_is_made_again(void)
{
    set_up(HANDSHAKE_NULL);
    conn_t *conn = new_conn(CONN_OPEN);
    queue(conn, 1000);
    spans_advance(&conn->out, 3);
    memcpy(spans_place_ours(&conn->out, &wire.pool, 3), "\0\1x", 3);
    memcpy(conn->urgent, "\4\5\4PING", 7);
    conn->urgent_size = 7;
    conn->urgent_sent = 2;
    record_t record = save(conn);
    conn_t *again = restore(&record);
    CHECK(again && again->out.load.messages == 1000 && again->out.load.payload == 5000 && again->out.sent == 3);
    conn_scrap(again);
    record_forget(&record);
    check_same(conn);
}

static void
a_subscriber_that_catches_up_is_made_again(void)
{
    set_up(HANDSHAKE_NULL);
    conn_t *conn = new_conn(CONN_OPEN);
    queue(conn, 100);
    conn->beyond.messages = 40;
    conn->beyond.bytes = 40 * (sizeof message - 1);
    conn->said_durable = (uint8_t *)xstrdup("alice");
    conn->said_durable_size = 5;
    check_with(conn, 45, 100, true);
    check_with(conn, 45, 101, false); // more than is queued
    check_with(conn, 46, conn->out.bytes + 1, false);
    check_same(conn);
}

static void
a_sealed_session_is_made_again(void)
{
    set_up(HANDSHAKE_CURVE);
    conn_t *conn = new_conn(CONN_OPEN);
    conn->key = xcalloc(1, CURVE_KEY);
    conn->curve = xcalloc(1, sizeof *conn->curve);
    conn->curve->out_nonce = 17;
    queue(conn, 2);
    conn->stage = chunk_new(&wire.pool, 100);
    conn->stage->size = 100;
    memset(conn->stage->data, 7, 100);
    conn->stage_at = 40;
    conn->stage_spans = 9;
    check_same(conn);
}

static void
a_handshake_is_made_again_wherever_it_is(void)
{
    static const uint8_t greeting[64] = { [0] = 0xff, [9] = 0x7f, [10] = 3, [12] = 'N', 'U', 'L', 'L' };
    set_up(HANDSHAKE_NULL);
    for (size_t size = 0; size <= sizeof greeting; size++) {
        conn_t *conn = new_conn(CONN_GREETING);
        handshake_feed(conn->handshake, greeting, size);
        check_same(conn);
    }
}

static void
one_that_has_left_is_made_again_without_a_descriptor(void)
{
    set_up(HANDSHAKE_NULL);
    conn_t *conn = new_conn(CONN_OPEN);
    conn->left = conn->hung_up = conn->input_over = conn->output_over = true;
    conn->fd = -1;
    receive(conn, message, sizeof message - 1, sizeof message - 1);
    check_same(conn);
}

static void
what_contradicts_itself_is_refused(void)
{
    set_up(HANDSHAKE_NULL);
    conn_t *conn = new_conn(CONN_OPEN);
    check_with(conn, 60000, 1, true); // of a later version
    check_with(conn, 2, CONN_ENDED, false);
    check_with(conn, 2, CONN_GREETING, false); // without a handshake
    check_with(conn, 3, 2, false);
    check_with(conn, 6, 1, false);  // it has left, and is there
    check_with(conn, 10, 1, false); // collected out of nothing
    check_with(conn, 12, 1, false); // sent of nothing
    check_with(conn, 14, 1, false);
    check_with(conn, 17, 0, false);
    check_with(conn, 19, 1000, false);
    queue(conn, 1);
    check_with(conn, 12, 3, true);
    check_with(conn, 12, sizeof message, false);
    conn_scrap(conn);
}

static void
another_descriptor_of_that_number_is_not_taken(void)
{
    set_up(HANDSHAKE_NULL);
    int other[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, other) == 0);
    conn_t *conn = new_conn(CONN_OPEN);
    conn->fd = other[0];
    record_t record = save(conn);
    CHECK(connrecord_fd(record_fields(&record)) == other[0]);
    CHECK(dup2(sockets[1], other[0]) == other[0]);
    CHECK(connrecord_fd(record_fields(&record)) == -1);
    CHECK(restore(&record) == NULL);
    close(other[0]);
    CHECK(connrecord_fd(record_fields(&record)) == -1);
    close(other[1]);
    record_forget(&record);
    conn_scrap(conn);
}

// Whatever is made of it can be saved and freed.
static void
a_record_that_is_cut_or_changed_does_no_harm(void)
{
    set_up(HANDSHAKE_NULL);
    conn_t *conn = new_conn(CONN_OPEN);
    receive(conn, message, sizeof message - 1, 5);
    queue(conn, 3);
    record_t record = save(conn);
    unsigned refused = 0;
    for (size_t i = 0; i < record.size; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            record.data[i] ^= (uint8_t)(1u << bit);
            conn_t *again = restore(&record);
            record.data[i] ^= (uint8_t)(1u << bit);
            refused += !again;
            if (!again)
                continue;
            record_t saved = save(again);
            record_forget(&saved);
            conn_scrap(again);
        }
    CHECK(refused > 100);
    for (size_t size = 0; size < record.size; size++) {
        record_t cut = { record.data, size, size };
        conn_t *again = restore(&cut);
        if (again)
            conn_scrap(again);
    }
    record_forget(&record);
    conn_scrap(conn);
}

static const admission_secrets_t *
no_secrets(void *arg, const char *route, side_t side)
{
    (void)arg, (void)route, (void)side;
    return NULL;
}

// They stay where they are, so that whoever looks at a connection that is gone finds some.
static void
keep_rights(admission_rights_t **rights_p)
{
    (void)rights_p;
}

// A subscriber with rights goes to another route, and is freed at the end of the round. When the policy changes after
// that, nobody looks for it.
static void
a_side_that_was_handed_over_looks_at_no_peer_that_it_had(void)
{
    static const admission_t guard = { .secrets = no_secrets, .rights_free = keep_rights };
    static const route_resources_t resources = { .admission = &guard };
    static route_conf_t conf = { .engine = ENGINE_WIRE };
    static counters_t counters;
    static wire_t route;
    wport_t *backend = &route.ports[SIDE_BACKEND];
    record_t record = { 0 };
    conf.sides[SIDE_BACKEND].type = ZMQ_XPUB;
    route.conf = &conf;
    route.resources = &resources;
    route.counters = &counters;
    route.scheduled_end = &route.scheduled;
    CHECK(loop_open(&route.loop) == 0 && portlife_open(backend, &route, SIDE_BACKEND, NULL) == 0);
    terms_note(backend);

    conn_t *conn = conn_blank(backend);
    conn->rights = (admission_rights_t *)conn; // nobody looks into them
    conn->state = CONN_OPEN;
    conn_enter(conn);
    CHECK(port_join(conn) == 0);
    fan_review(backend);
    CHECK(fan_of(backend)->restricted == 1);

    CHECK(handover_save(&route, &conf, &record));
    CHECK(route.ended == conn);
    fan_review(backend);
    CHECK(fan_of(backend)->restricted == 0);
    conn_free(conn);
    fan_review(backend);

    record_forget(&record);
    portlife_close(backend);
    loop_close(&route.loop);
}

static void
nothing_of_all_that_is_left(void)
{
    CHECK(wire.pool.bytes == 0);
    chunk_pool_empty(&wire.pool);
}

static bool
is_counted(record_fields_t from, uint64_t count)
{
    record_field_t field;
    uint64_t i = 0, number;
    while (record_next(&from, &field) && record_to_number(&field, UINT64_MAX, &number) && number == i)
        i++;
    return i == count;
}

// Beyond some size its pages move instead of its bytes, and what another program has left is mapped.
static void
a_large_record_keeps_its_bytes_as_it_grows_and_is_mapped(void)
{
    enum { MANY = 500000 };
    record_t record = { 0 }, mapped = { 0 };
    for (uint64_t i = 0; i < MANY; i++)
        record_number(&record, 1, i);
    CHECK(is_counted(record_fields(&record), MANY));
    int fd = memfd_create("test", 0);
    CHECK(write(fd, record.data, record.size) == (ssize_t)record.size);
    CHECK(record_map(&mapped, fd, record.size));
    close(fd);
    CHECK(is_counted(record_fields(&mapped), MANY));
    record_forget(&mapped);
    record_t copy = record_of_size(record.size);
    record_add(&copy, record.data, record.size);
    CHECK(is_counted(record_fields(&copy), MANY));
    record_forget(&copy);
    record_forget(&record);
    CHECK(!record.data && !mapped.data && !copy.data);
}

int
main(void)
{
    if (sodium_init() == -1 || socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == -1)
        return EXIT_FAILURE;
    RUN(a_connection_at_rest_is_made_again);
    RUN(half_a_message_and_what_comes_after_it_are_made_again);
    RUN(what_is_queued_and_half_sent_is_made_again);
    RUN(a_subscriber_that_catches_up_is_made_again);
    RUN(a_sealed_session_is_made_again);
    RUN(a_handshake_is_made_again_wherever_it_is);
    RUN(one_that_has_left_is_made_again_without_a_descriptor);
    RUN(what_contradicts_itself_is_refused);
    RUN(another_descriptor_of_that_number_is_not_taken);
    RUN(a_record_that_is_cut_or_changed_does_no_harm);
    RUN(a_large_record_keeps_its_bytes_as_it_grows_and_is_mapped);
    RUN(a_side_that_was_handed_over_looks_at_no_peer_that_it_had);
    RUN(nothing_of_all_that_is_left);
    return test_done();
}
