// SPDX-License-Identifier: MPL-2.0
// report.c - the tables.

#include "bench/report.h"

#include "base/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A number in at most 7 columns: "1.23 M", "845 k", "-" for unknown.
static const char *
short_number(double value, char text[24])
{
    static const char *const units[] = { "", " k", " M", " G", " T" };
    size_t unit = 0;
    for (; value >= 9999.5 && unit < 4; unit++)
        value /= 1000;
    if (value < 0)
        snprintf(text, 24, "-");
    else
        snprintf(text, 24, value < 99.95 && unit ? "%.1f%s" : "%.0f%s", value, units[unit]);
    return text;
}

static const char *
short_time(double ns, char text[24])
{
    if (ns < 0)
        snprintf(text, 24, "-");
    else if (ns < 9999.5)
        snprintf(text, 24, "%.0f ns", ns);
    else if (ns < 1e6)
        snprintf(text, 24, ns < 99950 ? "%.1f us" : "%.0f us", ns / 1e3);
    else if (ns < 1e9)
        snprintf(text, 24, ns < 1e8 ? "%.2f ms" : "%.0f ms", ns / 1e6);
    else
        snprintf(text, 24, "%.2f s", ns / 1e9);
    return text;
}

void
report_heading(const bench_options_t *options)
{
    printf("%s%s%s %lld:%lld, %lld B", options->name, *options->name ? ": " : "", options->pattern->name,
           (long long)options->producers, (long long)options->consumers, (long long)options->size);
    if (options->parts > 1)
        printf(" x %lld parts%s", (long long)options->parts, options->empty ? ", every second empty" : "");
    if (options->topics > 1)
        printf(", %lld topics%s", (long long)options->topics, options->split_topics ? " shared out" : "");
    if (options->outstanding && options->pattern->replies)
        printf(", %lld outstanding", (long long)options->outstanding);
    if (options->work_us)
        printf(", %lld us of work", (long long)options->work_us);
    if (options->rate)
        printf(", %lld/s", (long long)options->rate);
    else
        printf(", saturated");
    if (options->messages)
        printf(", %lld messages, checked", (long long)options->messages);
    else
        printf(", %.3g s%s", (double)options->duration_ms / 1e3, options->verify ? ", checked" : "");
    if (options->rounds > 1)
        printf(", %lld rounds", (long long)options->rounds);
    printf("\n");
}

static int
name_width(const subject_t *subject, size_t count)
{
    size_t width = 8;
    for (size_t i = 0; i < count; i++)
        if (strlen(subject[i].name) > width)
            width = strlen(subject[i].name);
    return width > 28 ? 28 : (int)width;
}

static void
print_each(const subject_t *subject)
{
    char a[24], b[24];
    const load_result_t *total = &subject->total;
    for (size_t i = 0; i < total->clients; i++) {
        const load_client_t *client = &total->client[i];
        bool producer = i < total->producers;
        printf("  %s %zu: %" PRIu64 " sent, %" PRIu64 " received", producer ? "producer" : "consumer",
               producer ? i : i - total->producers, client->sent, client->received);
        if (client->mean_ns > 0)
            printf(", mean %s", short_time(client->mean_ns, a));
        printf("\n");
    }
    for (size_t i = 0; total->broker.known && i < total->broker.threads && i < PROC_THREADS; i++) {
        const proc_thread_t *thread = &total->broker.thread[i];
        double per_message = total->delivered ? (double)thread->cpu_ns / (double)total->delivered : 0;
        printf("  thread %-15s %5.1f %% of a core, %s a message, %s waits\n", thread->name,
               (double)thread->cpu_ns / 1e7 / total->seconds, short_time(per_message, a),
               short_number((double)thread->switches, b));
    }
}

