// SPDX-License-Identifier: MPL-2.0
// page.c - see page.h. One pass over index.html: {{name}} is looked up in a
// table, <!--ROWS--> becomes a copy of the row template for each route, and the
// template itself stays for app.js.

#include "admin/page.h"
#include "admin/figures.h"
#include "admin/problems.h"
#include "admin/stats.h"
#include "base/clock.h"

#include <assert.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// What a placeholder can ask about; ROUTE is of a row only.
typedef struct {
    broker_t *broker;
    broker_status_t status;
    process_t process;
    char hostname[HOST_NAME_MAX + 1];
    const broker_route_t *route;
} view_t;

const page_asset_t *
page_find(const char *path)
{
    for (const page_asset_t *asset = page_assets; asset->path; asset++)
        if (strcmp(asset->path, path) == 0)
            return asset;
    return NULL;
}

// --- text --------------------------------------------------------------------

static void
put(text_t *out, const char *text)
{
    text_t shown = { 0 };
    text_shown(&shown, text, strlen(text)); // no control characters, nothing but UTF-8
    for (const char *at = shown.data; *at; at++)
        switch (*at) {
        case '&': text_add(out, "&amp;"); break;
        case '<': text_add(out, "&lt;"); break;
        case '>': text_add(out, "&gt;"); break;
        case '"': text_add(out, "&quot;"); break;
        case '\'': text_add(out, "&#39;"); break;
        default: text_char(out, *at);
        }
    text_free(&shown);
}

static double
seconds_since(int64_t wall_ns)
{
    return (double)(clock_wall_ns() - wall_ns) / 1e9;
}

// --- the process ---------------------------------------------------------------

static double
uptime(const view_t *view)
{
    return seconds_since(view->status.started_wall_ns);
}

static double
cpu_seconds(const view_t *view)
{
    return view->process.cpu_seconds;
}

static double
cpu_share(const view_t *view)
{
    double passed = uptime(view);
    return passed > 0 ? view->process.cpu_seconds / passed : 0;
}

static double
rss_bytes(const view_t *view)
{
    return (double)view->process.rss_bytes;
}

static double
open_fds(const view_t *view)
{
    return (double)view->process.open_fds;
}

static double
max_fds(const view_t *view)
{
    return (double)view->process.max_fds;
}

static void
write_program(const view_t *view, text_t *out)
{
    (void)view;
    put(out, PACKAGE_NAME);
}

static void
write_version(const view_t *view, text_t *out)
{
    (void)view;
    put(out, PACKAGE_VERSION);
}

static void
write_libzmq(const view_t *view, text_t *out)
{
    (void)view;
    put(out, stats_libzmq_version());
}

static void
write_czmq(const view_t *view, text_t *out)
{
    (void)view;
    put(out, stats_czmq_version());
}

static void
write_hostname(const view_t *view, text_t *out)
{
    put(out, view->hostname);
}

static void
write_config_file(const view_t *view, text_t *out)
{
    put(out, broker_conf(view->broker)->file);
}

static void
write_reload(const view_t *view, text_t *out)
{
    text_add(out, view->status.reload_ok ? "ok, " : "failed; the one of ");
    figures_duration(out, seconds_since(view->status.reload_wall_ns));
    text_add(out, view->status.reload_ok ? " ago" : " ago is in force");
}

static void
write_reload_level(const view_t *view, text_t *out)
{
    text_add(out, "%s", view->status.reload_ok ? "" : "error");
}

// "error", "warning", or "" for a route that needs no colour.
static const char *
level_of(const broker_route_t *route)
{
    problem_t problems[PROBLEMS_MAX];
    size_t count = problems_of(route, problems);
    return count && problems[0].level != PROBLEM_INFO ? problem_level_name(problems[0].level) : "";
}

typedef struct {
    size_t routes, running, errors, warnings;
} tally_t;

