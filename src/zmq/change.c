// SPDX-License-Identifier: MPL-2.0
// change.c - what a route takes over while it runs: see internal.h.

#include "zmq/internal.h"

#include "base/log.h"

#include <string.h>

typedef struct {
    const route_conf_t *conf;
    listeners_t *listeners;
    diag_t *diag;
} live_change_t;

static void
drop_endpoints(route_t *self, side_t side, const side_conf_t *wanted)
{
    void *socket = self->forward.ports[side].socket;
    const side_conf_t *had = &self->conf->sides[side];
    for (size_t i = 0; i < had->endpoint_count; i++) {
        const char *text = had->endpoints[i].at.text;
        if (side_has_endpoint(wanted, text, had->endpoints[i].connect))
            continue;
        if (had->endpoints[i].connect) {
            zmq_disconnect(socket, text);
            continue;
        }
        listener_t *listener = sockets_take_listener(self, side, text);
        if (!listener)
            continue;
        listeners_take(&self->base.deferred, side, text);
        zmq_unbind(socket, listener_bound_as(listener));
        listener_close(&listener, false);
    }
}

static void
close_capture(route_t *self)
{
    forward_t *forward = &self->forward;
    capture_free(&forward->capture);
    zmq_close(forward->ports[SIDE_CAPTURE].socket);
    forward->ports[SIDE_CAPTURE].socket = NULL;
    if (self->watched[SIDE_CAPTURE])
        watch_remove(self->resources->watch, &self->watched[SIDE_CAPTURE]);
}

// What the next capture binds too is kept for it.
static void
give_back_listeners(route_t *self, side_t side, const side_conf_t *wanted, listeners_t *to)
{
    const side_conf_t *had = &self->conf->sides[side];
    for (size_t i = 0; i < had->endpoint_count; i++) {
        const char *text = had->endpoints[i].at.text;
        if (had->endpoints[i].connect || !side_has_endpoint(wanted, text, false))
            continue;
        listener_t *listener = sockets_take_listener(self, side, text);
        if (!listener)
            continue;
        zmq_unbind(self->forward.ports[side].socket, listener_bound_as(listener));
        listeners_add(to, listener, side);
    }
}

// A capture comes and goes as a whole: nobody's messages depend on it.
static int
change_capture(route_t *self, live_change_t *change)
{
    forward_t *forward = &self->forward;
    int rc = 0;
    if (forward->ports[SIDE_CAPTURE].socket) {
        give_back_listeners(self, SIDE_CAPTURE, &change->conf->sides[SIDE_CAPTURE], change->listeners);
        drop_endpoints(self, SIDE_CAPTURE, &(side_conf_t){ .type = -1 });
        close_capture(self);
    }
    if (change->conf->sides[SIDE_CAPTURE].type != -1) {
        self->conf = change->conf;
        rc = sockets_open(self, SIDE_CAPTURE, change->listeners, change->diag);
        if (rc == 0)
            forward->capture = capture_new(forward->ports[SIDE_CAPTURE].socket, change->conf, self->counters);
    }
    return rc;
}

// Of the capture, all but its endpoints: those come and go by themselves.
static bool
has_all_of_capture(const route_conf_t *conf, const route_conf_t *other)
{
    for (size_t i = 0; i < other->settings.count; i++) {
        const setting_t *setting = &other->settings.at[i];
        bool endpoint = strcmp(setting->key, "capture_bind") == 0 || strcmp(setting->key, "capture_connect") == 0;
        if (strncmp(setting->key, "capture_", 8) == 0 && !endpoint && !settings_have(&conf->settings, setting))
            return false;
    }
    return true;
}

static bool
same_capture(const route_conf_t *a, const route_conf_t *b)
{
    return a->sides[SIDE_CAPTURE].type == b->sides[SIDE_CAPTURE].type && has_all_of_capture(a, b) && has_all_of_capture(b, a);
}

static int
change_side(route_t *self, side_t side, const route_conf_t *had, live_change_t *change)
{
    drop_endpoints(self, side, &change->conf->sides[side]);
    self->conf = change->conf;
    int rc = sockets_open_endpoints(self, side, &had->sides[side], change->listeners, change->diag);
    if (self->watched[side])
        sockets_limit_clients(self, side, change->conf->sides[side].max_clients);
    self->conf = had;
    return rc;
}

int
change_route(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag)
{
    live_change_t change = { conf, listeners, diag };
    const route_conf_t *had = self->conf;
    int rc = 0;
    bool same = same_capture(had, conf);
    for (side_t side = 0; side < SIDES; side++)
        if (self->forward.ports[side].socket && (side != SIDE_CAPTURE || same))
            rc |= change_side(self, side, had, &change);
    if (!same)
        rc |= change_capture(self, &change);
    self->conf = conf;
    rights_free(&self->forward.rights);
    self->forward.rights = rights_new(self->conf, self->resources->admission);
    self->forward.batch_ns = self->conf->batch_us * 1000;
    self->forward.batch_min = (size_t)self->conf->batch_min;
    return rc;
}

void
change_reconnect(route_t *self, const char *endpoint)
{
    for (side_t side = 0; side < SIDES; side++) {
        void *socket = self->forward.ports[side].socket;
        if (!socket || !side_has_endpoint(&self->conf->sides[side], endpoint, true))
            continue;
        zmq_disconnect(socket, endpoint); // it may know already that nobody is there
        if (zmq_connect(socket, endpoint) == -1)
            log_event(EVENT_CONNECT_FAILED, EVENT_TEXT("route", self->conf->name), EVENT_TEXT("endpoint", endpoint),
                      EVENT_PROSE("reason", zmq_strerror(zmq_errno())));
    }
}
