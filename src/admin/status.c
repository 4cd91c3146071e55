// SPDX-License-Identifier: MPL-2.0
// status.c - the commands that show the process: how it is, the configuration that runs, and what a reload would make of it.

#include "admin/reply.h"

#include "admin/problems.h"
#include "admin/stats.h"
#include "admin/statsjson.h"
#include "admin/usage.h"
#include "base/clock.h"
#include "base/log.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void
put_duration(text_t *out, int64_t seconds)
{
    if (seconds >= 86400)
        text_add(out, "%" PRId64 " d ", seconds / 86400);
    text_add(out, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

static void
put_reloads(text_t *out, const broker_status_t *status)
{
    if (status->reloads_success + status->reloads_failure == 0)
        text_add(out, "not reloaded yet");
    else
        text_add(out, "reloads %" PRIu64 " good %" PRIu64 " bad, the last one %s", status->reloads_success,
                 status->reloads_failure, status->reload_ok ? "good" : "bad");
}

static void
print_status(request_t *request)
{
    text_t *out = request->out;
    broker_status_t status;
    usage_t usage;
    char since[32], reloaded[32], hostname[HOST_NAME_MAX + 1] = "";
    broker_status(request->broker, &status);
    usage_read(&usage);
    gethostname(hostname, sizeof hostname - 1);
    clock_rfc3339(status.started_wall_ns, since);
    clock_rfc3339(status.reload_wall_ns, reloaded);
    text_add(out, "zbroker %s, libzmq %s, czmq %s, pid %d on %s%s\n", PACKAGE_VERSION, stats_libzmq_version(), stats_czmq_version(),
             (int)getpid(), hostname, status.stopping ? ", stopping" : "");
    text_add(out, "up since %s (", since);
    put_duration(out, (clock_wall_ns() - status.started_wall_ns) / 1000000000);
    text_add(out, "), cpu %.1f s, memory %" PRId64 " kB, descriptors %" PRId64 " of %" PRId64 "\n", usage.cpu_seconds,
             usage.rss_bytes / 1024, usage.open_fds, usage.max_fds);
    text_add(out, "messages of engine wire take %" PRIu64 " kB, max_memory %" PRIu64 " kB\n", status.message_bytes / 1024,
             status.max_memory / 1024);
    text_add(out, "configuration ");
    text_shown(out, broker_conf(request->broker)->file, strlen(broker_conf(request->broker)->file));
    text_add(out, " of %s, ", reloaded);
    put_reloads(out, &status);
    text_add(out, ", log_level %s\n", log_level_name(log_level()));
    size_t states[ROUTE_STATES];
    stats_states(request->broker, states);
    size_t total = broker_count(request->broker);
    text_add(out, "%zu route%s", total, text_plural(total));
    for (int i = 0; i < ROUTE_STATES; i++)
        if (states[i])
            text_add(out, ", %zu %s", states[i], route_state_name((route_state_t)i));
    text_char(out, '\n');
}

// Of the process: why the last reload failed, until one succeeds, and that nobody else may come in.
static void
print_own_problems(request_t *request)
{
    broker_status_t status;
    broker_status(request->broker, &status);
    for (const char *line = status.reload_problems; *line; line += strcspn(line, "\n") + 1) {
        text_add(request->out, "error: last reload: ");
        text_shown(request->out, line, strcspn(line, "\n"));
        text_char(request->out, '\n');
    }
    if (status.full)
        text_add(request->out, "warning: the process is full (%s): newcomers wait\n",
                 status.full_by_descriptors ? "no more descriptors" : "max_clients");
}

// What many routes have alike, and nobody has to act on, is one line.
enum { ALIKE_MAX = 16, ALIKE_MANY = 4 };
typedef struct {
    text_t *out;
    struct {
        char text[sizeof((problem_t *)0)->text];
        size_t routes;
    } at[ALIKE_MAX];
    size_t count;
} alike_t;

static size_t *
count_alike(alike_t *self, const char *text)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->at[i].text, text) == 0)
            return &self->at[i].routes;
    if (self->count == ALIKE_MAX)
        return NULL;
    snprintf(self->at[self->count].text, sizeof self->at[0].text, "%s", text);
    return &self->at[self->count++].routes;
}

