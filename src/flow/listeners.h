// SPDX-License-Identifier: MPL-2.0
// listeners.h - a route's listening sockets by side, also while they are on their
// way from one route to the next.

#ifndef ZB_LISTENERS_H
#define ZB_LISTENERS_H

#include "flow/services.h"
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
// The one for that endpoint, which stays there, and its place; NULL: none.
listener_t *listeners_find(const listeners_t *self, side_t side, const char *wanted, size_t *at);
void listeners_forget(listeners_t *self); // empty it; whose they are closes them
void listeners_close(listeners_t *self, bool keep_files);

// Bind what CONF wants and is not in KEPT yet; what could not be bound is in
// DIAG, and then KEPT is as before. 0 or -1.
int listeners_bind(listeners_t *kept, const route_conf_t *conf, const route_services_t *services, diag_t *diag);

// Could listeners_bind do so? 0, or -1 with DIAG.
int listeners_try(const listeners_t *kept, const route_conf_t *conf, diag_t *diag);

#endif
