// SPDX-License-Identifier: MPL-2.0
// commands.c - see commands.h.

#include "admin/commands.h"
#include "admin/clients.h"
#include "admin/stats.h"
#include "admin/table.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/suggest.h"

#include <ctype.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WORDS_MAX = 16, TOPICS_MAX = 10000 };

typedef struct {
    char *text;
    bool quoted;
} word_t;

typedef struct {
    broker_t *broker;
    const word_t *args; // what follows the command's name
    size_t count;
    bool json;
    text_t *out;
    text_t error; // set: the command failed
    tapping_conf_t *tap;
    command_result_t result;
} request_t;

typedef struct {
    const char *name; // one word or two
    const char *arguments;
    size_t min, max; // of them
    bool changes;    // is logged with who asked for it
    void (*run)(request_t *request);
    const char *help;
} command_t;

static void run_clear(request_t *);
static void run_disable(request_t *);
static void run_drain(request_t *);
static void run_enable(request_t *);
static void run_help(request_t *);
static void run_kick(request_t *);
static void run_later(request_t *);
static void run_pause(request_t *);
static void run_reload(request_t *);
static void run_resume(request_t *);
static void run_set_log_level(request_t *);
static void run_show_clients(request_t *);
static void run_show_config(request_t *);
static void run_show_plan(request_t *);
static void run_show_routes(request_t *);
static void run_show_stats(request_t *);
static void run_show_subscriptions(request_t *);
static void run_status(request_t *);
static void run_stop(request_t *);
static void run_tap(request_t *);

#define TAP_ARGUMENTS "ROUTE [topic PREFIX] [count N] [format line|hex|json]"

// clang-format off
static const command_t commands[] = {
    // name                 arguments         min max changes function                help
    { "help",               "",                 0, 0, false, run_help,               "this list" },
    { "status",             "",                 0, 0, false, run_status,             "the process, and what is wrong" },
    { "show routes",        "",                 0, 0, false, run_show_routes,        "states, endpoints and rates" },
    { "show stats",         "[ROUTE]",          0, 1, false, run_show_stats,         "messages, bytes, drops, blocked time" },
    { "show clients",       "[ROUTE]",          0, 1, false, run_show_clients,       "who is connected" },
    { "show subscriptions", "[ROUTE]",          0, 1, false, run_show_subscriptions, "topics that are asked for now" },
    { "show config",        "[ROUTE]",          0, 1, false, run_show_config,        "the configuration as it runs" },
    { "show plan",          "[FILE]",           0, 1, false, run_show_plan,          "what a reload of FILE (an absolute path) would do" },
    { "pause",              "ROUTE",            1, 1, true,  run_pause,              "nothing is read or sent, connections stay" },
    { "resume",             "ROUTE",            1, 1, true,  run_resume,             "go on after pause or drain" },
    { "drain",              "ROUTE",            1, 1, true,  run_drain,              "read nothing new, deliver what was taken" },
    { "disable",            "ROUTE",            1, 1, true,  run_disable,            "drain, then close" },
    { "enable",             "ROUTE",            1, 1, true,  run_enable,             "open a disabled or failed route again" },
    { "kick",               "ROUTE CLIENT",     2, 2, true,  run_kick,               "cut a client, by its id" },
    { "set log_level",      "LEVEL",            1, 1, true,  run_set_log_level,      "error, warning, notice, info, debug or trace" },
    { "clear counters",     "[ROUTE]",          0, 1, true,  run_clear,              "set to zero what show stats shows" },
    { "reload",             "",                 0, 0, true,  run_reload,             "read the file again, all or nothing" },
    { "tap",                TAP_ARGUMENTS,      1, 7, false, run_tap,                "print messages as they pass" },
    { "stop",               "",                 0, 0, true,  run_stop,               "drain and end; again: end at once" },
    { "record",             "ROUTE FILE",       0, 9, false, run_later,              NULL },
    { "replay",             "",                 0, 9, false, run_later,              NULL },
};
// clang-format on

enum { COMMANDS = sizeof commands / sizeof *commands };

bool
command_at(unsigned i, command_info_t *info)
{
    if (i >= COMMANDS || !commands[i].help) // those to come stand at the end
        return false;
    *info = (command_info_t){ commands[i].name, commands[i].arguments, commands[i].help };
    return true;
}

// --- answers ------------------------------------------------------------------------

