// SPDX-License-Identifier: MPL-2.0
// tapserver.h - who looks on: a thread of low priority that takes what passes out of
// the routes' rings (flow/tap.h), writes it as text and sends it to whoever asked.
//
// A looker-on is followed by two: the main thread, which knows the routes, so
// that a tap goes on when its route is re-created, or disabled and enabled; and
// the tapserver's thread, which has its output, until it is over. What its client
// does not take is missed, by this one alone. What is missed shows as a jump of
// SEQ and as the sum in the last line, so that what was seen and what was missed
// add up to all there was.

#ifndef ZB_TAPSERVER_H
#define ZB_TAPSERVER_H

#include "admin/tapformat.h"
#include "broker/broker.h"

typedef struct tapserver tapserver_t;

// All of this is called by the main thread. The thread starts with the first tap.
tapserver_t *tapserver_new(broker_t *broker);
int tapserver_fd(
    const tapserver_t *self); // readable when a session may be over or has lost its route; -1: out of descriptors
void tapserver_look(tapserver_t *self);       // it was seen
int64_t tapserver_age_ms(tapserver_t *self);  // of an unanswered sign of life
void tapserver_destroy(tapserver_t **self_p); // every session is over then; destroy them after

typedef struct tapsession tapsession_t;

// Show on the socket FD what CONF asks for. Takes what CONF holds. FD stays the
// caller's, who neither writes to it nor closes it before this is over. NULL with the reason in ERROR.
tapsession_t *tapsession_new(tapserver_t *tapserver, tap_request_t *conf, int fd, text_t *error);
bool tapsession_is_endless(const tapsession_t *self); // no count was given

// Look whether the route is still the one that is tapped. False: it is gone for good.
bool tapsession_follow(tapsession_t *self);

// Ask it to end with the last line, `missed N'. It is over soon after.
void tapsession_end(tapsession_t *self);

// Is it over? Then OUT gets what is not sent yet, and FD is the caller's again.
bool tapsession_is_over(tapsession_t *self, text_t *out);

// For how long the client has taken nothing of what waits for it.
int64_t tapsession_stuck_ms(const tapsession_t *self);

// False: it is not over, and closes FD itself when the thread has let go of it.
bool tapsession_destroy(tapsession_t **self_p);

#endif
