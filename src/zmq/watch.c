// SPDX-License-Identifier: MPL-2.0
#include "zmq/watch.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/mem.h"
#include "zmq/entrance.h"
#include "zmq/peers.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

#define ROUND_MS 1000 // the loop comes round at least this often
#define NEWCOMERS_MS 200 // with several I/O threads the event of a connection may come later than its login

#define EVENTS                                                                                                         \
    (ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_MONITOR_STOPPED                     \
     | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH    \
     | ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_ACCEPT_FAILED)

struct watch_side {
    watched_t watched; // first
    watch_t *watch;
    watch_side_t *next;
    void *monitor;    // our end of the PAIR
    int monitor_fd;
    peers_t peers;
    bool open_to_all;
    bool removed;     // its socket is closed
    bool over;        // the last event was read: the watch thread frees it after its round
};

struct watch {
    watched_t wake_watched; // first
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock; // over all sides and peers
    watch_side_t *sides;
    unsigned last_name;
    capacity_t *capacity; // of the process; NULL: nobody counts all sides together
    bool unasked; // nobody else counts logins
    loop_t loop;
    int wake;
    int64_t looked_ms;
    _Atomic bool stopping;
    _Atomic int64_t round_ms;
};

// --- events ------------------------------------------------------------------

static void
handshake_failed(watch_side_t *side, handshake_reason_t reason, uint32_t value)
{
    log_event(EVENT_HANDSHAKE_FAILED, EVENT_TEXT("route", side->peers.route), EVENT_TEXT("side", side_name(side->peers.side)),
              EVENT_TEXT("reason", handshake_reasons[reason]), EVENT_NUMBER("code", value));
    counter_add(&side->peers.counters->handshake_failures[reason], 1); // who sees the number finds the line
}

static void
on_event(watch_side_t *side, uint16_t event, uint32_t value)
{
    switch (event) {
    case ZMQ_EVENT_ACCEPTED:
        peers_add(&side->peers, (int)value, false);
        break;
    case ZMQ_EVENT_CONNECTED:
        peers_add(&side->peers, (int)value, true);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        peers_remove(&side->peers, (int)value);
        break;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
        if (side->open_to_all && side->watch->unasked)
            counter_add_shared(&side->peers.counters->auth[AUTH_SUCCESS], 1);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        handshake_failed(side, HANDSHAKE_AUTH, value);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        handshake_failed(side, HANDSHAKE_PROTOCOL, value);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        handshake_failed(side, HANDSHAKE_OTHER, value);
        break;
    case ZMQ_EVENT_ACCEPT_FAILED:
        // Where two routes share a listener, while one takes over, the other was faster.
        if (value == EAGAIN)
            break;
        if (value == ENTRANCE_REFUSED) {
            handshake_failed(side, HANDSHAKE_AUTH, value);
            break;
        }
        log_event(EVENT_ACCEPT_FAILED, EVENT_TEXT("route", side->peers.route), EVENT_TEXT("side", side_name(side->peers.side)),
                  EVENT_PROSE("reason", zmq_strerror((int)value)));
        break;
    default:
        break;
    }
}

// One event is two frames, zmq_socket_monitor(3): 16 bit event, 32 bit value; endpoint. False: no more now.
static bool
read_event(watch_side_t *side, uint16_t *event)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    bool got = zmq_msg_recv(&frame, side->monitor, ZMQ_DONTWAIT) != -1;
    if (got && zmq_msg_size(&frame) >= 6) {
        uint32_t value;
        const char *data = zmq_msg_data(&frame);
        memcpy(event, data, sizeof *event);
        memcpy(&value, data + sizeof *event, sizeof value);
        on_event(side, *event, value);
    }
    while (got && zmq_msg_more(&frame) && zmq_msg_recv(&frame, side->monitor, ZMQ_DONTWAIT) != -1) {
    }
    zmq_msg_close(&frame);
    return got;
}

static void
free_side(watch_t *self, watch_side_t *side)
{
    for (watch_side_t **at = &self->sides; *at; at = &(*at)->next)
        if (*at == side) {
            *at = side->next;
            break;
        }
    loop_forget(&self->loop, side->monitor_fd, &side->watched);
    zmq_close(side->monitor);
    peers_free(&side->peers);
    free(side);
}

// In whichever thread, under the lock. Edge-triggered: read until there is nothing, as zmq_getsockopt(3) asks of
// ZMQ_FD.
static void
read_events(watch_side_t *side)
{
    uint16_t event = 0;
    while (!side->over && read_event(side, &event))
        side->over = event == ZMQ_EVENT_MONITOR_STOPPED;
    peers_meet(&side->peers);
}

