// SPDX-License-Identifier: MPL-2.0
#include "broker/standstill.h"

#include "base/clock.h"
#include "base/log.h"

#define SECOND INT64_C(1000000000)

enum { TOLD_AFTER = 10, FLOWS_AFTER = 3 }; // seconds

int64_t
standstill_spell_ns(const side_counters_t *side)
{
    uint64_t since = counter_get(&side->blocked_since_ns);
    int64_t spell = since ? clock_mono_ns() - (int64_t)since : 0;
    return spell > 0 ? spell : 0;
}

int64_t
standstill_longest_ns(const counters_t *counters, side_t *side)
{
    int64_t longest = 0;
    for (int i = 0; i < SIDES; i++) {
        int64_t spell = i == SIDE_CAPTURE ? 0 : standstill_spell_ns(&counters->sides[i]);
        if (spell <= longest)
            continue;
        longest = spell;
        *side = (side_t)i;
    }
    return longest;
}

static void
log_it(event_id_t id, const char *route, side_t side, int64_t ns)
{
    log_event(id, EVENT_TEXT("route", route), EVENT_TEXT("side", side_name(side)),
              EVENT_NUMBER("seconds", ns / SECOND));
}

void
standstill_tick(standstill_t *self, const char *route, const counters_t *counters, bool running)
{
    side_t side = self->side;
    int64_t now = clock_mono_ns(), spell = standstill_longest_ns(counters, &side);
    if (!running) {
        *self = (standstill_t){ 0 }; // that it was paused or closed has a line of its own
    } else if (self->told) {
        self->flowing = spell < SECOND ? self->flowing + 1 : 0;
        if (self->flowing < FLOWS_AFTER)
            return;
        log_it(EVENT_ROUTE_FLOWING, route, self->side, now - self->since_ns - FLOWS_AFTER * SECOND);
        *self = (standstill_t){ 0 };
    } else if (spell >= TOLD_AFTER * SECOND) {
        *self = (standstill_t){ .told = true, .side = side, .since_ns = now - spell };
        log_it(EVENT_ROUTE_BLOCKED, route, side, spell);
    }
}
