// SPDX-License-Identifier: MPL-2.0
// A loop of our own watches the listener, the clients and the news of their taps, and
// only its descriptor is in the zloop: hundreds of clients that come and go do not make
// it build its poll set anew.

#include "admin/control.h"
#include "admin/control_internal.h"
#include "admin/problems.h"
#include "admin/reply.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    TAPS_END_MS = 200, // of all taps, before an upgrade
    TICK_MS = 500,
};

// --- news for those who wait ----------------------------------------------------------

void
control_follow(control_t *self)
{
    for (session_t *client = self->clients; client; client = client->next)
        if (client->tap && !tapsession_follow(client->tap))
            tapsession_end(client->tap);
}

static void
see_route_left(void *arg, const char *route, const route_leftover_t *left)
{
    control_t *self = arg;
    bool more = broker_is_leaving(self->broker, route);
    for (session_t *client = self->clients, *next; client; client = next) {
        next = client->next;
        leaving_t *leaving = &client->leaving;
        if (strcmp(leaving->route, route) != 0)
            continue;
        leaving->left.undelivered += left->undelivered;
        leaving->left.unanswered += left->unanswered;
        if (more)
            continue;
        reply_left(self->broker, leaving, &client->output);
        text_char(&client->output, '\n');
        *leaving = (leaving_t){ 0 };
        client->progress_ms = clock_mono_ms();
        session_advance(self, client);
    }
}

void
control_answer(control_t *self, const char *lines, const char *json, const char *failure)
{
    for (session_t *client = self->clients, *next; client; client = next) {
        next = client->next;
        if (!client->asked)
            continue;
        client->asked = false;
        if (failure)
            reply_refuse(&client->output, client->asks_json, failure);
        else
            text_add(&client->output, "%s\n", client->asks_json ? json : lines);
        text_char(&client->output, '\n');
        session_advance(self, client);
    }
    control_bury(self);
}

// --- events ---------------------------------------------------------------------------

// `stop' with no route that has anything to finish: nobody else would end the loop.
static bool
is_over(const control_t *self)
{
    return broker_stopped(self->broker) || broker_leaves(self->broker);
}

static void
look_at_taps(control_t *self)
{
    control_follow(self);
    for (session_t *client = self->clients, *next; client; client = next) {
        next = client->next;
        if (client->tap && session_see_end_of_tap(client))
            session_advance(self, client);
    }
}

static bool
has_taps(const control_t *self)
{
    for (const session_t *client = self->clients; client; client = client->next)
        if (client->tap)
            return true;
    return false;
}

void
control_end_taps(control_t *self)
{
    int64_t end_ms = clock_mono_ms() + TAPS_END_MS;
    for (session_t *client = self->clients; client; client = client->next)
        if (client->tap)
            tapsession_end(client->tap);
    for (int64_t left_ms; has_taps(self) && (left_ms = end_ms - clock_mono_ms()) > 0;) {
        struct pollfd news = { .fd = tapserver_fd(self->tapserver), .events = POLLIN };
        poll(&news, 1, (int)left_ms);
        tapserver_look(self->tapserver);
        look_at_taps(self);
    }
}

static void
on_listener(watched_t *watched, uint32_t events)
{
    (void)events;
    control_accept((control_t *)watched);
}

static void
on_taps(watched_t *watched, uint32_t events)
{
    control_t *self = (control_t *)((char *)watched - offsetof(control_t, taps));
    (void)events;
    tapserver_look(self->tapserver);
    look_at_taps(self);
}

static int
on_events(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    (void)item;
    control_t *self = arg;
    loop_run(&self->loop, 0);
    control_bury(self);
    return is_over(self) ? -1 : 0;
}

static bool
is_stuck(const session_t *client, int64_t now)
{
    if (client->tap)
        return tapsession_stuck_ms(client->tap) > CONTROL_TAP_STALL_MS;
    return session_waiting(client) && now - client->progress_ms > CONTROL_STALL_MS;
}

static int
on_tick(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    control_t *self = arg;
    int64_t now = clock_mono_ms();
    problems_tick(self->broker);
    if (controlsocket_renew(&self->socket))
        loop_watch(&self->loop, self->socket.fd, EPOLLIN, &self->listener);
    if (self->resting)
        control_rest(self, false);
    look_at_taps(self);
    for (session_t *client = self->clients, *next; client; client = next) {
        next = client->next;
        if (is_stuck(client, now)) {
            session_log(EVENT_CONTROL_SLOW, client);
            session_drop(self, client);
        }
        session_settle(self, client);
    }
    control_bury(self);
    return 0;
}

// --- life -----------------------------------------------------------------------------

control_t *
control_new(zloop_t *loop, broker_t *broker, const char *path, mode_t mode, gid_t group, const record_t *before,
            diag_t *diag)
{
    record_field_t field;
    record_fields_t from = { 0 };
    if (before && record_find(record_fields(before), SAVEDSTATE_CONTROL, &field))
        from = record_inside(&field);
    char reason[256] = "";
    control_t *self = xcalloc(1, sizeof *self);
    *self = (control_t){ .listener.ready = on_listener,
                         .taps.ready = on_taps,
                         .main = loop,
                         .loop.epoll = -1,
                         .timer = -1,
                         .broker = broker };
    self->tapserver = tapserver_new(broker);
    controlsocket_t *socket = &self->socket;
    if (controlsocket_open(socket, path, mode, group, control_find_listener(from, path), reason, sizeof reason) == -1) {
        int error = errno;
        diag_error(diag, (place_t){ 0 }, "control %s: %s", path, reason);
        diag_cause(diag, error);
        control_destroy(&self);
        return NULL;
    }
    bool failed = loop_open(&self->loop) == -1 ||
                  loop_watch(&self->loop, self->socket.fd, EPOLLIN, &self->listener) == -1 ||
                  loop_watch(&self->loop, tapserver_fd(self->tapserver), EPOLLIN, &self->taps) == -1;
    zmq_pollitem_t item = { .fd = self->loop.epoll, .events = ZMQ_POLLIN };
    if (failed || zloop_poller(loop, &item, on_events, self) == -1) {
        diag_error(diag, (place_t){ 0 }, "control %s: %s", path, strerror(errno));
        control_destroy(&self);
        return NULL;
    }
    self->timer = zloop_timer(loop, TICK_MS, 0, on_tick, self);
    broker_on_left(broker, see_route_left, self);
    control_restore(self, from);
    return self;
}

int
control_chmod(control_t *self, mode_t mode, gid_t group)
{
    return controlsocket_chmod(&self->socket, mode, group);
}

int64_t
control_age_ms(control_t *self)
{
    return tapserver_age_ms(self->tapserver);
}

size_t
control_clients(const control_t *self)
{
    return self->count;
}

void
control_destroy(control_t **self_p)
{
    control_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    broker_on_left(self->broker, NULL, NULL);
    for (session_t *client = self->clients; client; client = client->next)
        if (client->tap)
            tapsession_end(client->tap);
    tapserver_destroy(&self->tapserver);
    while (self->clients) {
        session_t *client = self->clients;
        if (client->tap)
            session_see_end_of_tap(client);
        session_flush(self, client);
        session_drop(self, client);
    }
    control_bury(self);
    if (self->timer != -1)
        zloop_timer_end(self->main, self->timer);
    if (self->loop.epoll != -1) {
        zmq_pollitem_t item = { .fd = self->loop.epoll, .events = ZMQ_POLLIN };
        zloop_poller_end(self->main, &item);
        loop_close(&self->loop);
    }
    controlsocket_close(&self->socket);
    free(self);
}
