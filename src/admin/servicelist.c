// SPDX-License-Identifier: MPL-2.0
// servicelist.c - the command `show services`: what a queue knows of those who answer.

#include "admin/reply.h"

#include "admin/listing.h"
#include "base/mem.h"

#include <zmq.h>

enum { NS_IN_S = 1000000000 };

static void
write_one(const client_service_t *service, void *arg)
{
    listing_t *list = arg;
    listing_number(list, (int64_t)service->id);
    listing_text(list, service->peer);
    listing_number(list, service->unanswered);
    listing_number(list, service->answered);
    listing_number(list, service->retried);
    listing_time(list, service->free_since_wall_ns);
    listing_seconds(list, (double)service->p50_ns / NS_IN_S, 6, "");
    listing_seconds(list, (double)service->p99_ns / NS_IN_S, 6, "");
}

// Why there is nothing to show of it; NULL: there is.
static const char *
refusal(const broker_route_t *route)
{
    const side_conf_t *sides = route->conf->sides;
    if (sides[SIDE_FRONTEND].type != ZMQ_ROUTER || sides[SIDE_BACKEND].type != ZMQ_DEALER)
        return "only a queue has services";
    return route->conf->engine == ENGINE_WIRE ? NULL : "its services are known with engine = wire only";
}

void
servicelist_show(request_t *request)
{
    static const listing_field_t fields[] = {
        { "id", "ID", COLUMN_RIGHT },
        { "peer", "PEER", 0 },
        { "unanswered", "UNANSWERED", COLUMN_RIGHT },
        { "answered", "ANSWERED", COLUMN_RIGHT },
        { "retried", "RETRIED", COLUMN_RIGHT },
        { "free_since", "FREE_SINCE", 0 },
        { "p50_seconds", "P50", COLUMN_RIGHT },
        { "p99_seconds", "P99", COLUMN_RIGHT },
    };
    listing_t list;
    broker_route_t route;
    if (!reply_find_route(request, &route))
        return;
    if (refusal(&route)) {
        reply_fail(request, "route %s: %s", route.conf->name, refusal(&route));
        return;
    }
    listing_open(&list, request->out, request->json, "services", fields, COUNT(fields));
    if (route.route)
        route_backend_services(route.route, write_one, &list);
    listing_close(&list);
}
