// SPDX-License-Identifier: MPL-2.0
#include "admin/statelog.h"

#include "admin/fields.h"
#include "base/log.h"
#include "base/mem.h"

static void
log_side(const broker_route_t *route, side_t side)
{
    static const field_id_t told[] = { FIELD_MESSAGES_RECEIVED, FIELD_MESSAGES_SENT, FIELD_RECEIVED_BYTES,
                                       FIELD_SENT_BYTES, FIELD_CONNECTIONS };
    event_field_t fields[2 + COUNT(told) + 1] = { EVENT_TEXT("route", route->conf->name),
                                                  EVENT_TEXT("side", side_name(side)) };
    for (size_t i = 0; i < COUNT(told); i++)
        fields[2 + i] = (event_field_t)EVENT_NUMBER(field_at(told[i])->name, field_total(route, side, told[i]));
    log_fields(EVENT_SIDE_FIGURES, fields);
}

void
statelog_write(broker_t *broker)
{
    broker_route_t route;
    for (size_t i = 0; broker_at(broker, i, &route); i++) {
        event_field_t fields[3 + DROP_REASONS + 1] = { EVENT_TEXT("route", route.conf->name),
                                                       EVENT_TEXT("state", route_state_name(route.state)),
                                                       EVENT_TEXT("type", route.conf->pattern->name) };
        for (int reason = 0; reason < DROP_REASONS; reason++)
            fields[3 + reason] =
                (event_field_t)EVENT_NUMBER(drop_reasons[reason], counter_get(&route.counters->dropped[reason]));
        log_fields(EVENT_ROUTE_FIGURES, fields);
        for (side_t side = 0; side < SIDES; side++)
            if (route.conf->sides[side].type != -1)
                log_side(&route, side);
    }
}