static void fail(request_t *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
fail(request_t *request, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vadd(&request->error, format, args);
    va_end(args);
}

// Append TEXT line by line, safe for a terminal, without blank lines: one would end the answer.
static void
put_lines(text_t *out, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length) {
            text_shown(out, text, length);
            text_char(out, '\n');
        }
        text += length + (text[length] == '\n');
    }
}

// "route prices: paused", or {"ok":true}.
static void succeed(request_t *request, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void
succeed(request_t *request, const char *format, ...)
{
    text_t text = { 0 };
    va_list args;
    va_start(args, format);
    text_vadd(&text, format, args);
    va_end(args);
    put_lines(request->out, request->json ? "{\"ok\":true}" : text.data);
    text_free(&text);
}

static void
put_json_lines(json_t *json, const char *key, const char *text)
{
    json_array(json, key);
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length)
            json_bytes(json, NULL, text, length);
        text += length + (text[length] == '\n');
    }
    json_array_end(json);
}

void
commands_refuse(text_t *answer, bool json, const char *text)
{
    if (!json) {
        text_add(answer, "error: ");
        put_lines(answer, *text ? text : "failed");
        return;
    }
    // More than one line: the first says what failed, the others why.
    size_t first = strcspn(text, "\n");
    json_t writer = json_on(answer);
    json_object(&writer, NULL);
    json_bytes(&writer, "error", text, first);
    if (text[first] && text[first + 1])
        put_json_lines(&writer, "problems", text + first + 1);
    json_object_end(&writer);
    text_char(answer, '\n');
}

static json_t
begin_json(request_t *request)
{
    json_t json = json_on(request->out);
    json_object(&json, NULL);
    return json;
}

static void
end_json(request_t *request, json_t *json)
{
    json_object_end(json);
    text_char(request->out, '\n');
}

// --- routes -------------------------------------------------------------------------

static const char *
arg(const request_t *request, size_t i)
{
    return i < request->count ? request->args[i].text : NULL;
}

static void
no_route(request_t *request, const char *name)
{
    suggest_t suggestion = suggest_for(name);
    broker_route_t route;
    for (size_t i = 0; broker_at(request->broker, i, &route); i++)
        suggest_offer(&suggestion, route.conf->name);
    fail(request, "no route %s", name);
    if (*suggestion.best)
        fail(request, "; did you mean %s?", suggestion.best);
}

// Call FN for the route that the first argument names, or for each where it names none. False: there is no such route.
static bool
for_routes(request_t *request, void (*fn)(request_t *request, const broker_route_t *route, void *context), void *context)
{
    broker_route_t route;
    const char *name = arg(request, 0);
    if (name && !broker_find(request->broker, name, &route)) {
        no_route(request, name);
        return false;
    }
    if (name) {
        fn(request, &route, context);
        return true;
    }
    for (size_t i = 0; broker_at(request->broker, i, &route); i++)
        fn(request, &route, context);
    return true;
}

static void
add_json_route(request_t *request, const broker_route_t *route, void *context)
{
    stats_route(context, request->broker, route, STATS_PLAIN);
}

static void
show_json_routes(request_t *request)
{
    size_t before = request->out->size;
    json_t json = begin_json(request);
    json_array(&json, "routes");
    bool found = for_routes(request, add_json_route, &json);
    json_array_end(&json);
    end_json(request, &json);
    if (!found)
        request->out->size = before;
}

// Print a table that ADD fills for each route.
static void
show_table(request_t *request, const column_t *columns, size_t count,
           void (*add)(request_t *request, const broker_route_t *route, void *table))
{
    table_t table = table_on(columns, count);
    if (for_routes(request, add, &table))
        table_print(&table, request->out);
    table_free(&table);
}

#define COUNT(array) (sizeof(array) / sizeof *(array))

// "tcp://*:5555,ipc:///run/x", a connect with an arrow in front.
static void
add_endpoints(table_t *table, const broker_route_t *route, side_t side)
{
    text_t text = { 0 };
    const char *endpoint;
    bool connected = false;
    text_bytes(&text, "", 0);
    for (size_t i = 0; (endpoint = stats_endpoint(route, side, i, &connected)); i++) {
        text_add(&text, "%s%s", i ? "," : "", connected ? ">" : "");
        text_shown(&text, endpoint, strlen(endpoint));
    }
    table_cell(table, "%s", text.data);
    text_free(&text);
}