static tally_t
count_routes(const view_t *view)
{
    tally_t tally = { 0 };
    broker_route_t route;
    for (size_t i = 0; broker_at(view->broker, i, &route); i++) {
        const char *level = level_of(&route);
        tally.routes++;
        tally.running += route.state == ROUTE_RUNNING;
        tally.errors += strcmp(level, "error") == 0;
        tally.warnings += strcmp(level, "warning") == 0;
    }
    return tally;
}

static void
write_summary(const view_t *view, text_t *out)
{
    tally_t tally = count_routes(view);
    const char *plural = tally.routes == 1 ? "" : "s";
    if (view->status.stopping)
        text_add(out, "The daemon is stopping");
    else if (!tally.routes)
        text_add(out, "No routes are configured");
    else if (tally.errors && tally.routes == 1)
        text_add(out, "The route needs action");
    else if (tally.errors)
        text_add(out, "%zu of %zu routes need%s action", tally.errors, tally.routes, tally.errors == 1 ? "s" : "");
    else if (tally.running < tally.routes)
        text_add(out, "%zu of %zu route%s running", tally.running, tally.routes, plural);
    else if (tally.routes == 1)
        text_add(out, "1 route, running");
    else
        text_add(out, "All %zu routes running", tally.routes);
}

static void
write_summary_level(const view_t *view, text_t *out)
{
    tally_t tally = count_routes(view);
    if (view->status.stopping)
        text_add(out, "warning");
    else if (tally.errors)
        text_add(out, "error");
    else if (tally.warnings || tally.running < tally.routes)
        text_add(out, "warning");
    else if (tally.routes)
        text_add(out, "ok");
}

// --- a route -----------------------------------------------------------------------

static void
write_name(const view_t *view, text_t *out)
{
    put(out, view->route->conf->name);
}

static void
write_type(const view_t *view, text_t *out)
{
    put(out, view->route->conf->pattern->name);
}

static void
write_engine(const view_t *view, text_t *out)
{
    if (view->route->conf->engine == ENGINE_ZMQ_PROXY)
        text_add(out, " · zmq_proxy, not counted");
}

static void
write_state(const view_t *view, text_t *out)
{
    put(out, route_state_name(view->route->state));
}

static void
write_level(const view_t *view, text_t *out)
{
    put(out, level_of(view->route));
}

static void
write_problems(const view_t *view, text_t *out)
{
    problem_t problems[PROBLEMS_MAX];
    size_t count = problems_of(view->route, problems);
    for (size_t i = 0; i < count; i++) {
        text_add(out, "<li class=\"%s\">", problem_level_name(problems[i].level));
        put(out, problems[i].text);
        text_add(out, "</li>");
    }
}

static void
write_endpoints(const view_t *view, text_t *out)
{
    // In the order of app.js.
    static const struct {
        side_t side;
        const char *label;
    } sides[] = { { SIDE_FRONTEND, "front" }, { SIDE_BACKEND, "back" }, { SIDE_INGRESS, "ingr" }, { SIDE_CAPTURE, "capt" } };
    for (size_t s = 0; s < sizeof sides / sizeof *sides; s++) {
        if (!stats_has_side(view->route, sides[s].side))
            continue;
        const char *endpoint;
        bool connected = false;
        for (size_t i = 0; (endpoint = stats_endpoint(view->route, sides[s].side, i, &connected)); i++) {
            text_add(out, "<li><i title=\"%s, %s\">%s</i><code>", side_name(sides[s].side), connected ? "connects to" : "bound", i ? "" : sides[s].label);
            put(out, endpoint);
            text_add(out, "</code></li>");
        }
    }
}

static double
blocked_share(const view_t *view)
{
    return view->route->blocked_share;
}

static double
dropped(const view_t *view)
{
    return (double)stats_dropped(view->route);
}

static double
rate_in(const view_t *view)
{
    return view->route->rate_in_1s;
}

static double
rate_out(const view_t *view)
{
    return view->route->rate_out_1s;
}

static double
bytes_in(const view_t *view)
{
    return view->route->bytes_in_1s;
}

