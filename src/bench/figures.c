// SPDX-License-Identifier: MPL-2.0
#include "bench/figures.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

const double figures_percents[] = { 50, 90, 99, 99.9, 99.99 };
const char *const figures_percent_names[] = { "p50", "p90", "p99", "p99.9", "p99.99" };

_Static_assert(COUNT(figures_percents) == FIGURES_PERCENTS && COUNT(figures_percent_names) == FIGURES_PERCENTS,
               "as told");

double
figures_cpu_per_message(const load_result_t *result)
{
    return result->broker.known && result->delivered ? (double)result->broker.cpu_ns / (double)result->delivered : -1;
}

figures_t
figures_of(const load_result_t *result)
{
    bool timed = result->latency.count > 0;
    return (figures_t){
        .rate = result->seconds > 0 ? (double)result->delivered / result->seconds : -1,
        .cpu_ns = figures_cpu_per_message(result),
        .p50_ns = timed ? (double)hist_percentile(&result->latency, 50) : -1,
        .p99_ns = timed ? (double)hist_percentile(&result->latency, 99) : -1,
    };
}

static void
add_broker(proc_t *total, const proc_t *round)
{
    if (!round->known)
        return;
    if (!total->known) {
        *total = *round;
        return;
    }
    total->cpu_ns += round->cpu_ns;
    total->switches += round->switches;
    if (round->rss_bytes > total->rss_bytes)
        total->rss_bytes = round->rss_bytes;
    // A broker that is started for every round has the same threads in the same order.
    for (size_t i = 0; i < total->threads && i < round->threads && i < PROC_THREADS; i++) {
        total->thread[i].cpu_ns += round->thread[i].cpu_ns;
        total->thread[i].switches += round->thread[i].switches;
    }
}

void
figures_add(load_result_t *total, const load_result_t *round)
{
    total->seconds += round->seconds;
    total->delivered += round->delivered;
    total->bytes += round->bytes;
    total->sent += round->sent;
    total->expected += round->expected;
    total->received += round->received;
    total->lost += round->lost;
    total->doubled += round->doubled;
    total->reordered += round->reordered;
    total->corrupt += round->corrupt;
    total->retried += round->retried;
    total->failed += round->failed;
    hist_merge(&total->latency, &round->latency);
    add_broker(&total->broker, &round->broker);
    total->producers = round->producers;
    total->clients = round->clients;
    for (size_t i = 0; i < round->clients; i++) {
        load_client_t *to = &total->client[i];
        const load_client_t *from = &round->client[i];
        uint64_t received = to->received + from->received;
        if (received)
            to->mean_ns =
                (to->mean_ns * (double)to->received + from->mean_ns * (double)from->received) / (double)received;
        to->sent += from->sent;
        to->received = received;
        to->bytes += from->bytes;
    }
}

static int
compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

size_t
figures_sort(double *values, size_t count)
{
    size_t known = 0;
    for (size_t i = 0; i < count; i++)
        if (values[i] >= 0)
            values[known++] = values[i];
    qsort(values, known, sizeof *values, compare);
    return known;
}

double
figures_median(const double *values, size_t count)
{
    double *copy = xcalloc(count + 1, sizeof *copy);
    memcpy(copy, values, count * sizeof *copy);
    size_t known = figures_sort(copy, count);
    double middle = known ? (copy[(known - 1) / 2] + copy[known / 2]) / 2 : -1;
    free(copy);
    return middle;
}
