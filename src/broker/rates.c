// SPDX-License-Identifier: MPL-2.0
#include "broker/rates.h"

#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static sample_t
sample(const counters_t *counters)
{
    sample_t now = { 0 };
    for (side_t side = 0; side < SIDES; side++) {
        const side_counters_t *from = &counters->sides[side];
        if (side_takes_in(side)) {
            now.in += counter_get(&from->messages_received);
            now.in_bytes += counter_get(&from->received_bytes);
        } else if (side == SIDE_BACKEND || side == SIDE_WORKER_ACK) {
            now.out += counter_get(&from->messages_sent);
            now.out_bytes += counter_get(&from->sent_bytes);
        }
        uint64_t since = counter_get(&from->blocked_since_ns);
        now.blocked_ns += counter_get(&from->blocked_ns);
        if (since)
            now.blocked_ns += (uint64_t)clock_mono_ns() - since;
    }
    return now;
}

static void
remember(uint32_t history[RATES_HISTORY], uint64_t messages)
{
    memmove(history, history + 1, (RATES_HISTORY - 1) * sizeof *history);
    history[RATES_HISTORY - 1] = messages < UINT32_MAX ? (uint32_t)messages : UINT32_MAX;
}

static const rate_history_t *
history_of(const rates_t *self)
{
    static const rate_history_t none; // of every route that has moved nothing
    return self->history ? self->history : &none;
}

static const sample_t *
sample_before(const rates_t *self, unsigned seconds)
{
    return &history_of(self)->samples[(self->newest + RATES_SECONDS + 1 - seconds) % (RATES_SECONDS + 1)];
}

static bool
is_nothing(const sample_t *sample)
{
    return !sample->in && !sample->out && !sample->in_bytes && !sample->out_bytes && !sample->blocked_ns;
}

// The history that NOW needs a place in; NULL: none yet.
static rate_history_t *
history_for(rates_t *self, const sample_t *now)
{
    if (!self->history && !is_nothing(now))
        self->history = xcalloc(1, sizeof *self->history);
    return self->history;
}

void
rates_begin(rates_t *self, const counters_t *counters)
{
    sample_t first = sample(counters);
    rate_history_t *history = history_for(self, &first);
    if (history)
        history->samples[self->newest] = first;
}

void
rates_tick(rates_t *self, const counters_t *counters)
{
    sample_t now = sample(counters), before = *sample_before(self, 0);
    rate_history_t *history = history_for(self, &now);
    self->newest = (self->newest + 1) % (RATES_SECONDS + 1);
    self->span += self->span < RATES_SECONDS;
    self->history_count += self->history_count < RATES_HISTORY;
    if (!history)
        return;
    history->samples[self->newest] = now;
    remember(history->in, now.in - before.in);
    remember(history->out, now.out - before.out);
}

void
rates_fill(const rates_t *self, broker_route_t *out)
{
    unsigned span = self->span;
    if (span == 0)
        return;
    const sample_t *now = sample_before(self, 0), *one = sample_before(self, 1), *all = sample_before(self, span);
    out->rate_in_1s = (double)(now->in - one->in);
    out->rate_out_1s = (double)(now->out - one->out);
    out->bytes_in_1s = (double)(now->in_bytes - one->in_bytes);
    out->bytes_out_1s = (double)(now->out_bytes - one->out_bytes);
    out->rate_in_60s = (double)(now->in - all->in) / span;
    out->rate_out_60s = (double)(now->out - all->out) / span;
    out->blocked_share = (double)(now->blocked_ns - all->blocked_ns) / 1e9 / span;
    if (out->blocked_share > 1)
        out->blocked_share = 1;
    out->history_count = self->history_count;
    out->history = history_of(self)->in + RATES_HISTORY - self->history_count;
    out->history_out = history_of(self)->out + RATES_HISTORY - self->history_count;
}

void
rates_free(rates_t *self)
{
    free(self->history);
    self->history = NULL;
}
