// SPDX-License-Identifier: MPL-2.0
// report_json.c - one measurement as a line of JSON.

#include "bench/report.h"

#include "base/clock.h"
#include "base/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
json_load(json_t *json, const bench_options_t *options)
{
    json_object(json, "load");
    json_string(json, "pattern", options->pattern->name);
    json_int(json, "producers", options->producers);
    json_int(json, "consumers", options->consumers);
    json_int(json, "size", options->size);
    json_int(json, "parts", options->parts);
    json_int(json, "topics", options->topics);
    json_int(json, "rate", options->rate);
    json_int(json, "messages", options->messages);
    json_int(json, "outstanding", options->outstanding);
    json_int(json, "work_us", options->work_us);
    json_string(json, "transport", options->transport);
    json_bool(json, "nodrop", options->nodrop);
    json_bool(json, "curve", options->curve);
    json_object_end(json);
}

static void
json_latency(json_t *json, const hist_t *latency)
{
    json_object(json, "latency_ns");
    json_uint(json, "count", latency->count);
    json_real(json, "mean", hist_mean(latency));
    for (size_t i = 0; i < FIGURES_PERCENTS; i++)
        json_uint(json, figures_percent_names[i], hist_percentile(latency, figures_percents[i]));
    json_uint(json, "max", latency->max);
    json_object_end(json);
}

static void
json_broker(json_t *json, const load_result_t *result)
{
    const proc_t *broker = &result->broker;
    if (!broker->known) {
        json_null(json, "broker");
        return;
    }
    json_object(json, "broker");
    json_uint(json, "cpu_ns", broker->cpu_ns);
    json_real(json, "cpu_ns_per_message", figures_cpu_per_message(result));
    json_uint(json, "voluntary_switches", broker->switches);
    json_uint(json, "rss_bytes", broker->rss_bytes);
    json_array(json, "threads");
    for (size_t i = 0; i < broker->threads && i < PROC_THREADS; i++) {
        json_object(json, NULL);
        json_string(json, "name", broker->thread[i].name);
        json_uint(json, "cpu_ns", broker->thread[i].cpu_ns);
        json_uint(json, "voluntary_switches", broker->thread[i].switches);
        json_object_end(json);
    }
    json_array_end(json);
    json_object_end(json);
}

static void
json_clients(json_t *json, const load_result_t *result)
{
    json_array(json, "clients");
    for (size_t i = 0; i < result->clients; i++) {
        json_object(json, NULL);
        json_string(json, "side", i < result->producers ? "producer" : "consumer");
        json_uint(json, "sent", result->client[i].sent);
        json_uint(json, "received", result->client[i].received);
        json_real(json, "mean_ns", result->client[i].mean_ns);
        json_object_end(json);
    }
    json_array_end(json);
}

int
report_json(const bench_options_t *options, const char *subject, size_t round, const load_result_t *result)
{
    text_t line = { 0 };
    char when[32];
    clock_rfc3339(clock_wall_ns(), when);
    json_t json = json_on(&line);
    json_object(&json, NULL);
    json_string(&json, "time", when);
    json_string(&json, "name", options->name);
    json_string(&json, "subject", subject);
    json_uint(&json, "round", round);
    json_load(&json, options);
    json_real(&json, "seconds", result->seconds);
    json_uint(&json, "delivered", result->delivered);
    json_real(&json, "messages_per_second", figures_of(result).rate);
    json_uint(&json, "bytes", result->bytes);
    json_uint(&json, "sent", result->sent);
    json_uint(&json, "expected", result->expected);
    json_uint(&json, "received", result->received);
    json_uint(&json, "lost", result->lost);
    json_uint(&json, "doubled", result->doubled);
    json_uint(&json, "reordered", result->reordered);
    json_uint(&json, "corrupt", result->corrupt);
    json_uint(&json, "retried", result->retried);
    json_uint(&json, "failed", result->failed);
    json_latency(&json, &result->latency);
    json_broker(&json, result);
    json_clients(&json, result);
    json_object_end(&json);
    text_char(&line, '\n');

    // One write, appended: several runs may share the file.
    int fd = open(options->json, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666), rc = 0;
    if (fd == -1 || write(fd, line.data, line.size) != (ssize_t)line.size) {
        fprintf(stderr, "zbroker-bench: %s: %s\n", options->json, strerror(errno));
        rc = -1;
    }
    if (fd != -1)
        close(fd);
    text_free(&line);
    return rc;
}
