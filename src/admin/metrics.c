// SPDX-License-Identifier: MPL-2.0
#include "admin/metrics.h"
#include "admin/fields.h"
#include "admin/stats.h"
#include "admin/usage.h"
#include "base/clock.h"
#include "base/mem.h"
#include "conf/engine.h"
#include "store/store.h"

#include <string.h>

typedef struct metric metric_t;

typedef struct {
    text_t *out;
    broker_t *broker;
    broker_status_t status;
    usage_t usage;
    const metric_t *metric;
    metric_info_t info;
} metric_writer_t;

struct metric {
    const char *name, *type, *help; // name NULL: those of the field
    void (*write)(metric_writer_t *writer);
    field_id_t field;
    size_t offset; // of a number of the process in its writer, or of the first that is counted for a label:
    const char *label, *const *values;
    size_t count;
    side_t side; // only of routes that may have it; SIDES: of all
};

// --- samples ---------------------------------------------------------------------------

// Label values are escaped as the format asks: \\, \" and \n.
static void
put_label(text_t *out, const char *name, const char *value, bool first)
{
    text_add(out, "%c%s=\"", first ? '{' : ',', name);
    for (; *value; value++)
        if (*value == '\n')
            text_add(out, "\\n");
        else if (*value == '"' || *value == '\\')
            text_add(out, "\\%c", *value);
        else
            text_char(out, *value);
    text_char(out, '"');
}

typedef struct {
    const char *name, *value;
} label_t;

static void
put_name(const metric_writer_t *writer, const char *suffix, const label_t *labels, size_t count)
{
    text_add(writer->out, "%s%s", writer->info.name, suffix);
    for (size_t i = 0; i < count; i++)
        put_label(writer->out, labels[i].name, labels[i].value, i == 0);
    text_add(writer->out, count ? "} " : " ");
}

static void
put_uint(const metric_writer_t *writer, const char *suffix, const label_t *labels, size_t count, uint64_t value)
{
    put_name(writer, suffix, labels, count);
    text_add(writer->out, "%" PRIu64 "\n", value);
}

static void
put_real(const metric_writer_t *writer, const label_t *labels, size_t count, double value)
{
    put_name(writer, "", labels, count);
    text_add(writer->out, "%.9g\n", value);
}

#define LABELS(...) (const label_t[]){ __VA_ARGS__ }, sizeof((const label_t[]){ __VA_ARGS__ }) / sizeof(label_t)