static void
add_blocked(table_t *table, const broker_route_t *route)
{
    blocked_t blocked;
    char since[32] = "";
    bool waits = stats_blocked(route, &blocked);
    if (waits)
        clock_rfc3339(blocked.since_wall_ns, since);
    table_cell(table, "%s", waits ? side_name(blocked.side) : "");
    table_cell(table, "%s", since);
}

static void
add_route_row(request_t *request, const broker_route_t *route, void *context)
{
    (void)request;
    table_t *table = context;
    problem_t problems[PROBLEMS_MAX];
    size_t count = stats_problems(route, problems);
    text_t problem = { 0 };
    text_shown(&problem, count ? problems[0].text : "", count ? strlen(problems[0].text) : 0);
    table_cell(table, "%s", route->conf->name);
    table_cell(table, "%s", route->conf->pattern->name);
    table_cell(table, "%s", route_state_name(route->state));
    add_blocked(table, route);
    table_cell(table, "%.0f", route->rate_in_1s);
    table_cell(table, "%.0f", route->rate_out_1s);
    table_cell(table, "%" PRIu64, counter_get(&route->counters->sides[SIDE_FRONTEND].connections));
    table_cell(table, "%" PRIu64, counter_get(&route->counters->sides[SIDE_BACKEND].connections));
    for (int side = 0; side < SIDES; side++)
        add_endpoints(table, route, (side_t)side);
    table_cell(table, "%s", problem.data);
    text_free(&problem);
}

static void
run_show_routes(request_t *request)
{
    static const column_t columns[] = {
        { "ROUTE", 0 },           { "TYPE", 0 },          { "STATE", 0 },    { "BLOCKED", 0 }, { "SINCE", 0 },
        { "IN/S", 1 },            { "OUT/S", 1 },         { "FRONTEND_CLIENTS", 1 }, { "BACKEND_CLIENTS", 1 },
        { "FRONTEND", 0 },        { "BACKEND", 0 },       { "INGRESS", 0 },  { "CAPTURE", 0 }, { "PROBLEM", 0 },
    };
    if (request->json)
        show_json_routes(request);
    else
        show_table(request, columns, COUNT(columns), add_route_row);
}

// What is counted for each side, in the order of the columns.
static const struct {
    side_t side;
    size_t offset; // in side_counters_t
} side_columns[] = {
    { SIDE_FRONTEND, offsetof(side_counters_t, messages_received) },
    { SIDE_FRONTEND, offsetof(side_counters_t, messages_sent) },
    { SIDE_BACKEND, offsetof(side_counters_t, messages_received) },
    { SIDE_BACKEND, offsetof(side_counters_t, messages_sent) },
    { SIDE_FRONTEND, offsetof(side_counters_t, received_bytes) },
    { SIDE_FRONTEND, offsetof(side_counters_t, sent_bytes) },
    { SIDE_BACKEND, offsetof(side_counters_t, received_bytes) },
    { SIDE_BACKEND, offsetof(side_counters_t, sent_bytes) },
    { SIDE_INGRESS, offsetof(side_counters_t, messages_received) },
    { SIDE_INGRESS, offsetof(side_counters_t, received_bytes) },
    { SIDE_CAPTURE, offsetof(side_counters_t, messages_sent) },
};

static void
add_stats_row(request_t *request, const broker_route_t *route, void *context)
{
    (void)request;
    table_t *table = context;
    double blocked = 0;
    for (int side = 0; side < SIDES; side++)
        blocked += side == SIDE_CAPTURE ? 0 : stats_blocked_seconds(route, (side_t)side);
    table_cell(table, "%s", route->conf->name);
    table_cell(table, "%s", route_state_name(route->state));
    table_cell(table, "%.1f", route->rate_in_1s);
    table_cell(table, "%.1f", route->rate_out_1s);
    table_cell(table, "%.1f", route->rate_in_60s);
    table_cell(table, "%.1f", route->rate_out_60s);
    table_cell(table, "%" PRIu64, stats_dropped(route));
    table_cell(table, "%.1f", blocked);
    for (size_t i = 0; i < COUNT(side_columns); i++) {
        const char *side = (const char *)&route->counters->sides[side_columns[i].side];
        const counter_t *counter = (const counter_t *)(const void *)(side + side_columns[i].offset);
        if (stats_has_side(route, side_columns[i].side))
            table_cell(table, "%" PRIu64, stats_counter(route, counter));
        else
            table_cell(table, "-");
    }
    for (int i = 0; i < DROP_REASONS; i++)
        table_cell(table, "%" PRIu64, STATS(route, dropped[i]));
    table_cell(table, "%" PRIu64, STATS(route, capture_dropped));
    table_cell(table, "%.0f", route->bytes_in_1s);
    table_cell(table, "%.0f", route->bytes_out_1s);
    table_cell(table, "%" PRIu64, counter_get(&route->counters->sides[SIDE_FRONTEND].connections));
    table_cell(table, "%" PRIu64, counter_get(&route->counters->sides[SIDE_BACKEND].connections));
    table_cell(table, "%.1f%%", route->blocked_share * 100);
}

