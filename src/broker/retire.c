// SPDX-License-Identifier: MPL-2.0
#include "broker/retire.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "broker/activation.h"
#include "broker/slot.h"
#include "broker/systemd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// --- which ones there are ----------------------------------------------------------------

bool
broker_is_leaving(const broker_t *self, const char *route)
{
    for (const retired_t *i = self->retired; i; i = i->next)
        if (strcmp(i->name, route) == 0)
            return true;
    return false;
}

void
broker_on_left(broker_t *self, void (*left)(void *arg, const char *route, const route_leftover_t *leftover), void *arg)
{
    self->on_left = left;
    self->on_left_arg = arg;
}

bool
broker_stopped(const broker_t *self)
{
    return self->status.stopping && !self->retired;
}

bool
broker_draining(const broker_t *self)
{
    return self->retired;
}

bool
broker_leaves(const broker_t *self)
{
    return self->leaving && !self->status.stopping && !self->retired;
}

// --- the end of a route --------------------------------------------------------------------

static void
unlink_retired(broker_t *self, retired_t *retired)
{
    for (retired_t **at = &self->retired; *at; at = &(*at)->next)
        if (*at == retired) {
            *at = retired->next;
            return;
        }
}

static void
log_leftover(const retired_t *retired, const route_leftover_t *left)
{
    if (left->undelivered || left->unanswered)
        log_event(EVENT_ROUTE_LEFTOVER, EVENT_TEXT("route", retired->name), EVENT_PROSE("how", retired->why),
                  EVENT_NUMBER("undelivered", left->undelivered), EVENT_NUMBER("unanswered", left->unanswered));
    else
        log_event(EVENT_ROUTE_ENDED, EVENT_TEXT("route", retired->name), EVENT_PROSE("how", retired->why));
}

// One of that name has gone: the oldest that is left may have its consumers.
static void
join_next(broker_t *self, slot_t *slot, const char *name)
{
    route_t *next = slot ? slot->route : NULL;
    for (const retired_t *i = self->retired; i; i = i->next) // the newest comes first
        if (strcmp(i->name, name) == 0)
            next = i->route;
    if (next)
        route_join(next);
}

static bool
is_bound(const broker_t *self, const char *endpoint)
{
    for (size_t i = 0; i < self->count; i++)
        if (slot_has_endpoint(self->slots[i], endpoint, false))
            return true;
    return false;
}

// systemd's store would keep on taking connects where no route binds any more.
// While the process stops it is to do just that, for the next one.
void
retire_unstore(const broker_t *self, const route_conf_t *conf)
{
    for (side_t side = 0; !self->status.stopping && side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            char name[256];
            if (endpoint->connect || endpoint->at.transport != TRANSPORT_TCP || is_bound(self, endpoint->at.text))
                continue;
            activation_name(endpoint, name);
            systemd_unstore(name);
        }
}

static void
bury(broker_t *self, retired_t *retired)
{
    route_leftover_t left;
    unlink_retired(self, retired);
    route_close(&retired->route, &left);
    log_leftover(retired, &left);
    slot_t *slot = slot_find(self, retired->name);
    if (slot)
        counters_add(&slot->past, retired->counters);
    free(retired->counters);
    retire_unstore(self, retired->conf);
    if (retired->owns_conf)
        route_conf_destroy(&retired->conf);
    char *name = retired->name;
    free(retired);
    if (slot && slot->opening_later)
        slot_open_again(self, slot);
    else
        join_next(self, slot, name);
    if (self->on_left)
        self->on_left(self->on_left_arg, name, &left);
    free(name);
}

void
retire_bury_all(broker_t *self)
{
    while (self->retired)
        bury(self, self->retired);
}

static int
on_finished(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    broker_t *self = arg;
    bell_hear(item->fd);
    for (retired_t *i = self->retired, *next; i; i = next) {
        next = i->next;
        if (route_finished(i->route))
            bury(self, i);
    }
    for (size_t i = 0; i < self->count; i++)
        slot_look_for_failure(self->slots[i]);
    if (self->status.stopping)
        retire_heads(self);
    return broker_stopped(self) || broker_leaves(self) ? -1 : 0;
}

int
retire_listen(broker_t *self)
{
    self->over = bell_new();
    zmq_pollitem_t item = { .fd = self->over, .events = ZMQ_POLLIN };
    return self->over == -1 ? -1 : zloop_poller(self->loop, &item, on_finished, self);
}

void
retire_deaf(broker_t *self)
{
    if (self->over == -1)
        return;
    zloop_poller_end(self->loop, &(zmq_pollitem_t){ .fd = self->over });
    close(self->over);
    self->over = -1;
}

static int64_t
drain_time_ms(const broker_t *self)
{
    int64_t rest = self->stop_ms - clock_mono_ms();
    if (!self->status.stopping)
        return self->conf->drain_timeout_ms;
    return rest > 0 ? rest : 0;
}

// Its configuration goes with it when the slot gives that up.
void
retire_slot(broker_t *self, slot_t *slot, const char *why)
{
    retired_t *retired = xcalloc(1, sizeof *retired);
    *retired = (retired_t){ .next = self->retired, .route = slot->route, .conf = slot->conf };
    retired->counters = slot->counters;
    retired->name = xstrdup(slot->conf->name);
    retired->why = why;
    self->retired = retired;
    slot->route = NULL;
    slot->counters = NULL;
    route_finish(retired->route, drain_time_ms(self), false);
}

void
retire_hurry(broker_t *self)
{
    for (retired_t *i = self->retired; i; i = i->next)
        route_finish(i->route, 0, true);
}

// --- the order of stopping -----------------------------------------------------------------

static bool
has_inproc(const side_conf_t *side, const char *text)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i].at.transport == TRANSPORT_INPROC && strcmp(side->endpoints[i].at.text, text) == 0)
            return true;
    return false;
}

// Do the messages of UP go on to DOWN inside the process?
static bool
feeds(const route_conf_t *up, const route_conf_t *down)
{
    const side_conf_t *out = &up->sides[SIDE_BACKEND];
    for (size_t i = 0; i < out->endpoint_count; i++) {
        const endpoint_t *at = &out->endpoints[i].at;
        if (at->transport == TRANSPORT_INPROC
            && (has_inproc(&down->sides[SIDE_FRONTEND], at->text) || has_inproc(&down->sides[SIDE_INGRESS], at->text)))
            return true;
    }
    return false;
}

static bool
is_fed(const broker_t *self, const slot_t *slot)
{
    for (const retired_t *i = self->retired; i; i = i->next)
        if (feeds(i->conf, slot->conf))
            return true;
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i] != slot && self->slots[i]->route && feeds(self->slots[i]->conf, slot->conf))
            return true;
    return false;
}

void
retire_all(broker_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i]->route)
            retire_slot(self, self->slots[i], "stopped");
}

void
retire_heads(broker_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i]->route && !is_fed(self, self->slots[i]))
            retire_slot(self, self->slots[i], "stopped");
    if (!self->retired) // a ring
        retire_all(self);
}
