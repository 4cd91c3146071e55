// SPDX-License-Identifier: MPL-2.0
// guard.h - who may come in, and what they may do there.
//
// One thread answers libzmq's questions (ZAP, RFC 27) from tables in memory. It
// runs before the first socket is bound and never waits: passwords are checked
// by a second thread. Every socket has the ZAP domain ROUTE.SIDE and enforces
// it, so that nobody gets in while there is no handler.
//
// guard_load, guard_secure and the filters' making are for the main thread.

#ifndef ZB_GUARD_H
#define ZB_GUARD_H

#include "base/diag.h"
#include "conf/conf.h"
#include "flow/counters.h"
#include "flow/filter.h"
#include "flow/watch.h"

#include <stdint.h>

typedef struct guard guard_t;

// A route and where its logins are counted; both outlive the load that drops them.
typedef struct {
    const route_conf_t *conf;
    counters_t *counters; // NULL: not counted
} guard_route_t;

// Bind inproc://zeromq.zap.01 in CTX and start the threads. Both are borrowed
// and outlive the guard; WATCH may be NULL. NULL with errno.
guard_t *guard_new(void *ctx, watch_t *watch);

// Read the certificates, users and acl files of all routes and use them from
// now on: all or nothing. 0, or -1 with each problem in DIAG; the old tables
// then stay. A damaged certificate in client_certs is one error line in the log
// that names the file; the others count. Who may no longer come in is cut: its
// key, password or address went, or what it may read changed.
int guard_load(guard_t *self, const guard_route_t routes[], size_t count, diag_t *diag);

// As guard_load would, without a guard: for zbroker -t. A damaged certificate
// in client_certs is a warning.
int guard_check(const conf_t *conf, diag_t *diag);

// For route_services_t, ARG is the guard: set ZAP domain, mechanism, keys and
// how an XPUB reports subscriptions, after the socket's own options and before
// its first bind or connect. 0, or -1 with the reason in DIAG.
int guard_secure(void *arg, void *socket, const route_conf_t *conf, side_t side, diag_t *diag);

// For route_services_t: the filter of a route that was loaded, NULL if it needs
// none. CONF and COUNTERS outlive it.
filter_t *guard_filter_new(void *arg, const route_conf_t *conf, counters_t *counters);
void guard_filter_free(void *arg, filter_t **filter_p);

// Milliseconds since the thread last came round its loop (it does so every second): for the watchdog.
int64_t guard_age_ms(const guard_t *self);

// Stop answering. Sockets that are still open let nobody in from now on.
void guard_destroy(guard_t **self_p);

#endif
