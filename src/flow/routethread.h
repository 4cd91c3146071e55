// SPDX-License-Identifier: MPL-2.0
// routethread.h - a route's thread and what it is told, the same for every engine: work
// that the caller waits for, whether messages pass, when it is to end; and whether it is
// alive. The main thread tells and rings; the route's thread hears the bell in its loop,
// and obeys (route_obey of flow/engine.h).

#ifndef ZB_ROUTETHREAD_H
#define ZB_ROUTETHREAD_H

#include "flow/route.h"

#include <pthread.h>
#include <stdatomic.h>

typedef enum { FINISH_NOT, FINISH_DRAIN, FINISH_AT_ONCE } finish_t;

typedef int routework_t(route_t *route, void *arg);

// A piece of work for the route's thread; one at a time.
typedef struct {
    routework_t *run;
    void *arg;
    int result;
} routecall_t;

typedef struct {
    route_t *route;
    void (*run)(route_t *route);
    const route_conf_t *conf; // for the start: its name and its processor
    pthread_t id;
    bool started;
    int bell; // an eventfd, rung when there is something to do
    int tell; // an eventfd of the caller's, or -1: the thread is over

    _Atomic bool poked; // the bell was rung, and nobody has obeyed since
    _Atomic int mode;   // ROUTE_RUNNING, ROUTE_PAUSED, ROUTE_DRAINING
    _Atomic bool joins;
    _Atomic int finish;
    _Atomic int64_t deadline_ms;
    _Atomic bool over;

    _Atomic uint64_t pong; // how often it has obeyed
    uint64_t ping;         // that, when it was asked last
    int64_t ping_ms;       // when that was, 0: never

    pthread_mutex_t lock; // over the next two, and over the end
    pthread_cond_t called;
    routecall_t *call;
} routethread_t;

// Of a route with the configuration CONF: 0, or -1 with errno; routethread_close cleans up.
int routethread_open(routethread_t *self, const route_conf_t *conf);
void routethread_close(routethread_t *self); // it is over, or was never started

// --- the main thread's ---------------------------------------------------------

// RUN (ROUTE) in a thread of the route's name, on its processor: 0, or -1 with errno.
int routethread_start(routethread_t *self, size_t stack_bytes, void (*run)(route_t *route), route_t *route, int tell);
void routethread_wait(routethread_t *self);          // until it is over
bool routethread_is_over(const routethread_t *self); // or was never started

void routethread_poke(routethread_t *self); // there is something to do; from any thread

// Work for the thread, and wait: its loop answers within milliseconds. RUN NULL: only the answer, once it has obeyed.
// -1: it runs no more, or is about to end.
int routethread_call(routethread_t *self, routework_t *run, void *arg);
// The same in two steps: ask, do something else, and wait for the answer.
void routethread_ask(routethread_t *self, routecall_t *call);
int routethread_answer(routethread_t *self, const routecall_t *call);
void routethread_join(routethread_t *self); // it may accept where it waited for the route before
void routethread_finish(routethread_t *self, int64_t drain_ms, bool at_once); // a second time: sooner, or at once
int64_t routethread_age_ms(routethread_t *self);                              // see route_age_ms

// --- the route's thread's ------------------------------------------------------

static inline bool
routethread_is_to_end(const routethread_t *self)
{
    return atomic_load_explicit(&((routethread_t *)self)->finish, memory_order_acquire) != FINISH_NOT;
}

static inline bool
routethread_is_poked(const routethread_t *self)
{
    return atomic_load_explicit(&((routethread_t *)self)->poked, memory_order_relaxed);
}

bool routethread_hurries(const routethread_t *self);    // it was told to end at once
int64_t routethread_left_ms(const routethread_t *self); // of the time that its end may take; 0 if it hurries

// It ends by itself, and is called no more.
void routethread_end_now(routethread_t *self);

// The question and the call that came with the bell.
void routethread_hear(routethread_t *self);
bool routethread_joins(routethread_t *self); // true once, after routethread_join
void routethread_serve(routethread_t *self);

#endif
