// SPDX-License-Identifier: MPL-2.0

#include "bench/pacer.h"

#include "base/clock.h"

#include <math.h>
#include <time.h>

#define GROUP_NS 50000.0

pacer_t
pacer_new(int64_t rate, size_t count, size_t index)
{
    pacer_t self = { .start_ns = clock_mono_ns(), .group = 1 };
    if (rate <= 0)
        return self;
    double interval = 1e9 * (double)count / (double)rate;
    self.group = interval < GROUP_NS ? (uint64_t)ceil(GROUP_NS / interval) : 1;
    self.interval_ns = interval * (double)self.group;
    self.start_ns += (int64_t)(self.interval_ns * (double)index / (double)count);
    return self;
}

int64_t
pacer_due(const pacer_t *self)
{
    return self->start_ns + (int64_t)(self->interval_ns * (double)(self->number / self->group));
}

bool
pacer_wait(const pacer_t *self, int limit_ms)
{
    int64_t due = pacer_due(self), now = clock_mono_ns();
    if (due <= now)
        return true;
    int64_t limit = now + limit_ms * INT64_C(1000000);
    int64_t until = due < limit ? due : limit;
    struct timespec time = { until / 1000000000, until % 1000000000 };
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
    return until == due;
}

void
pacer_next(pacer_t *self)
{
    self->number++;
}