// Call FN for each route; the loop that most families are.
#define EACH_ROUTE(writer, route) \
    broker_route_t route; \
    for (size_t route##_i = 0; broker_at((writer)->broker, route##_i, &route); route##_i++)

static const counter_t *
counter_in(const void *base, size_t offset)
{
    return (const counter_t *)(const void *)((const char *)base + offset);
}

// Of every side that the route has.
static void
write_side_field(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    for (side_t side = 0; side < SIDES; side++)
        if (stats_has_side(&route, side))
            put_uint(writer, "", LABELS({ "route", route.conf->name }, { "side", side_name(side) }),
                     field_total(&route, side, writer->metric->field));
}

static void
write_route_field(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    put_uint(writer, "", LABELS({ "route", route.conf->name }), field_total(&route, SIDES, writer->metric->field));
}

// --- families ----------------------------------------------------------------------------

static void
write_build_info(metric_writer_t *writer)
{
    put_uint(writer, "", LABELS({ "version", PACKAGE_VERSION }, { "libzmq", stats_libzmq_version() }, { "czmq", stats_czmq_version() }), 1);
}

static void
write_state(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    for (int state = 0; state < ROUTE_STATES; state++)
        put_uint(writer, "", LABELS({ "route", route.conf->name }, { "state", route_state_name((route_state_t)state) }),
                 route.state == (route_state_t)state);
}

static void
write_up(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    put_uint(writer, "", LABELS({ "route", route.conf->name }, { "type", route.conf->pattern->name }), route.state == ROUTE_RUNNING);
}

static void
write_engine(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    put_uint(writer, "", LABELS({ "route", route.conf->name }, { "engine", engine_name(route.conf->engine) }), 1);
}

// By reason, or by result.
static void
write_counts(metric_writer_t *writer)
{
    const metric_t *metric = writer->metric;
    EACH_ROUTE(writer, route)
    for (size_t i = 0; i < metric->count && (metric->side == SIDES || pattern_may_have(route.conf->pattern, metric->side)); i++)
        put_uint(writer, "", LABELS({ "route", route.conf->name }, { metric->label, metric->values[i] }),
                 counter_get(counter_in(route.counters, metric->offset) + i));
}

static void
write_outstanding(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    if (pattern_may_have(route.conf->pattern, SIDE_WORKER_ACK))
        put_uint(writer, "", LABELS({ "route", route.conf->name }), counter_get(&route.counters->outstanding));
}

static void
write_blocked(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    for (int side = 0; side < SIDES; side++)
        if (side != SIDE_CAPTURE && stats_has_side(&route, (side_t)side))
            put_real(writer, LABELS({ "route", route.conf->name }, { "side", side_name((side_t)side) }),
                     stats_blocked_total(&route, (side_t)side));
}

// Counted when a message comes in, whichever side it comes from: so the sum is what all sides received.
static void
write_sizes(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    {
        uint64_t count = 0, sum = 0;
        for (unsigned i = 0; i < SIZE_BUCKETS; i++) {
            char limit[24] = "+Inf";
            if (i + 1 < SIZE_BUCKETS)
                snprintf(limit, sizeof limit, "%" PRIu64, size_bucket_limit(i));
            count += counter_get(&route.counters->sizes[i]);
            put_uint(writer, "_bucket", LABELS({ "route", route.conf->name }, { "le", limit }), count);
        }
        for (int side = 0; side < SIDES; side++)
            sum += counter_get(&route.counters->sides[side].received_bytes);
        put_uint(writer, "_sum", LABELS({ "route", route.conf->name }), sum);
        put_uint(writer, "_count", LABELS({ "route", route.conf->name }), count);
    }
}

static void
write_store_age(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    {
        uint64_t oldest = counter_get(&route.counters->store.oldest_ns);
        int64_t age = oldest ? clock_wall_ns() - (int64_t)oldest : 0;
        put_real(writer, LABELS({ "route", route.conf->name }), age > 0 ? (double)age / 1e9 : 0);
    }
}

static void
write_store_limit(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
        put_uint(writer, "", LABELS({ "route", route.conf->name }),
                 route.conf->store == KEEP_NOTHING ? 0 : (uint64_t)route.conf->store_max);
}

static void
write_engine_up(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
        put_uint(writer, "", LABELS({ "route", route.conf->name }),
                 !route_conf_is_shared(route.conf) || counter_get(&route.counters->store.server) > 0);
}

static void
write_commits(metric_writer_t *writer)
{
    EACH_ROUTE(writer, route)
    {
        uint64_t count = 0;
        for (unsigned i = 0; i < STORE_BUCKETS; i++) {
            char limit[24] = "+Inf";
            if (i + 1 < STORE_BUCKETS)
                snprintf(limit, sizeof limit, "%g", (double)store_bucket_ns(i) / 1e9);
            count += counter_get(&route.counters->store.commits[i]);
            put_uint(writer, "_bucket", LABELS({ "route", route.conf->name }, { "le", limit }), count);
        }
        put_name(writer, "_sum", LABELS({ "route", route.conf->name }));
        text_add(writer->out, "%.9g\n", (double)counter_get(&route.counters->store.commit_ns) / 1e9);
        put_uint(writer, "_count", LABELS({ "route", route.conf->name }), count);
    }
}

static void
write_side_counts(metric_writer_t *writer)
{
    const metric_t *metric = writer->metric;
    EACH_ROUTE(writer, route)
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < metric->count && stats_has_side(&route, side); i++)
            put_uint(writer, "",
                     LABELS({ "route", route.conf->name }, { "side", side_name(side) }, { metric->label, metric->values[i] }),
                     counter_get(counter_in(&route.counters->sides[side], metric->offset) + i));
}

