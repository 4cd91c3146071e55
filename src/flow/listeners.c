// SPDX-License-Identifier: MPL-2.0
#include "flow/listeners.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void
listeners_add(listeners_t *self, listener_t *listener, side_t side)
{
    size_t room = self->room;
    mem_grow(self->at, self->count, self->room);
    if (room != self->room)
        self->side = xrealloc(self->side, self->room, sizeof *self->side);
    self->at[self->count] = listener;
    self->side[self->count++] = side;
}

listener_t *
listeners_take_at(listeners_t *self, size_t i)
{
    listener_t *listener = self->at[i];
    self->count--;
    self->at[i] = self->at[self->count];
    self->side[i] = self->side[self->count];
    return listener;
}

// COUNT: there is none.
static size_t
place_of(const listeners_t *self, side_t side, const char *wanted)
{
    size_t i = 0;
    while (i < self->count && (self->side[i] != side || strcmp(listener_wanted(self->at[i]), wanted) != 0))
        i++;
    return i;
}

listener_t *
listeners_find(const listeners_t *self, side_t side, const char *wanted)
{
    size_t i = place_of(self, side, wanted);
    return i < self->count ? self->at[i] : NULL;
}

listener_t *
listeners_take(listeners_t *self, side_t side, const char *wanted)
{
    size_t i = place_of(self, side, wanted);
    return i < self->count ? listeners_take_at(self, i) : NULL;
}

listener_t *
listeners_take_any(listeners_t *self, const char *wanted)
{
    for (size_t i = 0; i < self->count; i++)
        if (!listener_is_wildcard(self->at[i]) && strcmp(listener_wanted(self->at[i]), wanted) == 0)
            return listeners_take_at(self, i);
    return NULL;
}

bool
listeners_have(const listeners_t *self, const listener_t *listener)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->at[i] == listener)
            return true;
    return false;
}

void
listeners_share(const listeners_t *self, listeners_t *shared)
{
    for (size_t i = 0; i < self->count; i++)
        listeners_add(shared, listener_share(self->at[i]), self->side[i]);
}

void
listeners_stop_accepting(listeners_t *self, closed_for_t reason, const route_conf_t *successor)
{
    for (size_t i = 0; i < self->count; i++) {
        side_t side = self->side[i];
        bool stays = successor && side_has_endpoint(&successor->sides[side], listener_wanted(self->at[i]), false);
        if (side_takes_in(side) && !stays)
            listener_accept(self->at[i], reason, false);
    }
}

// Also if there is nobody else yet: a successor may come while this route still delivers.
void
listeners_let_others_accept(const listeners_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        listener_accept(self->at[i], CLOSED_FOR_MOVE, true);
}

// New consumers went to the route before: it may have nobody else to deliver to.
bool
listeners_must_wait(const listeners_t *self, const listener_t *listener, side_t side, int type)
{
    bool waits = self->wait && side == SIDE_BACKEND && !socket_type_publishes(type);
    return waits && listener_fd(listener) != -1 && listener_is_shared(listener);
}

const char *
listeners_endpoint(const listeners_t *self, const side_conf_t *conf, side_t side, size_t i, bool *connected)
{
    if (i >= conf->endpoint_count)
        return NULL;
    const char *wanted = conf->endpoints[i].at.text;
    *connected = conf->endpoints[i].connect;
    const listener_t *listener = *connected ? NULL : listeners_find(self, side, wanted);
    return listener ? listener_endpoint(listener) : wanted;
}

void
listeners_forget(listeners_t *held)
{
    held->count = 0; // whose they are closes them
    listeners_close(held, false);
}

void
listeners_close(listeners_t *self, bool keep_files)
{
    for (size_t i = 0; i < self->count; i++)
        listener_close(&self->at[i], keep_files);
    free(self->at);
    free(self->side);
    *self = (listeners_t){ 0 };
}

static void
forget_new(listeners_t *self, size_t before)
{
    while (self->count > before)
        listener_close(&self->at[--self->count], false);
}

int
listeners_bind(listeners_t *kept, const route_conf_t *conf, const route_resources_t *resources, diag_t *diag)
{
    size_t before = kept->count;
    bool failed = false;
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            listener_t *stays = endpoint->connect ? NULL : listeners_find(kept, side, endpoint->at.text);
            if (stays)
                failed |= listener_could_change(stays, endpoint, &conf->sides[side], diag) == -1;
            if (endpoint->connect || stays)
                continue;
            int fd = resources->activated ? resources->activated(resources->arg, endpoint) : -1;
            bool ours = fd != -1 && resources->is_ours && resources->is_ours(resources->arg, fd);
            listener_t *listener = listener_open(endpoint, &conf->sides[side], fd, ours, diag);
            if (!listener) {
                failed = true;
                continue;
            }
            listeners_add(kept, listener, side);
            if (resources->listening && endpoint->at.transport == TRANSPORT_TCP)
                resources->listening(resources->arg, endpoint, listener_fd(listener));
        }
    if (failed)
        forget_new(kept, before);
    return failed ? -1 : 0;
}

void
listeners_change(const listeners_t *self, const route_conf_t *conf, diag_t *diag)
{
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            listener_t *listener = endpoint->connect ? NULL : listeners_find(self, side, endpoint->at.text);
            if (listener)
                listener_change(listener, endpoint, &conf->sides[side], diag);
        }
}

int
listeners_try(const listeners_t *kept, const route_conf_t *conf, diag_t *diag)
{
    int rc = 0;
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            listener_t *stays = endpoint->connect ? NULL : listeners_find(kept, side, endpoint->at.text);
            if (!endpoint->connect)
                rc |= stays ? listener_could_change(stays, endpoint, &conf->sides[side], diag)
                            : listener_try(endpoint, &conf->sides[side], diag);
        }
    return rc;
}