static void
run_show_stats(request_t *request)
{
    // What a narrow terminal must still show stands first.
    static const column_t columns[] = {
        { "ROUTE", 0 }, { "STATE", 0 }, { "IN/1S", 1 }, { "OUT/1S", 1 }, { "IN/60S", 1 }, { "OUT/60S", 1 }, { "DROPPED", 1 },
        { "BLOCKED_SECONDS", 1 },
        { "FRONTEND_RECEIVED", 1 }, { "FRONTEND_SENT", 1 }, { "BACKEND_RECEIVED", 1 }, { "BACKEND_SENT", 1 },
        { "FRONTEND_RECEIVED_BYTES", 1 }, { "FRONTEND_SENT_BYTES", 1 }, { "BACKEND_RECEIVED_BYTES", 1 }, { "BACKEND_SENT_BYTES", 1 },
        { "INGRESS_RECEIVED", 1 }, { "INGRESS_RECEIVED_BYTES", 1 }, { "CAPTURE_SENT", 1 },
        { "HWM", 1 }, { "UNDELIVERABLE", 1 }, { "ACL", 1 }, { "QUOTA", 1 }, { "STALLED", 1 }, { "SHUTDOWN", 1 },
        { "CAPTURE_DROPPED", 1 }, { "BYTES_IN/1S", 1 }, { "BYTES_OUT/1S", 1 },
        { "FRONTEND_CLIENTS", 1 }, { "BACKEND_CLIENTS", 1 }, { "BLOCKED/60S", 1 },
    };
    _Static_assert(COUNT(columns) == 8 + COUNT(side_columns) + DROP_REASONS + 6, "a cell for each column");
    if (request->json)
        show_json_routes(request);
    else
        show_table(request, columns, COUNT(columns), add_stats_row);
}

static void
run_show_clients(request_t *request)
{
    const char *name = arg(request, 0);
    broker_route_t route;
    if (name && !broker_find(request->broker, name, &route)) {
        no_route(request, name);
    } else if (request->json) {
        json_t json = begin_json(request);
        clients_write(&json, request->broker, name, 0);
        end_json(request, &json);
    } else {
        clients_print(request->out, request->broker, name);
    }
}

typedef struct {
    json_t *json;   // or
    table_t *table; // one of the two
    uint64_t more;
} topics_out_t;

static void
add_topics(request_t *request, const broker_route_t *route, void *context)
{
    (void)request;
    topics_out_t *out = context;
    size_t count = 0;
    char **topics = route->route && route->conf->pattern->ingress ? route_subscriptions(route->route, &count, TOPICS_MAX) : NULL;
    uint64_t total = counter_get(&route->counters->subscriptions);
    out->more += total > count ? total - count : 0;
    for (size_t i = 0; i < count; i++) {
        if (out->json) {
            json_object(out->json, NULL);
            json_string(out->json, "route", route->conf->name);
            json_string(out->json, "topic", topics[i]);
            json_object_end(out->json);
        } else {
            table_cell(out->table, "%s", route->conf->name);
            table_cell(out->table, "\"%s\"", topics[i]);
        }
        free(topics[i]);
    }
    free(topics);
}

