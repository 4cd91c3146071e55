// SPDX-License-Identifier: MPL-2.0
//
// A route's thread and what it is told, with an engine that moves nothing.
#include "base/bell.h"
#include "flow/engine.h"
#include "test.h"

#include <poll.h>

struct route {
    route_base_t base;
    pthread_t thread;
    route_state_t mode;
    bool joined;
    const route_conf_t *changed_to;
    _Atomic bool ends_by_itself;
};

static _Atomic int closed;

static int
open_idle(route_t *self, const route_conf_t *conf, listeners_t *listeners, const route_resources_t *resources,
          counters_t *counters, diag_t *diag)
{
    (void)self, (void)conf, (void)listeners, (void)resources, (void)counters, (void)diag;
    return 0;
}

static void
close_idle(route_t *self, route_leftover_t *left)
{
    (void)self;
    left->undelivered = 7;
    closed++;
}

static void
run_idle(route_t *self)
{
    struct pollfd bell = { .fd = self->base.thread.bell, .events = POLLIN };
    self->thread = pthread_self();
    while (!routethread_is_to_end(&self->base.thread)) {
        poll(&bell, 1, -1);
        bell_hear(bell.fd);
        if (self->ends_by_itself)
            return;
        route_obey(self);
    }
}

static void
join_idle(route_t *self)
{
    self->joined = true;
}

static void
go_on(route_t *self, route_state_t mode)
{
    self->mode = mode;
}

static void
look(route_t *self)
{
    (void)self;
}

static int
change(route_t *self, const route_conf_t *conf, listeners_t *listeners, diag_t *diag)
{
    (void)listeners, (void)diag;
    self->changed_to = conf;
    return 0;
}

#define IDLE                                                                                                           \
    .size = sizeof(route_t), .stack_bytes = 256 * 1024, .open = open_idle, .close = close_idle, .run = run_idle,       \
    .join = join_idle, .go_on = go_on, .look = look, .change = change

static const route_engine_t idle = { IDLE }, deaf = { .is_deaf = true, IDLE };
static const route_conf_t conf = { .name = "idle", .engine = ENGINE_ZMQ, .cpu = -1 };

static route_t *
start(const route_engine_t *engine)
{
    route_resources_t resources = { .engines = { [ENGINE_ZMQ] = engine } };
    listeners_t listeners = { 0 };
    route_t *self = route_open(&conf, &listeners, &resources, NULL, NULL);
    CHECK(self && route_run(self, -1) == 0);
    return self;
}

static void
stop(route_t *self)
{
    route_leftover_t left;
    int before = closed;
    route_finish(self, 0, true);
    route_close(&self, &left);
    CHECK(!self && left.undelivered == 7 && closed == before + 1);
}

static int
note_thread(route_t *self, void *arg)
{
    *(bool *)arg = pthread_equal(self->thread, pthread_self());
    return 5;
}

static void
a_call_runs_in_the_routes_thread(void)
{
    route_t *self = start(&idle);
    bool is_there = false;
    CHECK(route_call(self, note_thread, &is_there) == 5 && is_there);
    CHECK(route_change(self, &conf, NULL, NULL) == 0 && self->changed_to == &conf);
    stop(self);
}

static void
a_pause_is_over_when_the_thread_has_obeyed(void)
{
    route_t *self = start(&idle);
    route_set_mode(self, ROUTE_PAUSED);
    CHECK(self->mode == ROUTE_PAUSED && !self->joined);
    route_set_mode(self, ROUTE_DRAINING);
    CHECK(self->mode == ROUTE_DRAINING);
    route_join(self);
    route_set_mode(self, ROUTE_RUNNING);
    CHECK(self->mode == ROUTE_RUNNING && self->joined);
    stop(self);
}

static void
nobody_waits_for_a_thread_that_ends_by_itself(void)
{
    route_t *self = start(&idle);
    bool is_there = false;
    self->ends_by_itself = true;
    CHECK(route_call(self, note_thread, &is_there) == -1 && !is_there);
    CHECK(route_call(self, note_thread, &is_there) == -1); // nor when it has ended
    stop(self);
}

static void
a_thread_that_is_to_end_takes_no_work(void)
{
    route_t *self = start(&idle);
    bool is_there = false;
    route_finish(self, 1000, false);
    CHECK(route_call(self, note_thread, &is_there) == -1 && !is_there);
    CHECK(route_age_ms(self) == 0);
    stop(self);
}

static void
an_engine_that_is_deaf_is_told_nothing(void)
{
    route_t *self = start(&deaf);
    bool is_there = false;
    CHECK(route_call(self, note_thread, &is_there) == -1 && !is_there);
    CHECK(route_change(self, &conf, NULL, NULL) == -1 && !self->changed_to);
    CHECK(route_age_ms(self) == 0 && route_age_ms(self) == 0);
    stop(self);
}

int
main(void)
{
    RUN(a_call_runs_in_the_routes_thread);
    RUN(a_pause_is_over_when_the_thread_has_obeyed);
    RUN(nobody_waits_for_a_thread_that_ends_by_itself);
    RUN(a_thread_that_is_to_end_takes_no_work);
    RUN(an_engine_that_is_deaf_is_told_nothing);
    return test_done();
}