static void
on_monitor(watched_t *watched, uint32_t events)
{
    watch_side_t *side = (watch_side_t *)watched;
    (void)events;
    pthread_mutex_lock(&side->watch->lock);
    read_events(side);
    pthread_mutex_unlock(&side->watch->lock);
}

static void
on_wake(watched_t *watched, uint32_t events)
{
    watch_t *self = (watch_t *)watched;
    (void)events;
    bell_hear(self->wake);
    pthread_mutex_lock(&self->lock);
    for (watch_side_t *side = self->sides; side; side = side->next)
        read_events(side);
    pthread_mutex_unlock(&self->lock);
}

static void
sweep(watch_t *self)
{
    for (watch_side_t *side = self->sides, *next; side; side = next) {
        next = side->next;
        if (side->over && side->removed)
            free_side(self, side);
    }
}

// --- the thread --------------------------------------------------------------

// Once a round, however often events wake the thread.
static void
look(watch_t *self)
{
    int64_t now = clock_mono_ms();
    if (now - self->looked_ms < ROUND_MS)
        return;
    self->looked_ms = now;
    for (watch_side_t *side = self->sides; side; side = side->next)
        peers_look_at_some(&side->peers);
}

static void *
watch_thread(void *arg)
{
    watch_t *self = arg;
    pthread_setname_np(pthread_self(), "zb:watch");
    while (!atomic_load(&self->stopping)) {
        loop_run(&self->loop, ROUND_MS);
        atomic_store(&self->round_ms, clock_mono_ms());
        pthread_mutex_lock(&self->lock);
        look(self);
        sweep(self);
        pthread_mutex_unlock(&self->lock);
    }
    return NULL;
}

// --- for the others -----------------------------------------------------------

