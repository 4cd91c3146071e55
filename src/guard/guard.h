// SPDX-License-Identifier: MPL-2.0
// guard.h - who may come in, and what they may do there.
//
// Whoever has connections asks it directly (flow/admission.h); a thread (zmq/zap_handler.h) asks for
// libzmq. It runs before the first socket is bound. Every socket of libzmq has the ZAP domain ROUTE.SIDE; a
// side that keeps anybody out enforces it, so that nobody gets in while there is no handler.
//
// guard_read, guard_use and guard_load are for the main thread.

#ifndef ZB_GUARD_H
#define ZB_GUARD_H

#include "base/diag.h"
#include "conf/conf.h"
#include "flow/admission.h"
#include "guard/policy.h"
#include "zmq/watch.h"

#include <stdint.h>

typedef struct guard guard_t;

// Start the threads. CTX, whose inproc://zeromq.zap.01 is ours, and WATCH are
// borrowed and outlive the guard; WATCH, which counts the logins that nobody is
// asked about, may be NULL. NULL with errno.
guard_t *guard_new(void *ctx, watch_t *watch);

// Read the certificates, users and acl files of all routes; what is in force
// stays so. Certificates that have not changed since they were read last are not
// read again. A damaged certificate in client_certs is one error line in the log
// that names the file; the others count. NULL with each problem in DIAG. The
// caller gives it to guard_use or policy_free.
policy_t *guard_read(const guard_t *self, const guard_route_t routes[], size_t count, diag_t *diag);

// FOUND is told of each file that reads otherwise in NOW than in what is in force: see guard/reread.h.
void guard_compare(const guard_t *self, const policy_t *now,
                   void (*found)(void *arg, const char *route, const char *key, const char *words, reload_t reload), void *arg);

// From now on this is in force, also for who was never asked about. Who may no longer
// come in is cut: its key, password or address went, or what it may read changed.
// *POLICY_P is what was in force before, the caller's to free or to put back; NULL: nothing.
void guard_use(guard_t *self, policy_t **policy_p);

// Both: 0, or -1 with DIAG; the old tables then stay.
int guard_load(guard_t *self, const guard_route_t routes[], size_t count, diag_t *diag);

// Would guard_load take CONF? 0, or -1 with DIAG. A damaged certificate in
// client_certs is a warning. SELF is NULL where there is no guard (zbroker -t).
// POLICY_P, if not NULL, gets what was read: for guard_use, so that what follows
// need not read it again, or policy_free.
int guard_check(const guard_t *self, const conf_t *conf, policy_t **policy_p, diag_t *diag);

// For route_resources_t: the guard, asked directly. Its own, as long as it lives.
const admission_t *guard_admission(const guard_t *self);

// Milliseconds since the thread last came round its loop (it does so every second), or the one that checks passwords,
// which is the longer: for the watchdog.
int64_t guard_age_ms(const guard_t *self);

// Stop answering. Sockets that are still open and enforce their domain let nobody in from now on.
void guard_destroy(guard_t **self_p);

#endif
