// SPDX-License-Identifier: MPL-2.0
// watch.h - who is connected: one thread that reads every socket monitor of the
// process (zmq_socket_monitor(3)) and does nothing else, because an unread
// monitor stops libzmq's I/O thread after about a thousand events.
//
// inproc and multicast peers have no descriptor and do not appear.

#ifndef ZB_WATCH_H
#define ZB_WATCH_H

#include "flow/capacity.h"
#include "flow/client.h"
#include "flow/counters.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct watch watch_t;
typedef struct watch_side watch_side_t;

// CTX is the process's context. All connections count in CAPACITY (NULL: nowhere), too. NULL with errno if the thread
// cannot be started.
watch_t *watch_new(void *ctx, capacity_t *capacity);

// Watch SOCKET. Call from the thread that has the socket, before its first bind
// or connect. COUNTERS live until watch_remove. OPEN_TO_ALL: nobody is kept out, so that each handshake that succeeds
// counts as a login as long as libzmq asks nobody. NULL with zmq_errno.
watch_side_t *watch_add(watch_t *self, void *socket, const char *route, side_t side, bool open_to_all,
                        side_counters_t *counters);

// Does libzmq ask somebody, who counts the logins? As long as nothing is said, yes.
void watch_asked(watch_t *self, bool asked);

// Call after the socket was closed; *SIDE_P is NULL after.
void watch_remove(watch_t *self, watch_side_t **side_p);

// shutdown (fd, SHUT_WR) on the connections of the side on which nothing came in since
// the last call, or on ALL, and on each that is accepted from now on: libzmq's clients
// see the end, keep their queue and connect again to whoever is next. What a client has
// written half, or not yet to a full connection, is lost. Returns how many are left.
size_t watch_half_close(watch_side_t *side, bool all);

// How many there are now, whether or not the watch thread has come to hear of them.
size_t watch_connections(watch_side_t *side);

// Newcomers are cut at once, before they have said anything: they come again to whoever is next.
void watch_turn_away(watch_side_t *side);

// At LIMIT connections (0: none) ON_FULL (true, arg) is called in the watch thread, below it again with false.
void watch_limit(watch_side_t *side, size_t limit, void (*on_full)(bool full, void *arg), void *arg);

// Call FN for each client of ROUTE (NULL: of all) on libzmq's sockets, oldest first, from a copy: FN may call us. Who came in before the
// call is in it, whether or not the watch thread has come to hear of them.
void watch_each(watch_t *self, const char *route, client_fn_t *fn, void *arg);

// Cut a client: 0, or -1 if ROUTE has no client of that id (any more). It may be listed for a while after that.
int watch_kick(watch_t *self, const char *route, uint64_t id);

// Whoever comes to ROUTE.SIDE in the next moment is cut: its login may be by what is no longer in force.
void watch_cut_newcomers(watch_t *self, const char *route, side_t side);

// Milliseconds since the thread last came round its loop (it does so every second): for the watchdog.
int64_t watch_age_ms(const watch_t *self);

void watch_destroy(watch_t **self_p);

#endif
