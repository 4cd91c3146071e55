// SPDX-License-Identifier: MPL-2.0
// handler.h - the thread that answers libzmq's questions (ZAP, RFC 27) from the
// policy in force. It never waits: passwords are checked by a second thread.
//
// A connection that libzmq asks about costs a pipe to us, two round trips between
// threads and a line of the log that hardly anybody reads. So the endpoint is bound
// only when a side wants to know who comes, or the log each login. libzmq looks for
// it at each handshake. Once bound it stays: a socket that was opened before does
// not enforce its domain.

#ifndef ZB_HANDLER_H
#define ZB_HANDLER_H

#include "flow/entrance.h"
#include "flow/watch.h"
#include "guard/admit.h"
#include "guard/inforce.h"
#include "guard/verify.h"

typedef struct handler handler_t;

// Start both threads. CTX, INFORCE and WATCH, which hears who came and may be NULL,
// are borrowed and outlive it. NULL with errno.
handler_t *handler_new(void *ctx, inforce_t *inforce, watch_t *watch);

// From now on libzmq asks. When it returns, who has not been asked about has been seen by the watch.
void handler_be_asked(handler_t *self);

// May a client at ADDRESS connect there? Else that is counted and logged. In any thread but the main one.
bool handler_admits(handler_t *self, const entrance_t *where, const char *address);

// Milliseconds since the thread last came round its loop, or the one that checks passwords: the longer.
int64_t handler_age_ms(const handler_t *self);

// For the guard asked directly (asked.h): who checks passwords, for all alike; a verdict counted and logged, in any thread.
verify_t *handler_verify(const handler_t *self);
void handler_tell(const verdict_t *verdict, zap_mechanism_t mechanism);

void handler_destroy(handler_t **self_p); // nobody is answered any more

#endif