static double
bytes_out(const view_t *view)
{
    return view->route->bytes_out_1s;
}

static double
messages_received(const view_t *view)
{
    return (double)STATS(view->route, sides[SIDE_FRONTEND].messages_received);
}

static double
messages_sent(const view_t *view)
{
    return (double)STATS(view->route, sides[SIDE_BACKEND].messages_sent);
}

static double
frontend_connections(const view_t *view)
{
    return (double)counter_get(&view->route->counters->sides[SIDE_FRONTEND].connections);
}

static double
backend_connections(const view_t *view)
{
    return (double)counter_get(&view->route->counters->sides[SIDE_BACKEND].connections);
}

// --- the sparkline: the last 60 points on 120 x 32 --------------------------------------

enum { SPARK_POINTS = 60, SPARK_WIDTH = 120 };

typedef struct {
    const uint32_t *at;
    uint32_t count, most;
} spark_t;

static spark_t
spark_of(const broker_route_t *route)
{
    spark_t spark = { .count = route->history_count < SPARK_POINTS ? route->history_count : SPARK_POINTS };
    if (spark.count)
        spark.at = route->history + (route->history_count - spark.count);
    for (uint32_t i = 0; i < spark.count; i++)
        if (spark.at[i] > spark.most)
            spark.most = spark.at[i];
    return spark;
}

static double
spark_x(const spark_t *spark, uint32_t i)
{
    return (double)(SPARK_POINTS - spark->count + i) * SPARK_WIDTH / (SPARK_POINTS - 1);
}

static void
write_spark_line(const view_t *view, text_t *out)
{
    spark_t spark = spark_of(view->route);
    for (uint32_t i = 0; spark.most && i < spark.count; i++)
        text_add(out, "%c%.1f %.1f", i ? 'L' : 'M', spark_x(&spark, i), 31 - spark.at[i] * 29.0 / spark.most);
}

static void
write_spark_area(const view_t *view, text_t *out)
{
    spark_t spark = spark_of(view->route);
    write_spark_line(view, out);
    if (spark.most)
        text_add(out, "L%d 31.5L%.1f 31.5Z", SPARK_WIDTH, spark_x(&spark, 0));
}

static void
write_spark_label(const view_t *view, text_t *out)
{
    text_add(out, "messages in per second, last minute: at most %u", (unsigned)spark_of(view->route).most);
}

// --- placeholders --------------------------------------------------------------------------

// A text, or a number and how it looks; {{name.raw}} is the number itself.
typedef struct {
    const char *name;
    bool of_route;
    void (*write)(const view_t *view, text_t *out);
    double (*number)(const view_t *view);
    void (*format)(text_t *out, double value);
} field_t;

// clang-format off
static const field_t fields[] = {
    { "program", false, write_program, NULL, NULL },
    { "version", false, write_version, NULL, NULL },
    { "hostname", false, write_hostname, NULL, NULL },
    { "config_file", false, write_config_file, NULL, NULL },
    { "libzmq", false, write_libzmq, NULL, NULL },
    { "czmq", false, write_czmq, NULL, NULL },
    { "summary", false, write_summary, NULL, NULL },
    { "summary_level", false, write_summary_level, NULL, NULL },
    { "reload", false, write_reload, NULL, NULL },
    { "reload_level", false, write_reload_level, NULL, NULL },
    { "uptime_seconds", false, NULL, uptime, figures_duration },
    { "cpu_share", false, NULL, cpu_share, figures_share },
    { "cpu_seconds", false, NULL, cpu_seconds, figures_seconds },
    { "rss_bytes", false, NULL, rss_bytes, figures_bytes },
    { "open_fds", false, NULL, open_fds, figures_count },
    { "max_fds", false, NULL, max_fds, figures_count },
    { "name", true, write_name, NULL, NULL },
    { "type", true, write_type, NULL, NULL },
    { "engine", true, write_engine, NULL, NULL },
    { "state", true, write_state, NULL, NULL },
    { "level", true, write_level, NULL, NULL },
    { "problems", true, write_problems, NULL, NULL },
    { "endpoints", true, write_endpoints, NULL, NULL },
    { "spark.line", true, write_spark_line, NULL, NULL },
    { "spark.area", true, write_spark_area, NULL, NULL },
    { "spark.label", true, write_spark_label, NULL, NULL },
    { "rates.in_1s", true, NULL, rate_in, figures_rate },
    { "rates.out_1s", true, NULL, rate_out, figures_rate },
    { "rates.bytes_in_1s", true, NULL, bytes_in, figures_bytes },
    { "rates.bytes_out_1s", true, NULL, bytes_out, figures_bytes },
    { "frontend.messages_received", true, NULL, messages_received, figures_count },
    { "backend.messages_sent", true, NULL, messages_sent, figures_count },
    { "frontend.connections", true, NULL, frontend_connections, figures_count },
    { "backend.connections", true, NULL, backend_connections, figures_count },
    { "dropped", true, NULL, dropped, figures_count },
    { "blocked_share", true, NULL, blocked_share, figures_share },
};
// clang-format on

