// SPDX-License-Identifier: MPL-2.0
// unknownroute.c - broker_unknown_route of broker.h. It needs nothing of the broker but the names of its routes.

#include "broker/broker.h"

#include "conf/suggest.h"

void
broker_unknown_route(broker_t *self, const char *name, text_t *error)
{
    suggest_t near = suggest_for(name);
    broker_route_t route;
    for (size_t i = 0; broker_at(self, i, &route); i++)
        suggest_offer(&near, route.conf->name);
    text_add(error, "no route %s", name);
    if (*near.best)
        text_add(error, "; did you mean %s?", near.best);
}
