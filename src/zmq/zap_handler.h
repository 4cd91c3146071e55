// SPDX-License-Identifier: MPL-2.0
// zap_handler.h - the thread that answers libzmq's questions (ZAP, RFC 27): it puts each of
// them to the guard (flow/admission.h) and never waits, not for a password either.
//
// A connection that libzmq asks about costs a pipe to us, two round trips between
// threads and a line of the log that hardly anybody reads. So the endpoint is bound
// only when a side wants to know who comes, or the log each login. libzmq looks for
// it at each handshake. Once bound it stays: a socket that was opened before does
// not enforce its domain.

#ifndef ZB_ZAP_HANDLER_H
#define ZB_ZAP_HANDLER_H

#include "flow/admission.h"
#include "zmq/watch.h"

typedef struct zap_handler zap_handler_t;

// Start the thread. CTX, GUARD, and WATCH, which counts the logins that nobody is asked about and may be NULL, are
// borrowed and outlive it. NULL with errno.
zap_handler_t *zap_handler_new(void *ctx, const admission_t *guard, watch_t *watch);

// From now on libzmq asks. When it returns, who has not been asked about has been seen by the watch.
void zap_handler_be_asked(zap_handler_t *self);

// Milliseconds since the thread last came round its loop.
int64_t zap_handler_age_ms(const zap_handler_t *self);

void zap_handler_destroy(zap_handler_t **self_p); // nobody is answered any more

#endif