static void
write_reloads(metric_writer_t *writer)
{
    put_uint(writer, "", LABELS({ "result", "success" }), writer->status.reloads_success);
    put_uint(writer, "", LABELS({ "result", "failure" }), writer->status.reloads_failure);
}

static void
write_reload_ok(metric_writer_t *writer)
{
    put_uint(writer, "", NULL, 0, writer->status.reload_ok);
}

static const void *
of_process(const metric_writer_t *writer)
{
    return (const char *)writer + writer->metric->offset;
}

// Seconds to the millisecond; %g would round them away.
static void
write_time(metric_writer_t *writer)
{
    int64_t wall_ns = *(const int64_t *)of_process(writer);
    put_name(writer, "", NULL, 0);
    text_add(writer->out, "%" PRId64 ".%03d\n", wall_ns / 1000000000, (int)(wall_ns / 1000000 % 1000));
}

static void
write_cpu(metric_writer_t *writer)
{
    put_real(writer, NULL, 0, writer->usage.cpu_seconds);
}

static void
write_number(metric_writer_t *writer)
{
    put_uint(writer, "", NULL, 0, *(const uint64_t *)of_process(writer));
}

#define SIDE_FIELD(id) { NULL, NULL, NULL, write_side_field, .field = id }
#define ROUTE_FIELD(id) { NULL, NULL, NULL, write_route_field, .field = id }
#define FAMILY(name, type, help, write) { name, type, help, write, .field = 0 }
#define SIDE_COUNTS(name, help, member, label, values) \
    { name, "counter", help, write_side_counts, 0, offsetof(side_counters_t, member), label, values, COUNT(values), SIDES }
#define COUNTS(name, help, member, label, values, side) \
    { name, "counter", help, write_counts, 0, offsetof(counters_t, member), label, values, COUNT(values), side }
#define PROCESS(name, help, write, member) { name, "gauge", help, write, .offset = offsetof(metric_writer_t, member) }