static void
run_show_subscriptions(request_t *request)
{
    static const column_t columns[] = { { "ROUTE", 0 }, { "TOPIC", 0 } };
    size_t before = request->out->size;
    if (request->json) {
        json_t json = begin_json(request);
        topics_out_t out = { .json = &json };
        json_array(&json, "subscriptions");
        bool found = for_routes(request, add_topics, &out);
        json_array_end(&json);
        json_uint(&json, "more", out.more);
        end_json(request, &json);
        if (!found)
            request->out->size = before;
        return;
    }
    table_t table = table_on(columns, COUNT(columns));
    topics_out_t out = { .table = &table };
    if (for_routes(request, add_topics, &out)) {
        table_print(&table, request->out);
        if (out.more)
            text_add(request->out, "and %" PRIu64 " more\n", out.more);
    }
    table_free(&table);
}

// --- the process --------------------------------------------------------------------

static void
put_duration(text_t *out, int64_t seconds)
{
    if (seconds >= 86400)
        text_add(out, "%" PRId64 " d ", seconds / 86400);
    text_add(out, "%02" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
}

static void
print_status(request_t *request)
{
    text_t *out = request->out;
    broker_status_t status;
    process_t process;
    char since[32], reloaded[32], hostname[HOST_NAME_MAX + 1] = "";
    broker_status(request->broker, &status);
    process_read(&process);
    gethostname(hostname, sizeof hostname - 1);
    clock_rfc3339(status.started_wall_ns, since);
    clock_rfc3339(status.reload_wall_ns, reloaded);
    text_add(out, "zbroker %s, libzmq %s, czmq %s, pid %d on %s%s\n", PACKAGE_VERSION, stats_libzmq_version(), stats_czmq_version(),
             (int)getpid(), hostname, status.stopping ? ", stopping" : "");
    text_add(out, "up since %s (", since);
    put_duration(out, (clock_wall_ns() - status.started_wall_ns) / 1000000000);
    text_add(out, "), cpu %.1f s, memory %" PRId64 " kB, descriptors %" PRId64 " of %" PRId64 "\n", process.cpu_seconds,
             process.rss_bytes / 1024, process.open_fds, process.max_fds);
    text_add(out, "configuration ");
    text_shown(out, broker_conf(request->broker)->file, strlen(broker_conf(request->broker)->file));
    text_add(out, " of %s, reloads %" PRIu64 " good %" PRIu64 " bad, the last one %s, log_level %s\n", reloaded, status.reloads_success,
             status.reloads_failure, status.reload_ok ? "good" : "bad", log_level_name(log_level()));
    size_t states[ROUTE_STATES] = { 0 };
    broker_route_t route;
    for (size_t i = 0; broker_at(request->broker, i, &route); i++)
        states[route.state]++;
    size_t total = broker_count(request->broker);
    text_add(out, "%zu route%s", total, total == 1 ? "" : "s");
    for (int i = 0; i < ROUTE_STATES; i++)
        if (states[i])
            text_add(out, ", %zu %s", states[i], route_state_name((route_state_t)i));
    text_char(out, '\n');
}

static void
print_problems(request_t *request)
{
    broker_route_t route;
    problem_t problems[PROBLEMS_MAX];
    for (size_t i = 0; broker_at(request->broker, i, &route); i++) {
        size_t count = stats_problems(&route, problems);
        for (size_t j = 0; j < count; j++) {
            text_add(request->out, "%s: route %s: ", problem_level_name(problems[j].level), route.conf->name);
            text_shown(request->out, problems[j].text, strlen(problems[j].text));
            text_char(request->out, '\n');
        }
    }
}

static void
run_status(request_t *request)
{
    if (request->json) {
        json_t json = begin_json(request);
        stats_status(&json, request->broker);
        end_json(request, &json);
        return;
    }
    print_status(request);
    // Its first line never looks like a failure: print_status has gone before.
    print_problems(request);
}

static void
run_help(request_t *request)
{
    command_info_t info;
    if (request->json) {
        json_t json = begin_json(request);
        json_array(&json, "commands");
        for (unsigned i = 0; command_at(i, &info); i++) {
            json_object(&json, NULL);
            json_string(&json, "name", info.name);
            json_string(&json, "arguments", info.arguments);
            json_string(&json, "help", info.help);
            json_object_end(&json);
        }
        json_array_end(&json);
        end_json(request, &json);
        return;
    }
    for (unsigned i = 0; command_at(i, &info); i++) {
        text_t usage = { 0 };
        text_add(&usage, "%s%s%s", info.name, *info.arguments ? " " : "", info.arguments);
        text_add(request->out, "%-28s  %s\n", usage.data, info.help);
        text_free(&usage);
    }
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
    stats_settings(json, "options", &route->conf->settings);
    json_object_end(json);
}

static void
run_show_config(request_t *request)
{
    size_t before = request->out->size;
    bool whole = !arg(request, 0);
    if (!request->json) {
        if (whole) {
            text_add(request->out, "[zbroker]\n");
            print_settings(request->out, &broker_conf(request->broker)->settings);
        }
        for_routes(request, add_config, NULL);
        return;
    }
    json_t json = begin_json(request);
    if (whole)
        stats_settings(&json, "options", &broker_conf(request->broker)->settings);
    json_array(&json, "routes");
    bool found = for_routes(request, add_config, &json);
    json_array_end(&json);
    end_json(request, &json);
    if (!found)
        request->out->size = before;
}

// --- verbs --------------------------------------------------------------------------

static void
run_verb(request_t *request, verb_t verb)
{
    const char *name = arg(request, 0);
    broker_route_t route;
    if (broker_verb(request->broker, verb, name, &request->error) == -1) {
        if (!request->error.size)
            fail(request, "route %s: it did not work", name);
    } else if (verb == VERB_DISABLE) { // it may still drain; what was asked for is sure
        succeed(request, "route %s: %s\n", name, route_state_name(ROUTE_DISABLED));
    } else if (broker_find(request->broker, name, &route)) {
        succeed(request, "route %s: %s\n", name, route_state_name(route.state));
    } else {
        succeed(request, "route %s: done\n", name);
    }
}

static void
run_pause(request_t *request)
{
    run_verb(request, VERB_PAUSE);
}

static void
run_resume(request_t *request)
{
    run_verb(request, VERB_RESUME);
}

static void
run_drain(request_t *request)
{
    run_verb(request, VERB_DRAIN);
}

static void
run_disable(request_t *request)
{
    run_verb(request, VERB_DISABLE);
}

static void
run_enable(request_t *request)
{
    run_verb(request, VERB_ENABLE);
}

static void
run_kick(request_t *request)
{
    if (broker_kick(request->broker, arg(request, 0), arg(request, 1), &request->error) == 0)
        succeed(request, "route %s: client %s cut\n", arg(request, 0), arg(request, 1));
    else if (!request->error.size)
        fail(request, "route %s has no client %s", arg(request, 0), arg(request, 1));
}

static void
run_clear(request_t *request)
{
    const char *name = arg(request, 0);
    if (broker_clear(request->broker, name, &request->error) == 0)
        succeed(request, name ? "route %s: counters cleared\n" : "counters cleared\n", name);
    else if (!request->error.size)
        no_route(request, name ? name : "");
}

static void
run_set_log_level(request_t *request)
{
    const char *name = arg(request, 0);
    int level = log_level_find(name);
    if (level != -1) {
        log_set_level((log_level_t)level);
        succeed(request, "log_level: %s\n", name);
        return;
    }
    suggest_t suggestion = suggest_for(name);
    for (int i = 0; i <= LOG_LEVEL_TRACE; i++)
        suggest_offer(&suggestion, log_level_name((log_level_t)i));
    fail(request, "no log level %s", name);
    if (*suggestion.best)
        fail(request, "; did you mean %s?", suggestion.best);
    else
        fail(request, "; one of error, warning, notice, info, debug, trace");
}

// The broker's lines under KEY, or as a failure.
static void
answer_lines(request_t *request, int rc, text_t *lines, const char *key, const char *failure)
{
    if (rc == -1) {
        fail(request, "%s\n%s", failure, lines->data ? lines->data : "");
    } else if (request->json) {
        json_t json = begin_json(request);
        json_bool(&json, "ok", true);
        put_json_lines(&json, key, lines->data ? lines->data : "");
        end_json(request, &json);
    } else {
        put_lines(request->out, lines->size ? lines->data : "nothing to do\n");
    }
    text_free(lines);
}

static void
run_reload(request_t *request)
{
    text_t lines = { 0 };
    int rc = broker_reload(request->broker, &lines);
    answer_lines(request, rc, &lines, "changes", "not reloaded, nothing was changed");
}

static void
run_show_plan(request_t *request)
{
    const char *file = arg(request, 0);
    if (file && *file != '/') {
        fail(request, "FILE must be an absolute path, not %s", file);
        return;
    }
    text_t lines = { 0 };
    int rc = broker_plan(request->broker, file, &lines);
    answer_lines(request, rc, &lines, "plan", "a reload would be refused");
}

static void
run_stop(request_t *request)
{
    broker_stop(request->broker);
    succeed(request, "stopping\n");
}

static void
run_later(request_t *request)
{
    fail(request, "not there yet: this version can neither record nor replay");
}

// --- tap ----------------------------------------------------------------------------

// \xNN, \n, \r, \t, \\, \" and what they stand for. False: a backslash that starts none of these.
static bool
unescape(const char *text, text_t *out)
{
    static const char letters[] = "n\nr\rt\t\\\\\"\"";
    text_bytes(out, "", 0);
    for (; *text; text++) {
        if (*text != '\\') {
            text_char(out, *text);
            continue;
        }
        text++;
        const char *pair = letters;
        while (*pair && *pair != *text)
            pair += 2;
        if (*text && *pair) {
            text_char(out, pair[1]);
        } else if (*text == 'x' && isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2])) {
            char digits[3] = { text[1], text[2], 0 };
            text_char(out, (char)strtol(digits, NULL, 16));
            text += 2;
        } else {
            return false;
        }
    }
    return true;
}