static void
print_faults(const subject_t *subject)
{
    const load_result_t *total = &subject->total;
    printf("  %s: %" PRIu64 " sent, %" PRIu64 " received of %" PRIu64 ": %" PRIu64 " lost, %" PRIu64
           " doubled, %" PRIu64 " reordered, %" PRIu64 " corrupt",
           subject->name, total->sent, total->received, total->expected, total->lost, total->doubled, total->reordered,
           total->corrupt);
    if (total->retried || total->failed)
        printf(", %" PRIu64 " retried, %" PRIu64 " failed", total->retried, total->failed);
    printf("\n");
}

void
report_table(const bench_options_t *options, const subject_t *subject, size_t count)
{
    char text[FIGURES_PERCENTS + 8][24];
    int width = name_width(subject, count);
    printf("%-*s %8s %8s %9s %7s %8s %8s", width, "", "msg/s", "MB/s", "CPU/msg", "core %", "waits/s", "RSS MB");
    for (size_t i = 0; i < FIGURES_PERCENTS; i++)
        printf(" %9s", figures_percent_names[i]);
    printf(" %9s\n", "max");
    for (size_t s = 0; s < count; s++) {
        const load_result_t *total = &subject[s].total;
        const proc_t *broker = &total->broker;
        double seconds = total->seconds > 0 ? total->seconds : 1;
        printf("%-*.*s %8s %8s %9s", width, width, subject[s].name,
               short_number((double)total->delivered / seconds, text[0]),
               short_number((double)total->bytes / seconds / 1e6, text[1]),
               short_time(figures_cpu_per_message(total), text[2]));
        if (broker->known)
            printf(" %7.1f %8s %8.1f", (double)broker->cpu_ns / 1e7 / seconds,
                   short_number((double)broker->switches / seconds, text[3]), (double)broker->rss_bytes / 1e6);
        else
            printf(" %7s %8s %8s", "-", "-", "-");
        for (size_t i = 0; i < FIGURES_PERCENTS; i++)
            printf(" %9s",
                   short_time(total->latency.count ? (double)hist_percentile(&total->latency, figures_percents[i]) : -1,
                              text[4]));
        printf(" %9s\n", short_time(total->latency.count ? (double)total->latency.max : -1, text[4]));
    }
    for (size_t s = 0; s < count; s++) {
        print_faults(&subject[s]);
        if (options->each)
            print_each(&subject[s]);
    }
}

static double
ratio(double value, double base)
{
    return value >= 0 && base > 0 ? value / base : -1;
}

// The FIELD-th double of figures_t of every round, as ratios to BASE's.
static void
print_ratio(const subject_t *base, const subject_t *subject, size_t field)
{
    double *ratios = xcalloc(subject->rounds + 1, sizeof *ratios);
    size_t rounds = subject->rounds < base->rounds ? subject->rounds : base->rounds;
    for (size_t i = 0; i < rounds; i++) {
        const double *mine = (const double *)&subject->round[i], *others = (const double *)&base->round[i];
        ratios[i] = ratio(mine[field], others[field]);
    }
    size_t known = figures_sort(ratios, rounds);
    if (known)
        printf("  %5.2f (%4.2f to %5.2f)", figures_median(ratios, known), ratios[0], ratios[known - 1]);
    else
        printf("  %22s", "-");
    free(ratios);
}

void
report_ratios(const subject_t *base, const subject_t *subject, size_t count)
{
    int width = name_width(subject, count);
    printf("\nratios to %s, median of rounds (least to most)\n%-*s", base->name, width, "");
    static const char *const heads[] = { "msg/s", "CPU/msg", "p50", "p99" };
    for (size_t i = 0; i < 4; i++)
        printf("  %-22s", heads[i]);
    printf("\n");
    for (size_t s = 0; s < count; s++) {
        if (&subject[s] == base)
            continue;
        printf("%-*.*s", width, width, subject[s].name);
        for (size_t field = 0; field < 4; field++)
            print_ratio(base, &subject[s], field);
        printf("\n");
    }
}