static bool
is_named(const char *name, size_t size, const char *wanted)
{
    return strlen(wanted) == size && memcmp(name, wanted, size) == 0;
}

static void
write_field(const view_t *view, const char *name, size_t size, text_t *out)
{
    static const char raw[] = ".raw";
    bool is_raw = size > 4 && memcmp(name + size - 4, raw, 4) == 0;
    if (is_raw)
        size -= 4;
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        if (fields[i].of_route != (view->route != NULL) || !is_named(name, size, fields[i].name))
            continue;
        if (fields[i].write)
            fields[i].write(view, out);
        else if (is_raw)
            text_add(out, "%.15g", fields[i].number(view));
        else
            fields[i].format(out, fields[i].number(view));
        return;
    }
    assert(false); // index.html has a placeholder that no row of the table knows
}

static void
write_template(const view_t *view, const char *at, const char *end, text_t *out)
{
    while (at < end) {
        const char *open = memmem(at, (size_t)(end - at), "{{", 2);
        const char *close = open ? memmem(open, (size_t)(end - open), "}}", 2) : NULL;
        if (!close)
            break;
        text_bytes(out, at, (size_t)(open - at));
        write_field(view, open + 2, (size_t)(close - open) - 2, out);
        at = close + 2;
    }
    text_bytes(out, at, (size_t)(end - at));
}

static void
write_rows(view_t *view, const char *at, const char *end, text_t *out)
{
    broker_route_t route;
    size_t i = 0;
    for (; broker_at(view->broker, i, &route); i++) {
        view->route = &route;
        write_template(view, at, end, out);
    }
    view->route = NULL;
    if (!i)
        text_add(out, "<tr class=\"empty\" role=\"row\"><td colspan=\"10\" role=\"cell\">No routes are configured: "
                      "add a [route NAME] section and reload.</td></tr>");
}

void
page_write(broker_t *broker, text_t *out)
{
    static const char marker[] = "<!--ROWS-->", opening[] = "<template id=\"row-template\">", closing[] = "</template>";
    view_t view = { .broker = broker };
    broker_status(broker, &view.status);
    process_read(&view.process);
    gethostname(view.hostname, sizeof view.hostname - 1);

    // embed.sh ends every file with a zero byte: it can be read as a string.
    const page_asset_t *index = page_find("/");
    const char *html = (const char *)index->bytes, *end = html + index->size;
    const char *rows = strstr(html, marker), *row = strstr(html, opening), *row_end = row ? strstr(row, closing) : NULL;
    assert(rows && row && row_end && rows < row);

    write_template(&view, html, rows, out);
    write_rows(&view, row + strlen(opening), row_end, out);
    write_template(&view, rows + strlen(marker), row, out);
    text_bytes(out, row, (size_t)(row_end - row)); // as it is, for app.js
    write_template(&view, row_end, end, out);
}
