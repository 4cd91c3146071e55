// SPDX-License-Identifier: MPL-2.0
#include "conf/crosscheck.h"

#include "base/mem.h"
#include "conf/acked.h"
#include "conf/circle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const route_conf_t *route;
    side_t side;
    const endpoint_conf_t *endpoint;
    size_t order;
} bound_t;

static int
by_order(const void *left, const void *right)
{
    const bound_t *a = left, *b = right;
    return a->order < b->order ? -1 : a->order > b->order;
}

// When the line that ENDPOINT stands in was read.
static size_t
order_of(const raw_t *raw, const endpoint_conf_t *endpoint)
{
    for (size_t i = 0; i < raw->count; i++)
        for (size_t j = 0; j < raw->sections[i].count; j++) {
            const raw_item_t *item = &raw->sections[i].items[j];
            if (item->value_place.line == endpoint->place.line && item->value_place.file == endpoint->place.file)
                return item->order;
        }
    return 0;
}

static bound_t *
collect_bound(const conf_t *conf, const raw_t *raw, size_t *count)
{
    bound_t *all = NULL;
    size_t room = 0;
    *count = 0;
    for (size_t i = 0; i < conf->route_count; i++)
        for (size_t which = 0; which < SIDES; which++)
            for (size_t j = 0; j < conf->routes[i]->sides[which].endpoint_count; j++) {
                const endpoint_conf_t *endpoint = &conf->routes[i]->sides[which].endpoints[j];
                if (endpoint->connect)
                    continue;
                mem_grow(all, *count, room);
                all[(*count)++] = (bound_t){ conf->routes[i], (side_t)which, endpoint, order_of(raw, endpoint) };
            }
    if (*count)
        qsort(all, *count, sizeof *all, by_order);
    return all;
}

static void
check_clashes(const conf_t *conf, const bound_t *bound, size_t count, diag_t *diag)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (endpoint_clash(&bound[i].endpoint->at, &bound[j].endpoint->at)) {
                diag_error(diag, bound[i].endpoint->place,
                           "[route %s] %s_bind: %s is bound already, as %s by [route %s] %s_bind in %s:%d",
                           bound[i].route->name, side_name(bound[i].side), bound[i].endpoint->at.text,
                           bound[j].endpoint->at.text, bound[j].route->name, side_name(bound[j].side),
                           bound[j].endpoint->place.file, bound[j].endpoint->place.line);
                break;
            }
    endpoint_t http = { .transport = TRANSPORT_TCP, .port = conf->http_port };
    snprintf(http.host, sizeof http.host, "%s",
             strcmp(conf->http_host, "localhost") == 0 ? "127.0.0.1" : conf->http_host);
    for (size_t i = 0; i < count; i++) {
        const endpoint_t *at = &bound[i].endpoint->at;
        if (conf->http && conf->http_port && endpoint_clash(&http, at))
            diag_error(diag, bound[i].endpoint->place, "[route %s] %s_bind: %s is taken by http = %s",
                       bound[i].route->name, side_name(bound[i].side), at->text, conf->http);
        if (conf->control && at->transport == TRANSPORT_IPC && strcmp(conf->control, at->path) == 0)
            diag_error(diag, bound[i].endpoint->place, "[route %s] %s_bind: %s is the control socket",
                       bound[i].route->name, side_name(bound[i].side), at->text);
    }
}

// An inproc name lives in this process only: somebody here has to bind it.
static void
check_inproc(const conf_t *conf, const bound_t *bound, size_t count, diag_t *diag)
{
    for (size_t i = 0; i < conf->route_count; i++)
        for (size_t which = 0; which < SIDES; which++)
            for (size_t j = 0; j < conf->routes[i]->sides[which].endpoint_count; j++) {
                const endpoint_conf_t *endpoint = &conf->routes[i]->sides[which].endpoints[j];
                bool found = !endpoint->connect || endpoint->at.transport != TRANSPORT_INPROC;
                for (size_t k = 0; k < count && !found; k++)
                    found = strcmp(bound[k].endpoint->at.text, endpoint->at.text) == 0;
                if (!found)
                    diag_warning(diag, endpoint->place, "[route %s] %s_connect: no route binds %s",
                                 conf->routes[i]->name, side_name((side_t)which), endpoint->at.text);
            }
}

static void
check_max_sockets(const conf_t *conf, diag_t *diag)
{
    int used = 0;
    for (size_t i = 0; i < conf->route_count; i++) {
        int before = used;
        for (size_t which = 0; which < SIDES; which++)
            used += conf->routes[i]->sides[which].type >= 0;
        if (before <= conf->max_sockets && used > conf->max_sockets)
            diag_error(diag, conf->routes[i]->place, "[route %s]: its sockets make %d, max_sockets is %d",
                       conf->routes[i]->name, used, conf->max_sockets);
    }
}

// What two routes put into one folder would get mixed.
static void
check_stores(const conf_t *conf, diag_t *diag)
{
    for (size_t i = 0; i < conf->route_count; i++)
        for (size_t j = 0; j < i; j++) {
            const route_conf_t *route = conf->routes[i], *before = conf->routes[j];
            if (route->store && before->store && strcmp(route->store_dir, before->store_dir) == 0)
                diag_error(diag, route->place, "[route %s] store_dir: %s is the store of [route %s]", route->name,
                           route->store_dir, before->name);
        }
}

void
crosscheck_check(const conf_t *conf, const raw_t *raw, diag_t *diag)
{
    size_t count;
    bound_t *bound = collect_bound(conf, raw, &count);
    check_clashes(conf, bound, count, diag);
    check_inproc(conf, bound, count, diag);
    check_max_sockets(conf, diag);
    check_stores(conf, diag);
    acked_together(conf, diag);
    circle_check(conf, diag);
    free(bound);
}
