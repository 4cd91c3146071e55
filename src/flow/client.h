// SPDX-License-Identifier: MPL-2.0
// client.h - one connection as those see it who list and cut them, whichever engine
// has it.

#ifndef ZB_CLIENT_H
#define ZB_CLIENT_H

#include "conf/pattern.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t id;       // never used twice
    const char *route; // of the list that it is in
    side_t side;
    char peer[128]; // "192.0.2.1:40312", "[::1]:40312", "ipc uid 1000 pid 4711"
    bool is_ipc;
    char user[256]; // "" where not known
    bool outgoing;  // we connected
    bool away;      // it is not connected now: what is kept for it waits
    int64_t since_wall_ns;
    int64_t backlog_bytes; // SIOCOUTQ: what the peer has not taken yet; -1: unknown

    // What libzmq does not tell of its connections: NULL, and -1, where not known.
    const char *socket_type; // of the peer: "SUB"
    const char *zmtp;        // its version, "3.1"
    const char *mechanism;   // "NULL", "PLAIN", "CURVE"
    const void *routing_id;  // of the list, too
    size_t routing_id_size;
    int64_t messages_received, messages_sent, received_bytes, sent_bytes;
    int64_t queued, queued_bytes; // what waits for it now
    int64_t dropped;
    int64_t subscriptions;
    int64_t idle_ms; // since something came from it
} client_t;

typedef void client_fn_t(const client_t *client, void *arg);

// A list of them that lives on when they have gone; all zero is empty.
typedef struct {
    client_t *at;
    size_t count, room;
} client_list_t;

// One more, of whom nothing else is known, until the next one is added.
client_t *client_list_add(client_list_t *self, const char *route, side_t side, uint64_t id, const char *peer);
void client_connected_by(client_t *client, int fd); // what its system has not taken yet
void client_named(client_t *client, const void *routing_id, size_t size);
void client_list_copy(client_list_t *self, const client_t *client);
void client_list_each(client_list_t *self, client_fn_t *fn, void *arg); // the oldest first; the list is empty then

// One service of a queue that knows its services; of others, only the first two. -1: not known.
typedef struct {
    uint64_t id;
    char peer[128];
    int64_t unanswered; // requests that it has
    int64_t answered, retried; // retried: of those that it got, how many another one had failed to answer
    int64_t free_since_wall_ns; // 0: it has something to do, or is not known
    int64_t p50_ns, p99_ns; // of its answers in the last minute
} client_service_t;

typedef void client_service_fn_t(const client_service_t *service, void *arg);

uint64_t client_next_id(void);              // of all engines; from any thread
uint64_t client_last_id(void);
void client_ids_after(uint64_t last);       // those of the program before
void client_know_nothing(client_t *client); // all fields to what says so

#endif
