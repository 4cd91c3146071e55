// SPDX-License-Identifier: MPL-2.0
//
// A connection out of a record that anybody may have written: what is made of it makes a
// record that makes the same. The first octet chooses the mechanism, and
// whether it has a descriptor.
#include "wire/connrecord.h"

#include "wire/conn.h"
#include "wire/portlife.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { HAS_FD = 128 };

static wire_t wire;
static curve_keys_t keys;

static void
check(bool claim)
{
    if (!claim)
        abort();
}

static void
check_same(wport_t *port, const conn_t *conn, int fd)
{
    record_t before = { 0 }, after = { 0 };
    connrecord_save(conn, &before);
    conn_t *again = connrecord_restore(port, record_fields(&before), fd);
    check(again != NULL);
    connrecord_save(again, &after);
    check(after.size == before.size && memcmp(after.data, before.data, after.size) == 0);
    conn_scrap(again);
    record_forget(&before);
    record_forget(&after);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static side_conf_t conf;
    wport_t *port = &wire.ports[SIDE_FRONTEND];
    if (size == 0 || sodium_init() == -1)
        return 0;
    *port = (wport_t){ .wire = &wire, .side = SIDE_FRONTEND, .conf = &conf, .socktype = socktype_find(ZMQ_PULL) };
    port->greeting = (handshake_conf_t){ .type = ZMQ_PULL, .as_server = true, .asks = true, .curve_keys = &keys };
    port->greeting.mechanism = data[0] % HAS_FD % HANDSHAKE_MECHANISMS;
    int fd = data[0] & HAS_FD ? 0 : -1;
    conn_t *conn = connrecord_restore(port, (record_fields_t){ data + 1, size - 1 }, fd);
    if (conn) {
        check_same(port, conn, fd);
        conn_scrap(conn);
    }
    check(wire.pool.bytes == 0);
    return 0;
}
