// SPDX-License-Identifier: MPL-2.0
#include "guard/audit.h"

#include "base/log.h"

static void
say(const verdict_t *verdict, security_t mechanism)
{
    const policy_entry_t *entry = verdict->entry;
    const char *route = entry ? entry->route : "?", *side = entry ? side_name(entry->side) : "?";
    bool asked = mechanism > SECURITY_NONE || (entry && (entry->allow.count || entry->deny.count));
    event_id_t event = verdict->status != ADMISSION_WELCOME ? EVENT_AUTH_REFUSED : asked ? EVENT_AUTH_ADMITTED : EVENT_AUTH_OPEN;
    log_event(event, EVENT_TEXT("route", route), EVENT_TEXT("side", side), EVENT_TEXT("address", verdict->address),
              EVENT_TEXT("mechanism", policy_mechanism_name(mechanism)), EVENT_TEXT("reason", verdict->reason),
              EVENT_TEXT("user", *verdict->user ? verdict->user : NULL),
              EVENT_TEXT("key", *verdict->key ? verdict->key : NULL));
}

void
audit(const verdict_t *verdict, security_t mechanism)
{
    side_counters_t *counters = verdict->entry ? verdict->entry->counters : NULL;
    if (counters)
        counter_add_shared(&counters->auth[verdict->status == ADMISSION_WELCOME ? AUTH_SUCCESS : AUTH_FAILURE], 1);
    say(verdict, mechanism);
}