static void
tap_topic(request_t *request, const char *value)
{
    text_clear(&request->tap->prefix);
    if (!unescape(value, &request->tap->prefix))
        fail(request, "topic %s: a backslash is written \\\\, a byte \\x1f", value);
}

static void
tap_count(request_t *request, const char *value)
{
    char *end;
    errno = 0;
    unsigned long long count = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno || !count)
        fail(request, "count %s: not a number above 0", value);
    request->tap->count = count;
}

static void
tap_format(request_t *request, const char *value)
{
    int format = tap_format_find(value);
    if (format == -1)
        fail(request, "format %s: one of line, hex, json", value);
    else
        request->tap->format = (tap_format_t)format;
}

static const struct {
    const char *word;
    void (*set)(request_t *request, const char *value);
} tap_words[] = { { "topic", tap_topic }, { "count", tap_count }, { "format", tap_format } };

static void
tap_word(request_t *request, const char *word, const char *value)
{
    suggest_t suggestion = suggest_for(word);
    for (size_t i = 0; i < COUNT(tap_words); i++) {
        suggest_offer(&suggestion, tap_words[i].word);
        if (strcmp(word, tap_words[i].word) != 0)
            continue;
        if (value)
            tap_words[i].set(request, value);
        else
            fail(request, "%s what? usage: tap %s", word, TAP_ARGUMENTS);
        return;
    }
    fail(request, "unknown word %s; ", word);
    if (*suggestion.best)
        fail(request, "did you mean %s?", suggestion.best);
    else
        fail(request, "usage: tap %s", TAP_ARGUMENTS);
}

