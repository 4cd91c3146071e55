// SPDX-License-Identifier: MPL-2.0
// listeners.h - a route's listening sockets by side, also while they are on their
// way from one route to the next.

#ifndef ZB_LISTENERS_H
#define ZB_LISTENERS_H

#include "flow/resources.h"
#include "net/listener.h"

// Owns a hold on each; all zero is empty.
typedef struct {
    listener_t **at;
    side_t *side;
    size_t count, room;
    bool wait; // the route before is still delivering: see route_join
} listeners_t;

void listeners_add(listeners_t *self, listener_t *listener, side_t side);
listener_t *listeners_take(listeners_t *self, side_t side, const char *wanted); // NULL: none for that endpoint
listener_t *listeners_take_at(listeners_t *self, size_t i);
listener_t *listeners_take_any(listeners_t *self, const char *wanted);          // of whichever side; never a wildcard's
listener_t *listeners_find(const listeners_t *self, side_t side, const char *wanted); // it stays there
void listeners_share(const listeners_t *self, listeners_t *shared); // a hold on each, for the route that takes over
// On the sides that take in, but for what SUCCESSOR (may be NULL) binds there; and the other way round, for all.
void listeners_stop_accepting(listeners_t *self, closed_for_t reason, const route_conf_t *successor);
void listeners_let_others_accept(const listeners_t *self);
bool listeners_have(const listeners_t *self, const listener_t *listener);

// SELF is on its way to a route that takes over. Must a side of TYPE there not accept on LISTENER before it joins?
bool listeners_must_wait(const listeners_t *self, const listener_t *listener, side_t side, int type);

// Of SIDE, endpoint I of its configuration as it is bound; NULL past the end.
const char *listeners_endpoint(const listeners_t *self, const side_conf_t *conf, side_t side, size_t i, bool *connected);

void listeners_forget(listeners_t *self); // empty it; whose they are closes them
void listeners_close(listeners_t *self, bool keep_files);

// Bind what CONF wants and is not in KEPT yet; what could not be bound is in
// DIAG, and then KEPT is as before. 0 or -1.
int listeners_bind(listeners_t *kept, const route_conf_t *conf, const route_resources_t *resources, diag_t *diag);

// Those that CONF binds get what it says of new ones. What could not is in DIAG.
void listeners_change(const listeners_t *self, const route_conf_t *conf, diag_t *diag);

// Could listeners_bind do so? 0, or -1 with DIAG.
int listeners_try(const listeners_t *kept, const route_conf_t *conf, diag_t *diag);

#endif
