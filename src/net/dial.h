// SPDX-License-Identifier: MPL-2.0
// dial.h - connecting to one endpoint, tcp or ipc, again and again until it works: name,
// addresses, time limits and the waits between, as a machine that somebody else's loop
// drives. It never blocks and has no thread.
//
// After every call look again at dial_fd and dial_next_ms. A descriptor to watch is
// another number than the one before; that one is closed, and so out of any epoll(7).
// NOW_MS is clock_mono_ms() or, in tests, anything that grows.
//
//   dial_start ─► resolving ─► connecting ─► descriptor handed out ─┬─► dial_settled … dial_lost ─┐
//        ▲                        │ no                              └─► dial_failed ─┐            │
//        └──────── waiting ◄──────┴──────────────────────────────────────────────────┴────────────┘

#ifndef ZB_DIAL_H
#define ZB_DIAL_H

#include "conf/conf.h"
#include "net/resolver.h"
#include "net/tcp.h"

#include <stdint.h>

typedef struct {
    int64_t reconnect_ms;     // reconnect_ivl; 0 or less: one attempt only
    int64_t reconnect_max_ms; // reconnect_ivl_max; up to which it doubles; 0: it does not
    int64_t timeout_ms;       // connect_timeout, for each address; 0: the kernel's
    int64_t refused_ms;       // wait at least so long after dial_failed: no password goes twice a second
    bool ipv6;
    tcp_options_t tcp;
} dial_options_t;

void dial_options(dial_options_t *self, const side_conf_t *side);

typedef struct dial dial_t;

// ENDPOINT and OPTIONS are copied; RESOLVER and BELL, which is rung when a name is resolved (call dial_tick then), are
// borrowed.
dial_t *dial_new(const endpoint_t *endpoint, const dial_options_t *options, resolver_t *resolver, int bell);
void dial_free(dial_t **self_p);
void dial_configure(dial_t *self, const dial_options_t *options); // from the next attempt on

// Each returns a connected, tuned, non-blocking descriptor, the caller's from now on, or -1: not yet. It may be the one
// that is being watched. START is for the first attempt, or one at once; ON_READY when dial_fd had an event; TICK when
// it is dial_next_ms, or the bell was rung. A call too many does no harm.
int dial_start(dial_t *self, int64_t now_ms);
int dial_on_ready(dial_t *self, int64_t now_ms);
int dial_tick(dial_t *self, int64_t now_ms);

int dial_fd(const dial_t *self);          // to watch for dial_events; -1: nothing to watch now
uint32_t dial_events(const dial_t *self); // EPOLLOUT
int64_t dial_next_ms(const dial_t *self); // when to call dial_tick; INT64_MAX: no time

// What became of the connection that was handed out: its handshake is done, and the next wait is short again; it failed
// (REASON in words, "authentication failed"); it ended after it was settled. Both latter start a wait.
void dial_settled(dial_t *self);
void dial_failed(dial_t *self, const char *reason, int64_t now_ms);
void dial_lost(dial_t *self, const char *reason, int64_t now_ms);

// Not settled: since when, and why in words ("connection refused", "name does not resolve: ..."), "" before the first
// failure. NULL: it is.
const char *dial_reason(const dial_t *self, int64_t *since_ms);
const char *dial_endpoint(const dial_t *self); // its text

#endif
