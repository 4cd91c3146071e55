// SPDX-License-Identifier: MPL-2.0
// tapper.h - who looks on: a thread of low priority that takes what passes out of
// the routes' rings (flow/tap.h), writes it as text and sends it to whoever asked.
//
// A looker-on is followed by two: the main thread, which knows the routes, so
// that a tap goes on when its route is re-created, or disabled and enabled; and
// the tapper's thread, which has its output, until it is over. What its client
// does not take is missed, by this one alone. What is missed shows as a jump of
// SEQ and as the sum in the last line, so that what was seen and what was missed
// add up to all there was.

#ifndef ZB_TAPPER_H
#define ZB_TAPPER_H

#include "admin/tapping.h"
#include "broker/broker.h"

typedef struct tapper tapper_t;

// All of this is called by the main thread. The thread starts with the first tap.
tapper_t *tapper_new(broker_t *broker);
int tapper_fd(const tapper_t *self);     // readable when a tapping may be over or has lost its route; -1: out of descriptors
void tapper_look(tapper_t *self);        // it was seen
int64_t tapper_age_ms(tapper_t *self);   // of an unanswered sign of life
void tapper_destroy(tapper_t **self_p);  // every tapping is over then; destroy them after

typedef struct tapping tapping_t;

// Show on the socket FD what CONF asks for. Takes what CONF holds. FD stays the
// caller's, who neither writes to it nor closes it before this is over. NULL with the reason in ERROR.
tapping_t *tapping_new(tapper_t *tapper, tapping_conf_t *conf, int fd, text_t *error);
bool tapping_is_endless(const tapping_t *self); // no count was given

// Look whether the route is still the one that is tapped. False: it is gone for good.
bool tapping_follow(tapping_t *self);

// Ask it to end with the last line, `missed N'. It is over soon after.
void tapping_end(tapping_t *self);

// Is it over? Then OUT gets what is not sent yet, and FD is the caller's again.
bool tapping_is_over(tapping_t *self, text_t *out);

// For how long the client has taken nothing of what waits for it.
int64_t tapping_stuck_ms(const tapping_t *self);

// False: it is not over, and closes FD itself when the thread has let go of it.
bool tapping_destroy(tapping_t **self_p);

#endif