static void
run_tap(request_t *request)
{
    const char *name = arg(request, 0);
    broker_route_t route;
    if (!broker_find(request->broker, name, &route)) {
        no_route(request, name);
        return;
    }
    snprintf(request->tap->route, sizeof request->tap->route, "%s", name);
    request->tap->json = request->json;
    request->tap->format = request->json ? TAP_JSON : TAP_LINE;
    for (size_t i = 1; i < request->count && !request->error.size; i += 2)
        tap_word(request, arg(request, i), arg(request, i + 1));
    request->result = COMMAND_TAP;
}

// --- one line -----------------------------------------------------------------------

// Cut the next word out of *AT, in place. False: no more, or a REASON why it is none.
static bool
next_word(char **at, word_t *word, const char **reason)
{
    char *from = *at + strspn(*at, " \t");
    char *to = from;
    if (!*from)
        return false;
    *word = (word_t){ .text = from, .quoted = *from == '"' };
    if (!word->quoted) {
        to = from + strcspn(from, " \t");
        *at = *to ? to + 1 : to;
        *to = '\0';
        return true;
    }
    char *scan = from + 1;
    while (*scan && *scan != '"')
        scan += *scan == '\\' && scan[1] ? 2 : 1;
    if (!*scan || (scan[1] && !strchr(" \t", scan[1]))) {
        *reason = *scan ? "a blank must follow the closing quote" : "a closing quote is missing";
        return false;
    }
    *scan = '\0';
    text_t plain = { 0 };
    if (!unescape(from + 1, &plain) || strlen(plain.data) != plain.size)
        *reason = "in quotes a backslash is written \\\\";
    else
        memcpy(from, plain.data, plain.size + 1); // never longer than what it was written as
    text_free(&plain);
    *at = scan + 1;
    return !*reason;
}

