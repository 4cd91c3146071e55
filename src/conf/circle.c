// SPDX-License-Identifier: MPL-2.0
#include "conf/circle.h"

#include "base/mem.h"

#include <stdlib.h>

// Messages that leave the route FROM enter the route TO.
typedef struct {
    size_t from, to;
    const route_conf_t *route; // which connects
    side_t side;
    const endpoint_conf_t *endpoint;
    const route_conf_t *bound_route;
    side_t bound_side;
} feed_t;

typedef struct {
    const conf_t *conf;
    feed_t *at;
    size_t count, room;
} feeds_t;

// Each bind that ENDPOINT, a connect of the route I, leads to.
static void
find_binds(feeds_t *self, size_t i, side_t side, const endpoint_conf_t *endpoint)
{
    for (size_t j = 0; j < self->conf->route_count; j++)
        for (side_t bound = 0; bound < SIDES; bound++) {
            const side_conf_t *conf = &self->conf->routes[j]->sides[bound];
            if (side_takes_in(side) == side_takes_in(bound))
                continue;
            for (size_t k = 0; k < conf->endpoint_count; k++) {
                if (conf->endpoints[k].connect || !endpoint_reaches(&endpoint->at, &conf->endpoints[k].at))
                    continue;
                mem_grow(self->at, self->count, self->room);
                self->at[self->count++] = (feed_t){ .from = side_takes_in(side) ? j : i,
                                                    .to = side_takes_in(side) ? i : j,
                                                    .route = self->conf->routes[i],
                                                    .side = side,
                                                    .endpoint = endpoint,
                                                    .bound_route = self->conf->routes[j],
                                                    .bound_side = bound };
            }
        }
}

static void
find_feeds(feeds_t *self)
{
    for (size_t i = 0; i < self->conf->route_count; i++)
        for (side_t side = 0; side < SIDES; side++) {
            const side_conf_t *conf = &self->conf->routes[i]->sides[side];
            for (size_t k = 0; k < conf->endpoint_count; k++)
                if (conf->endpoints[k].connect)
                    find_binds(self, i, side, &conf->endpoints[k]);
        }
}

// Leave out feeds from a route that nothing feeds, and to one that feeds nothing, until only circles are left.
static void
keep_circles(feeds_t *self)
{
    bool *feeds = xcalloc(self->conf->route_count + 1, sizeof *feeds),
         *fed = xcalloc(self->conf->route_count + 1, sizeof *fed);
    for (size_t before = self->count + 1; self->count < before;) {
        before = self->count;
        for (size_t i = 0; i < self->conf->route_count; i++)
            feeds[i] = fed[i] = false;
        for (size_t i = 0; i < self->count; i++)
            feeds[self->at[i].from] = fed[self->at[i].to] = true;
        self->count = 0;
        for (size_t i = 0; i < before; i++)
            if (fed[self->at[i].from] && feeds[self->at[i].to])
                self->at[self->count++] = self->at[i];
    }
    free(feeds);
    free(fed);
}

void
circle_check(const conf_t *conf, diag_t *diag)
{
    feeds_t feeds = { .conf = conf };
    find_feeds(&feeds);
    keep_circles(&feeds);
    for (size_t i = 0; i < feeds.count; i++) {
        const feed_t *feed = &feeds.at[i];
        diag_warning(diag, feed->endpoint->place,
                     "[route %s] %s_connect: %s is the %s of [route %s]: messages go round in a circle, without end",
                     feed->route->name, side_name(feed->side), feed->endpoint->at.text, side_name(feed->bound_side),
                     feed->bound_route->name);
    }
    free(feeds.at);
}