static void
free_watch(watch_t *self)
{
    loop_close(&self->loop);
    if (self->wake != -1)
        close(self->wake);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

watch_t *
watch_new(void *ctx, capacity_t *capacity)
{
    watch_t *self = xcalloc(1, sizeof *self);
    self->wake_watched.ready = on_wake;
    self->ctx = ctx;
    self->capacity = capacity;
    self->round_ms = clock_mono_ms();
    pthread_mutex_init(&self->lock, NULL);
    self->wake = bell_new();
    int error = loop_open(&self->loop) == -1 || self->wake == -1 ? errno : 0;
    if (!error && loop_watch(&self->loop, self->wake, EPOLLIN, &self->wake_watched) == -1)
        error = errno;
    if (!error)
        error = pthread_create(&self->thread, NULL, watch_thread, self);
    if (!error)
        return self;
    free_watch(self);
    errno = error;
    return NULL;
}

static void *
open_monitor(watch_t *self, void *socket)
{
    char name[64];
    snprintf(name, sizeof name, "inproc://watch-%u", ++self->last_name);
    if (zmq_socket_monitor(socket, name, EVENTS) == -1)
        return NULL;
    int zero = 0;
    void *monitor = zmq_socket(self->ctx, ZMQ_PAIR);
    if (!monitor)
        return NULL;
    zmq_setsockopt(monitor, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(monitor, ZMQ_RCVHWM, &zero, sizeof zero);
    if (zmq_connect(monitor, name) == 0)
        return monitor;
    zmq_close(monitor);
    return NULL;
}

watch_side_t *
watch_add(watch_t *self, void *socket, const char *route, side_t which, bool open_to_all, side_counters_t *counters)
{
    pthread_mutex_lock(&self->lock);
    void *monitor = open_monitor(self, socket);
    watch_side_t *side = NULL;
    if (monitor) {
        side = xcalloc(1, sizeof *side);
        *side = (watch_side_t){
            .watched.ready = on_monitor, .watch = self, .monitor = monitor, .open_to_all = open_to_all
        };
        side->peers =
            (peers_t){ .route = xstrdup(route), .side = which, .counters = counters, .capacity = self->capacity };
        size_t size = sizeof side->monitor_fd;
        zmq_getsockopt(monitor, ZMQ_FD, &side->monitor_fd, &size);
        side->next = self->sides;
        self->sides = side;
        loop_watch(&self->loop, side->monitor_fd, EPOLLIN, &side->watched);
    }
    pthread_mutex_unlock(&self->lock);
    if (side)
        bell_ring(self->wake); // what came before the descriptor was watched
    return side;
}

void
watch_remove(watch_t *self, watch_side_t **side_p)
{
    static side_counters_t nobodys; // whoever is still connected has been counted as gone
    watch_side_t *side = *side_p;
    if (!side)
        return;
    pthread_mutex_lock(&self->lock);
    side->removed = true;
    if (side->peers.full && side->peers.on_full) // whoever takes over accepts
        side->peers.on_full(false, side->peers.arg);
    side->peers.on_full = NULL;
    counter_set(&side->peers.counters->connections, 0);
    counter_add(&side->peers.counters->disconnections, side->peers.count);
    side->peers.counters = &nobodys;
    pthread_mutex_unlock(&self->lock);
    bell_ring(self->wake);
    *side_p = NULL;
}

void
watch_asked(watch_t *self, bool asked)
{
    pthread_mutex_lock(&self->lock);
    for (watch_side_t *side = self->sides; side; side = side->next)
        read_events(side);
    self->unasked = !asked;
    pthread_mutex_unlock(&self->lock);
}

void
watch_turn_away(watch_side_t *side)
{
    pthread_mutex_lock(&side->watch->lock);
    read_events(side);
    side->peers.turned_away = true;
    pthread_mutex_unlock(&side->watch->lock);
}

size_t
watch_connections(watch_side_t *side)
{
    pthread_mutex_lock(&side->watch->lock);
    read_events(side);
    size_t count = side->peers.count;
    pthread_mutex_unlock(&side->watch->lock);
    return count;
}

void
watch_limit(watch_side_t *side, size_t limit, void (*on_full)(bool full, void *arg), void *arg)
{
    pthread_mutex_lock(&side->watch->lock);
    side->peers.limit = limit;
    side->peers.on_full = on_full;
    side->peers.arg = arg;
    peers_count(&side->peers);
    pthread_mutex_unlock(&side->watch->lock);
}

static void
list_client(client_list_t *list, const peers_t *side, const peer_t *peer)
{
    client_t *client = client_list_add(list, side->route, side->side, peer->id, peer->peer);
    client->outgoing = peer->outgoing;
    client->since_wall_ns = peer->since_wall_ns;
    client->is_ipc = peer->is_ipc;
    int pinned = peer_pin(peer);
    if (pinned != -1)
        client_connected_by(client, pinned);
    peer_unpin(pinned);
}

void
watch_each(watch_t *self, const char *route, client_fn_t *fn, void *arg)
{
    client_list_t clients = { 0 };
    pthread_mutex_lock(&self->lock);
    for (watch_side_t *side = self->sides; side; side = side->next) {
        if (side->removed || (route && strcmp(route, side->peers.route) != 0))
            continue;
        read_events(side);
        for (size_t i = 0; i < side->peers.count; i++)
            list_client(&clients, &side->peers, &side->peers.at[i]);
    }
    pthread_mutex_unlock(&self->lock);
    client_list_each(&clients, fn, arg);
}

int
watch_kick(watch_t *self, const char *route, uint64_t id)
{
    int rc = -1;
    pthread_mutex_lock(&self->lock);
    for (watch_side_t *side = self->sides; side; side = side->next) {
        if (strcmp(route, side->peers.route) != 0)
            continue;
        for (size_t i = 0; i < side->peers.count; i++)
            if (side->peers.at[i].id == id && peer_cut(&side->peers.at[i]))
                rc = 0;
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

// A route that is re-created has an old and a new side of the same name for a while.
void
watch_cut_newcomers(watch_t *self, const char *route, side_t which)
{
    pthread_mutex_lock(&self->lock);
    for (watch_side_t *side = self->sides; side; side = side->next)
        if (side->peers.side == which && strcmp(route, side->peers.route) == 0)
            side->peers.cut_until_ms = clock_mono_ms() + NEWCOMERS_MS;
    pthread_mutex_unlock(&self->lock);
}

size_t
watch_half_close(watch_side_t *side, bool all)
{
    pthread_mutex_lock(&side->watch->lock);
    read_events(side); // who came before this moment is no newcomer, however late the watch thread hears of it
    side->peers.half_closed = true;
    size_t left = 0;
    for (size_t i = 0; i < side->peers.count; i++)
        left += !peer_half_close(&side->peers.at[i], all);
    pthread_mutex_unlock(&side->watch->lock);
    return left;
}

int64_t
watch_age_ms(const watch_t *self)
{
    return clock_mono_ms() - atomic_load(&((watch_t *)self)->round_ms);
}

void
watch_destroy(watch_t **self_p)
{
    watch_t *self = *self_p;
    if (!self)
        return;
    atomic_store(&self->stopping, true);
    bell_ring(self->wake);
    pthread_join(self->thread, NULL);
    while (self->sides)
        free_side(self, self->sides);
    free_watch(self);
    *self_p = NULL;
}
