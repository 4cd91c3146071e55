// SPDX-License-Identifier: MPL-2.0
#include "conf/acked.h"

#include "base/mem.h"
#include "conf/compat.h"
#include "conf/endpoints.h"

#include <string.h>

static const struct {
    const char *key;
    side_t side;
} keys[] = {
    { "ack_timeout", SIDE_WORKER_ACK },
    { "max_tries", SIDE_WORKER_ACK },
    { "dead_letter", SIDE_WORKER_ACK },
    { "dedupe", SIDE_ACK },
};

static const side_t acked[] = { SIDE_ACK, SIDE_WORKER_ACK };

bool
acked_row_is_idle(const route_conf_t *route, const key_row_t *row)
{
    for (size_t i = 0; i < COUNT(keys); i++)
        if (strcmp(keys[i].key, row->key) == 0)
            return route->sides[keys[i].side].type < 0;
    return false;
}

bool
acked_stands_in(const check_t *self, size_t which)
{
    side_t acked_side = which == SIDE_FRONTEND ? SIDE_ACK : SIDE_WORKER_ACK;
    return pattern_may_have(self->route->pattern, acked_side) && endpoints_given(self, acked_side);
}

static const char *
why_not(const route_conf_t *route)
{
    if (route->engine != ENGINE_WIRE)
        return "needs engine = wire";
    return route->store == KEEP_NOTHING ? "needs a store, such as store = all: what is acknowledged has to be kept" : NULL;
}

static void
check_side(const check_t *self, side_t which)
{
    const side_conf_t *side = &self->route->sides[which];
    const char *why = side->type < 0 || assigned_may_have(self, "store") ? NULL : why_not(self->route);
    for (size_t i = 0; why && i < side->endpoint_count; i++)
        complain_key(self, endpoints_item(self, which, &side->endpoints[i]), "%s", why);
}

void
acked_check(const check_t *self)
{
    for (size_t i = 0; i < COUNT(acked); i++)
        check_side(self, acked[i]);
    for (size_t i = 0; i < COUNT(keys); i++) {
        const assigned_t *given = assigned_for_route(self, keys[i].key);
        const char *side = side_name(keys[i].side);
        if (given && self->route->sides[keys[i].side].type < 0 &&
            compat_route_row(self->route, key_find(SCOPE_ROUTE, keys[i].key)))
            complain_key(self, given->item, "does nothing without %s_bind or %s_connect", side, side);
    }
    const assigned_t *letters = assigned_for_route(self, "dead_letter");
    if (letters)
        self->route->dead_letter_place = letters->item->value_place;
}

// --- dead letters --------------------------------------------------------------------

// What goes from ROUTE to its dead letters, and on from there, comes back to it.
static bool
comes_back(const conf_t *conf, const route_conf_t *route)
{
    const route_conf_t *next = route;
    for (size_t i = 0; i <= conf->route_count && next && next->dead_letter; i++) {
        next = conf_route(conf, next->dead_letter);
        if (next == route)
            return true;
    }
    return false;
}

static const char *
why_no_letters(const conf_t *conf, const route_conf_t *route)
{
    const route_conf_t *letters = conf_route(conf, route->dead_letter);
    if (!letters)
        return "there is no such route";
    if (!letters->pattern || !pattern_may_have(letters->pattern, SIDE_ACK))
        return "it is no streamer";
    if (route_conf_is_shared(letters))
        return "its messages go to a stream, with store = nats";
    if (letters->store == KEEP_NOTHING)
        return "it has no store, and what nobody could do would be lost there";
    return comes_back(conf, route) ? "what it cannot do comes back to this route" : NULL;
}

void
acked_together(const conf_t *conf, diag_t *diag)
{
    for (size_t i = 0; i < conf->route_count; i++) {
        const route_conf_t *route = conf->routes[i];
        const char *why = route->dead_letter ? why_no_letters(conf, route) : NULL;
        if (why)
            diag_error(diag, route->dead_letter_place, "[route %s] dead_letter: %s: %s", route->name,
                       route->dead_letter, why);
    }
}
