// SPDX-License-Identifier: MPL-2.0
#include "admin/files.h"

#include "base/log.h"
#include "net/listener.h"

void
files_missing(const broker_route_t *route, void (*found)(side_t side, const char *endpoint, void *arg), void *arg)
{
    for (side_t side = 0; route->route && side < SIDES; side++) {
        const side_conf_t *conf = &route->conf->sides[side];
        for (size_t i = 0; i < conf->endpoint_count; i++)
            if (!conf->endpoints[i].connect && listener_is_missing(conf->endpoints[i].at.text))
                found(side, conf->endpoints[i].at.text, arg);
    }
}

static void
tell(side_t side, const char *endpoint, void *arg)
{
    const broker_route_t *route = arg;
    if (listener_note_missing(endpoint))
        log_event(EVENT_FILE_GONE, EVENT_TEXT("route", route->conf->name), EVENT_TEXT("side", side_name(side)),
                  EVENT_TEXT("endpoint", endpoint));
}

void
files_tick(broker_t *broker)
{
    broker_route_t route;
    for (size_t i = 0; broker_at(broker, i, &route); i++)
        files_missing(&route, tell, &route);
}