static bool
is_word(const word_t *word, const char *text)
{
    return !word->quoted && strcmp(word->text, text) == 0;
}

// Does the last word ask for JSON?
static bool
asks_for_json(const word_t *words, size_t count)
{
    if (count < 2 || !is_word(&words[count - 1], "json"))
        return false;
    return !is_word(&words[count - 2], "format") && !is_word(&words[count - 2], "topic");
}

// How many WORDS name COMMAND: 0, none.
static size_t
matches(const command_t *command, const word_t *words, size_t count)
{
    size_t length = strcspn(command->name, " ");
    const char *second = command->name[length] ? command->name + length + 1 : NULL;
    if (words[0].quoted || strncmp(words[0].text, command->name, length) != 0 || words[0].text[length])
        return 0;
    if (!second)
        return 1;
    return count > 1 && is_word(&words[1], second) ? 2 : 0;
}

static const command_t *
find_command(const word_t *words, size_t count, size_t *used)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if ((*used = matches(&commands[i], words, count)))
            return &commands[i];
    return NULL;
}

// "unknown command shwo routes; did you mean show routes?"
static void
unknown_command(request_t *request, const word_t *words, size_t count)
{
    text_t wrong = { 0 };
    suggest_t near_two, near_one = suggest_for(words[0].text);
    text_add(&wrong, "%s%s%s", words[0].text, count > 1 ? " " : "", count > 1 ? words[1].text : "");
    near_two = suggest_for(wrong.data);
    for (size_t i = 0; i < COMMANDS; i++) {
        suggest_offer(&near_two, commands[i].name);
        if (!strchr(commands[i].name, ' '))
            suggest_offer(&near_one, commands[i].name);
    }
    const char *best = *near_two.best ? near_two.best : near_one.best;
    fail(request, "unknown command %s", wrong.data);
    if (*best)
        fail(request, "; did you mean %s?", best);
    else
        fail(request, "; `help' lists them");
    text_free(&wrong);
}

static void
run_command(request_t *request, const word_t *words, size_t count, const char *line, const char *who)
{
    size_t used;
    const command_t *command = find_command(words, count, &used);
    if (!command) {
        unknown_command(request, words, count);
        return;
    }
    request->args = words + used;
    request->count = count - used;
    if (request->count < command->min || request->count > command->max) {
        fail(request, "usage: %s%s%s", command->name, *command->arguments ? " " : "", command->arguments);
        return;
    }
    if (command->changes)
        log_notice("control: %s by %s", line, who);
    command->run(request);
}

// LINE as bytes -> words. False with a reason in the request.
static size_t
split(request_t *request, char *line, size_t size, word_t words[WORDS_MAX])
{
    size_t count = 0;
    const char *reason = NULL;
    if (memchr(line, '\0', size))
        reason = "a NUL byte in the line";
    while (!reason && count < WORDS_MAX && next_word(&line, &words[count], &reason))
        count++;
    if (!reason && count == WORDS_MAX)
        reason = "too many words";
    if (reason)
        fail(request, "%s", reason);
    return count;
}

command_result_t
commands_run(broker_t *broker, const char *line, size_t size, const char *who, text_t *answer, tapping_conf_t *tap)
{
    word_t words[WORDS_MAX] = { { 0 } };
    char *copy = xcalloc(size + 1, 1), *shown = xstrndup(line, size);
    request_t request = { .broker = broker, .out = answer, .tap = tap, .result = COMMAND_DONE };
    memcpy(copy, line, size); // NUL bytes too, to find them
    size_t count = split(&request, copy, size, words);
    request.json = asks_for_json(words, count);
    count -= request.json;
    if (!request.error.size && count)
        run_command(&request, words, count, shown, who);
    else if (!request.error.size)
        fail(&request, "no command; `help' lists them");
    if (request.error.size) {
        commands_refuse(answer, request.json, request.error.data);
        tapping_conf_free(tap);
        request.result = COMMAND_FAILED;
    }
    text_free(&request.error);
    free(shown);
    free(copy);
    return request.result;
}