// clang-format off
static const metric_t metrics[] = {
    FAMILY("zbroker_build_info", "gauge", "Versions of zbroker and of the libraries it runs with; always 1.", write_build_info),
    FAMILY("zbroker_route_state", "gauge", "1 for the state a route is in, 0 for the others.", write_state),
    FAMILY("zbroker_route_up", "gauge", "1 while a route is running, 0 in any other state.", write_up),
    FAMILY("zbroker_route_engine", "gauge", "The engine that moves the messages of a route; always 1.", write_engine),
    SIDE_FIELD(FIELD_MESSAGES_RECEIVED),
    SIDE_FIELD(FIELD_MESSAGES_SENT),
    SIDE_FIELD(FIELD_RECEIVED_BYTES),
    SIDE_FIELD(FIELD_SENT_BYTES),
    COUNTS("zbroker_messages_dropped_total", "Messages that were not delivered, by reason.", dropped, "reason", drop_reasons, SIDES),
    ROUTE_FIELD(FIELD_REQUEUED),
    ROUTE_FIELD(FIELD_CAPTURE_DROPPED),
    FAMILY("zbroker_blocked_seconds_total", "counter", "Time a side took no messages while some waited for it.", write_blocked),
    SIDE_FIELD(FIELD_QUEUED_MESSAGES),
    SIDE_FIELD(FIELD_QUEUED_BYTES),
    FAMILY("zbroker_message_size_bytes", "histogram", "Payload size of the messages received from all sides.", write_sizes),
    SIDE_FIELD(FIELD_CONNECTIONS),
    SIDE_FIELD(FIELD_ACCEPTED),
    SIDE_FIELD(FIELD_DISCONNECTIONS),
    SIDE_COUNTS("zbroker_handshake_failures_total", "Connections that failed before the first message, by reason.", handshake_failures, "reason", handshake_reasons),
    SIDE_COUNTS("zbroker_cut_total", "Connections that zbroker ended after their handshake, by reason.", cut, "reason", cut_reasons),
    SIDE_FIELD(FIELD_HEARTBEAT_TIMEOUTS),
    SIDE_COUNTS("zbroker_auth_total", "Authentication decisions, by result.", auth, "result", auth_results),
    ROUTE_FIELD(FIELD_SUBSCRIPTIONS),
    ROUTE_FIELD(FIELD_REMEMBERED_MESSAGES),
    ROUTE_FIELD(FIELD_REMEMBERED_BYTES),
    ROUTE_FIELD(FIELD_STORE_MESSAGES),
    ROUTE_FIELD(FIELD_STORE_BYTES),
    FAMILY("zbroker_store_max_bytes", "gauge", "How large the files of a route's store may become.", write_store_limit),
    FAMILY("zbroker_store_oldest_seconds", "gauge", "For how long the oldest message of a store has been there; 0 without one.", write_store_age),
    FAMILY("zbroker_store_commit_seconds", "histogram", "How long a commit of a store took.", write_commits),
    FAMILY("zbroker_store_engine_up", "gauge", "0: the stream of a route with store = nats is away, and messages wait; else 1.", write_engine_up),
    ROUTE_FIELD(FIELD_STORE_CORRUPT),
    COUNTS("zbroker_acks_total", "Requests of acknowledged producers, by answer.", acks, "result", ack_results, SIDE_ACK),
    COUNTS("zbroker_jobs_total", "Messages for acknowledged workers, by what became of them.", jobs, "result", job_results, SIDE_WORKER_ACK),
    FAMILY("zbroker_jobs_outstanding", "gauge", "Messages that acknowledged workers have and are not done with now.", write_outstanding),
    FAMILY("zbroker_config_reloads_total", "counter", "Reloads of the configuration, by result.", write_reloads),
    FAMILY("zbroker_config_last_reload_successful", "gauge", "1 if the last reload worked, 0 if the old configuration stayed.", write_reload_ok),
    PROCESS("zbroker_config_last_reload_success_timestamp_seconds", "When the configuration that runs was loaded, since the epoch.", write_time, status.reload_wall_ns),
    PROCESS("zbroker_memory_bytes", "Memory that messages take in routes of engine wire.", write_number, status.message_bytes),
    PROCESS("zbroker_memory_max_bytes", "Memory that messages may take in routes of engine wire.", write_number, status.max_memory),
    FAMILY("process_cpu_seconds_total", "counter", "User and system time of the process.", write_cpu),
    PROCESS("process_resident_memory_bytes", "Memory of the process in use.", write_number, usage.rss_bytes),
    PROCESS("process_open_fds", "Open file descriptors.", write_number, usage.open_fds),
    PROCESS("process_max_fds", "File descriptors the process may open.", write_number, usage.max_fds),
    PROCESS("process_start_time_seconds", "When the process started, since the epoch.", write_time, status.started_wall_ns),
};
// clang-format on

static metric_info_t
info_of(const metric_t *metric)
{
    const field_t *field = field_at(metric->field);
    if (metric->name)
        return (metric_info_t){ metric->name, metric->type, metric->help };
    return (metric_info_t){ field->metric, field->is_gauge ? "gauge" : "counter", field->help };
}

bool
metric_at(unsigned i, metric_info_t *info)
{
    if (i >= COUNT(metrics))
        return false;
    *info = info_of(&metrics[i]);
    return true;
}

void
metrics_write(broker_t *broker, text_t *out)
{
    metric_writer_t writer = { .out = out, .broker = broker };
    broker_status(broker, &writer.status);
    usage_read(&writer.usage);
    for (writer.metric = metrics; writer.metric < metrics + COUNT(metrics); writer.metric++) {
        writer.info = info_of(writer.metric);
        text_add(out, "# HELP %s %s\n# TYPE %s %s\n", writer.info.name, writer.info.help, writer.info.name, writer.info.type);
        writer.metric->write(&writer);
    }
}