static void
count_problem(const broker_route_t *route, const problem_t *problem, void *arg)
{
    (void)route;
    size_t *routes = count_alike(arg, problem->text);
    if (routes)
        ++*routes;
}

static void
print_problem(const broker_route_t *route, const problem_t *problem, void *arg)
{
    text_t *out = arg;
    text_add(out, "%s: route %s: ", problem_level_name(problem->level), route->conf->name);
    text_shown(out, problem->text, strlen(problem->text));
    text_char(out, '\n');
}

static void
print_unless_many(const broker_route_t *route, const problem_t *problem, void *arg)
{
    alike_t *self = arg;
    const size_t *routes = count_alike(self, problem->text);
    if (!routes || *routes < ALIKE_MANY)
        print_problem(route, problem, self->out);
}

static void
print_problems(request_t *request)
{
    alike_t alike = { .out = request->out };
    problems_each(request->broker, PROBLEM_ERROR, print_problem, request->out);
    problems_each(request->broker, PROBLEM_WARNING, print_problem, request->out);
    problems_each(request->broker, PROBLEM_INFO, count_problem, &alike);
    problems_each(request->broker, PROBLEM_INFO, print_unless_many, &alike);
    for (size_t i = 0; i < alike.count; i++)
        if (alike.at[i].routes >= ALIKE_MANY)
            text_add(request->out, "info: %zu routes: %s\n", alike.at[i].routes, alike.at[i].text);
}

void
status_show(request_t *request)
{
    if (request->json) {
        json_t json = json_document(request->out);
        statsjson_status(&json, request->broker);
        json_document_end(&json);
        return;
    }
    print_status(request);
    // Its first line never looks like a failure: print_status has gone before.
    print_own_problems(request);
    print_problems(request);
}

static void
print_settings(text_t *out, const settings_t *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        const char *value = stats_shown_value(&settings->at[i]);
        text_add(out, "%s =%s", settings->at[i].key, *value ? " " : "");
        text_shown(out, value, strlen(value));
        text_char(out, '\n');
    }
}

static void
add_config(request_t *request, const broker_route_t *route, void *context)
{
    json_t *json = context;
    if (!json) {
        text_add(request->out, "[route %s]\n", route->conf->name);
        print_settings(request->out, &route->conf->settings);
        return;
    }
    json_object(json, NULL);
    json_string(json, "name", route->conf->name);
    statsjson_settings(json, "options", &route->conf->settings);
    json_object_end(json);
}

void
status_config(request_t *request)
{
    bool whole = !reply_arg(request, 0);
    if (!request->json) {
        if (whole) {
            text_add(request->out, "[zbroker]\n");
            print_settings(request->out, &broker_conf(request->broker)->settings);
        }
        reply_for_routes(request, add_config, NULL);
        return;
    }
    json_t json = json_document(request->out);
    if (whole)
        statsjson_settings(&json, "options", &broker_conf(request->broker)->settings);
    json_array(&json, "routes");
    reply_for_routes(request, add_config, &json);
    json_array_end(&json);
    json_document_end(&json);
}

void
status_plan(request_t *request)
{
    const char *file = reply_arg(request, 0);
    if (file && *file != '/') {
        reply_fail(request, "FILE must be an absolute path, not %s", file);
        return;
    }
    if (file && strcmp(file, broker_conf(request->broker)->file) == 0)
        file = NULL;
    if (file && request->descriptor == -1) {
        reply_fail(request, "FILE must come as an open descriptor with the line, as zbrokerctl sends it");
        return;
    }
    text_t lines = { 0 };
    int rc = broker_plan(request->broker, file, request->descriptor, &lines);
    reply_broker(request, rc, &lines, "plan", "a reload would be refused");
}
