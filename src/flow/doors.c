// SPDX-License-Identifier: MPL-2.0
// doors.c - listeners that wait for their first client: see route_parts.h.

#include "flow/route_parts.h"

// In the watch thread.
static void
on_knock(void *arg)
{
    route_t *self = arg;
    atomic_store(&self->knocked, true);
    route_poke(self);
}

// A monitor has two ends, and libzmq gets a copy of each listening descriptor.
static void
count_asleep(route_t *self)
{
    unsigned count = (unsigned)self->sleeping.count;
    for (side_t side = 0; side < SIDES; side++)
        count += self->forward.ports[side].socket && !self->watched[side] ? 2 : 0;
    atomic_store(&self->asleep, count);
}

// Both directions bring new messages: then either side's clients are sent away before the route ends.
static bool
both_bring(const route_conf_t *conf)
{
    int type = conf->sides[SIDE_FRONTEND].type;
    return conf->flow == FLOW_BOTH && type != ZMQ_ROUTER && type != ZMQ_XSUB;
}

bool
doors_may_close(const route_t *self, side_t side, const listeners_t *listeners)
{
    const side_conf_t *conf = &self->conf->sides[side];
    if (self->own_ctx || self->asks || both_bring(self->conf))
        return false;
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        size_t at;
        const endpoint_conf_t *endpoint = &conf->endpoints[i];
        const listener_t *listener = endpoint->connect ? NULL : listeners_find(listeners, side, endpoint->at.text, &at);
        if (!listener || listener_fd(listener) == -1 || listener_is_wildcard(listener) || listener_is_shared(listener))
            return false;
    }
    return true;
}

void
doors_close(route_t *self, side_t side, listeners_t *listeners)
{
    const side_conf_t *conf = &self->conf->sides[side];
    for (size_t i = 0; i < conf->endpoint_count; i++) {
        listener_t *listener = listeners_take(listeners, side, conf->endpoints[i].at.text);
        sockets_add_listener(self, listener, side);
        listeners_add(&self->sleeping, listener, side);
    }
    count_asleep(self);
}

static bool
brings(const route_t *self, side_t side)
{
    for (size_t i = 0; i < self->forward.lane_count; i++)
        if (self->forward.lanes[i].input && self->forward.lanes[i].from->side == side)
            return true;
    return false;
}

// In the route's thread. What fails now is tried again when somebody knocks again.
void
doors_answer(route_t *self)
{
    bool leaving = atomic_load(&self->finish) != FINISH_NOT;
    for (size_t i = 0; i < self->sleeping.count;) {
        listener_t *listener = self->sleeping.at[i];
        side_t side = self->sleeping.side[i];
        if (leaving && brings(self, side)) { // newcomers wait for whoever is next
            i++;
            continue;
        }
        if (!self->watched[side])
            sockets_watch(self, side);
        watch_door_gone(self->services->watch, listener_fd(listener));
        if (sockets_give(self, listener, side) == 0) {
            listeners_take_at(&self->sleeping, i);
            continue;
        }
        sockets_say_bind_failed(self, listener);
        watch_door(self->services->watch, listener_fd(listener), on_knock, self);
        i++;
    }
    count_asleep(self);
}

void
doors_watch(route_t *self)
{
    self->asks = true;
    for (size_t i = 0; i < self->sleeping.count; i++)
        if (watch_door(self->services->watch, listener_fd(self->sleeping.at[i]), on_knock, self) == -1)
            atomic_store(&self->knocked, true);
    if (atomic_load(&self->knocked))
        route_poke(self);
}

void
doors_forget(route_t *self)
{
    for (size_t i = 0; self->asks && i < self->sleeping.count; i++)
        watch_door_gone(self->services->watch, listener_fd(self->sleeping.at[i]));
    listeners_forget(&self->sleeping);
}
