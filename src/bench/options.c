// SPDX-License-Identifier: MPL-2.0

#include "bench/options.h"

#include "bench/payload.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zmq.h>

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

// clang-format off
static const load_pattern_t patterns[] = {
    // name      producer    consumer    frontend    backend     route type   replies
    { "pubsub",   ZMQ_PUB,    ZMQ_SUB,    ZMQ_XSUB,   ZMQ_XPUB,   "forwarder", false },
    { "pushpull", ZMQ_PUSH,   ZMQ_PULL,   ZMQ_PULL,   ZMQ_PUSH,   "streamer",  false },
    { "reqrep",   ZMQ_REQ,    ZMQ_REP,    ZMQ_ROUTER, ZMQ_DEALER, "queue",     true },
    { "dealer",   ZMQ_DEALER, ZMQ_DEALER, ZMQ_ROUTER, ZMQ_DEALER, "queue",     true },
    { "pair",     ZMQ_PAIR,   ZMQ_PAIR,   ZMQ_PAIR,   ZMQ_PAIR,   "pair",      false },
};
// clang-format on

enum { ACK_WINDOW = 1000 };
enum { PATTERNS = sizeof patterns / sizeof *patterns };

typedef enum { COUNT, BYTES, TIME, TEXT, FLAG, LIST } option_kind_t;

typedef struct {
    const char *name;
    char letter;
    option_kind_t kind;
    size_t at;
    int64_t min, max; // of COUNT, BYTES and TIME
    const char *value, *help;
} option_row_t;

#define AT(field) offsetof(bench_options_t, field)
#define DAY_MS 86400000
#define DEFAULT_CONF ZB_SYSCONFDIR "/zbroker.ini"

// clang-format off
static const option_row_t rows[] = {
    { "to", 0, LIST, AT(to), 0, 0, "ENDPOINT", "where producers and clients connect ('@' before it: bind)" },
    { "from", 0, LIST, AT(from), 0, 0, "ENDPOINT", "where consumers and services connect" },
    { "through", 0, TEXT, AT(through), 0, 0, "ROUTE", "take both from this route of -c FILE" },
    { "config", 'c', TEXT, AT(conf), 0, 0, "FILE", "configuration of --through (" DEFAULT_CONF ")" },
    { "direct", 0, FLAG, AT(direct), 0, 0, NULL, "no broker between them" },
    { "against", 0, LIST, AT(against), 0, 0, "WHAT", "zmq_proxy, zproxy or \"COMMAND {to} {from}\": start it, compare" },
    { "zbroker", 0, TEXT, AT(zbroker), 0, 0, "PATH", "start this zbroker and measure it" },
    { "set", 0, LIST, AT(set), 0, 0, "KEY=VALUE", "a key for the route of that zbroker" },
    { "transport", 0, TEXT, AT(transport), 0, 0, "tcp|ipc", "of the brokers started here and of --direct (tcp)" },
    { "rounds", 'r', COUNT, AT(rounds), 1, 1000, "N", "measure each N times, in turn (1; 7 with --against)" },
    { "producers", 'p', COUNT, AT(producers), 1, OPTIONS_CLIENTS, "N", "clients that send (1)" },
    { "consumers", 'n', COUNT, AT(consumers), 0, OPTIONS_CLIENTS, "N", "clients that receive, or services (1)" },
    { "size", 's', BYTES, AT(size), PAYLOAD_STAMP, INT64_C(1) << 30, "BYTES", "of each frame, at least 16 (64)" },
    { "parts", 0, COUNT, AT(parts), 1, 1000, "N", "frames per message (1)" },
    { "empty", 0, FLAG, AT(empty), 0, 0, NULL, "every second frame has no bytes" },
    { "topics", 0, COUNT, AT(topics), 1, PAYLOAD_TAGS, "N", "topics, each subscribed to by itself (1)" },
    { "topic", 0, TEXT, AT(topic), 0, 0, "TEXT", "what every message begins with" },
    { "split-topics", 0, FLAG, AT(split_topics), 0, 0, NULL, "every subscriber takes its share of the topics" },
    { "rate", 0, COUNT, AT(rate), 0, 1000000000, "N", "messages per second of all producers (0: saturate)" },
    { "messages", 'm', COUNT, AT(messages), 1, INT64_C(1) << 32, "N", "send exactly N, of all producers together, and check all" },
    { "duration", 'd', TIME, AT(duration_ms), 10, DAY_MS, "TIME", "how long to measure (5s)" },
    { "warmup", 0, TIME, AT(warmup_ms), 0, DAY_MS, "TIME", "and before that (500ms; 0 with --messages)" },
    { "wait", 0, TIME, AT(wait_ms), 1, DAY_MS, "TIME", "for connections and subscriptions (10s)" },
    { "settle", 0, TIME, AT(settle_ms), 1, DAY_MS, "TIME", "silence after which missing messages are lost (1s; 5s with --messages)" },
    { "verify", 0, FLAG, AT(verify), 0, 0, NULL, "check every byte also with --duration" },
    { "work", 0, COUNT, AT(work_us), 0, 1000000, "US", "of CPU that a consumer or service needs per message (0)" },
    { "outstanding", 'o', COUNT, AT(outstanding), 0, 60000, "N", "requests under way per client (dealer: 64)" },
    { "timeout", 0, TIME, AT(timeout_ms), 1, DAY_MS, "TIME", "for a reply (5s)" },
    { "retries", 0, COUNT, AT(retries), 0, 1000, "N", "repeat a request up to N times (0)" },
    { "ack", 0, FLAG, AT(ack), 0, 0, NULL, "pushpull: producers wait for \"ok\", workers say \"done\"" },
    { "no-ids", 0, FLAG, AT(no_ids), 0, 0, NULL, "of the messages of --ack: their answers come in their order" },
    { "service", 0, TEXT, AT(service), 0, 0, "rep|router|dealer", "socket of the services" },
    { "sndhwm", 0, COUNT, AT(sndhwm), 0, INT32_MAX, "N", "of the clients" },
    { "rcvhwm", 0, COUNT, AT(rcvhwm), 0, INT32_MAX, "N", "of the clients" },
    { "nodrop", 0, FLAG, AT(nodrop), 0, 0, NULL, "publishers wait instead of dropping, brokers started here too" },
    { "curve", 0, FLAG, AT(curve), 0, 0, NULL, "encrypt, brokers started here too" },
    { "broker-hwm", 0, COUNT, AT(broker_hwm), 0, INT32_MAX, "N", "of the brokers started here" },
    { "io-threads", 0, COUNT, AT(io_threads), 1, 64, "N", "of the brokers started here (1)" },
    { "pid", 0, COUNT, AT(pid), 1, INT32_MAX, "PID", "the broker's, for CPU and memory" },
    { "serve", 0, TEXT, AT(serve), 0, 0, "WHAT", "be services: rep, router, dealer; or a broker: proxy, zproxy" },
    { "workers", 'w', COUNT, AT(workers), 1, OPTIONS_CLIENTS, "N", "of --serve (1)" },
    { "json", 'j', TEXT, AT(json), 0, 0, "FILE", "append a JSON document per measurement" },
    { "plot", 0, TEXT, AT(plot), 0, 0, "FILE.svg", "draw the latencies (needs gnuplot)" },
    { "name", 0, TEXT, AT(name), 0, 0, "TEXT", "of this run, in the output" },
    { "each", 0, FLAG, AT(each), 0, 0, NULL, "print every client and every thread of the broker" },
    { "quiet", 'q', FLAG, AT(quiet), 0, 0, NULL, "no progress" },
};
// clang-format on

enum { ROWS = sizeof rows / sizeof *rows };

const load_pattern_t *
options_pattern(const char *name)
{
    for (size_t i = 0; i < PATTERNS; i++)
        if (strcmp(patterns[i].name, name) == 0)
            return &patterns[i];
    return NULL;
}

int64_t
options_count(const char *text, int64_t thousand)
{
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (end == text || errno || value < 0)
        return -1;
    static const char *const units = "kMG";
    const char *unit = *end ? strchr(units, *end) : NULL;
    for (; unit && unit >= units; unit--)
        if (__builtin_mul_overflow(value, thousand, &value))
            return -1;
    return end[*end != 0] || (*end && !strchr(units, *end)) ? -1 : value;
}

int64_t
options_time_ms(const char *text)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = { { "", 1000 }, { "ms", 1 }, { "s", 1000 }, { "m", 60000 }, { "h", 3600000 } };
    char *end;
    double value = strtod(text, &end);
    if (end == text || !(value >= 0) || value > 1e9)
        return -1;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (strcmp(end, units[i].unit) == 0)
            return (int64_t)(value * units[i].ms + 0.5);
    return -1;
}

static void
print_help(void)
{
    printf("usage: zbroker-bench PATTERN [options]\n"
           "       zbroker-bench --serve WHAT [options]\n"
           "       zbroker-bench replay FILE [options]     (replay --help)\n"
           "PATTERN: ");
    for (size_t i = 0; i < PATTERNS; i++)
        printf("%s%s", patterns[i].name, i + 1 < PATTERNS ? ", " : "\n");
    for (size_t i = 0; i < ROWS; i++) {
        char left[40];
        if (rows[i].letter)
            snprintf(left, sizeof left, "-%c, --%s %s", rows[i].letter, rows[i].name, rows[i].value ? rows[i].value : "");
        else
            snprintf(left, sizeof left, "    --%s %s", rows[i].name, rows[i].value ? rows[i].value : "");
        printf("  %-32s %s\n", left, rows[i].help);
    }
    printf("  %-32s %s\n  %-32s %s\n", "-V, --version", "print the versions", "-h, --help", "print this");
}

static void
print_version(void)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    printf("zbroker-bench %s, libzmq %d.%d.%d\n", PACKAGE_VERSION, major, minor, patch);
}

static int
complain(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("zbroker-bench: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    return -1;
}

static int
take(bench_options_t *self, const option_row_t *row, const char *value)
{
    void *field = (char *)self + row->at;
    switch (row->kind) {
    case FLAG:
        *(bool *)field = true;
        return 0;
    case TEXT:
        *(const char **)field = value;
        return 0;
    case LIST: {
        option_list_t *list = field;
        if (list->count == OPTIONS_LIST)
            return complain("too many --%s", row->name);
        list->item[list->count++] = value;
        return 0;
    }
    case COUNT:
    case BYTES:
    case TIME:
        break;
    }
    int64_t number = row->kind == TIME ? options_time_ms(value) : options_count(value, row->kind == BYTES ? 1024 : 1000);
    if (number < row->min || number > row->max) {
        const char *unit = row->kind == TIME ? " ms" : "";
        return complain("--%s %s: not between %lld and %lld%s", row->name, value, (long long)row->min, (long long)row->max, unit);
    }
    *(int64_t *)field = number;
    return 0;
}

static void
set_defaults(bench_options_t *self)
{
    memset(self, 0, sizeof *self);
    self->producers = self->consumers = self->parts = self->topics = self->workers = self->io_threads = 1;
    self->size = 64;
    self->topic = "";
    self->transport = "tcp";
    self->conf = DEFAULT_CONF;
    self->name = "";
    self->duration_ms = self->timeout_ms = 5000;
    self->wait_ms = 10000;
    self->settle_ms = self->warmup_ms = self->sndhwm = self->rcvhwm = self->broker_hwm = self->outstanding = -1; // see settle_defaults
}

static int
settle_defaults(bench_options_t *self)
{
    if (self->warmup_ms == -1)
        self->warmup_ms = self->messages ? 0 : 500;
    if (self->settle_ms == -1)
        self->settle_ms = self->messages ? 5000 : 1000;
    if (self->rounds == 0)
        self->rounds = self->against.count ? 7 : 1;
    if (self->messages)
        self->verify = true;
    if (self->outstanding == -1 && self->ack)
        self->outstanding = ACK_WINDOW;
    if (self->outstanding == -1)
        self->outstanding = self->pattern && self->pattern->producer == ZMQ_DEALER ? 64 : 0;
    // A pair with a window of requests is a client and a service.
    static load_pattern_t echo;
    if (self->pattern && self->pattern->producer == ZMQ_PAIR && self->outstanding) {
        echo = *self->pattern;
        echo.replies = true;
        self->pattern = &echo;
    }
    if (self->pattern && self->pattern->producer == ZMQ_REQ)
        self->outstanding = 1;
    // Without workers what is measured is the way to the disk and back.
    static load_pattern_t acked;
    if (self->pattern && self->pattern->producer == ZMQ_PUSH && self->ack) {
        acked = *self->pattern;
        acked.producer = acked.consumer = ZMQ_DEALER;
        acked.replies = self->consumers == 0;
        self->pattern = &acked;
    }
    if (self->curve && keys_make(&self->keys) == -1)
        return complain("--curve: this libzmq has no CURVE");
    return 0;
}

static bool
is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static int
check_serve(const bench_options_t *self)
{
    static const char *const services[] = { "rep", "router", "dealer", NULL };
    static const char *const brokers[] = { "proxy", "zproxy", NULL };
    if (is_one_of(self->serve, services))
        return self->from.count ? 0 : complain("--serve %s needs --from ENDPOINT", self->serve);
    if (!is_one_of(self->serve, brokers))
        return complain("--serve %s: not rep, router, dealer, proxy or zproxy", self->serve);
    if (!self->pattern)
        return complain("--serve %s needs a PATTERN", self->serve);
    return self->to.count && self->from.count ? 0 : complain("--serve %s needs --to and --from, which it binds", self->serve);
}

static int
check_places(const bench_options_t *self)
{
    bool given = self->to.count > 0 || self->from.count > 0;
    int places = given + (self->through != NULL) + self->direct + (self->zbroker != NULL);
    if (places > 1)
        return complain("--to and --from, --through, --direct and --zbroker exclude each other");
    if (places == 0 && self->against.count == 0)
        return complain("where to? give --to and --from, --through ROUTE, --direct, --zbroker PATH or --against zmq_proxy");
    if (given && !self->to.count)
        return complain("producers need --to ENDPOINT");
    if (given && self->consumers && !self->from.count)
        return complain("consumers need --from ENDPOINT");
    if (self->curve && (given || self->through))
        return complain("--curve is for brokers that are started here, and --direct");
    if (self->set.count && !self->zbroker)
        return complain("--set needs --zbroker PATH");
    for (size_t i = 0; i < self->set.count; i++)
        if (!strchr(self->set.item[i], '='))
            return complain("--set %s: not KEY=VALUE", self->set.item[i]);
    return 0;
}

static int
check(const bench_options_t *self)
{
    static const char *const transports[] = { "tcp", "ipc", NULL };
    static const char *const services[] = { "rep", "router", "dealer", NULL };
    if (self->serve)
        return check_serve(self);
    if (!self->pattern)
        return complain("which pattern? pubsub, pushpull, reqrep, dealer or pair");
    if (!is_one_of(self->transport, transports))
        return complain("--transport %s: not tcp or ipc", self->transport);
    if (self->service && (!self->pattern->replies || self->pattern->producer == ZMQ_PAIR || !is_one_of(self->service, services)))
        return complain("--service %s: not rep, router or dealer of a request pattern", self->service);
    if (self->ack && (strcmp(self->pattern->name, "pushpull") != 0 || self->direct || self->against.count))
        return complain("--ack is for pushpull through a zbroker");
    if (self->no_ids && (!self->ack || self->retries))
        return complain("--no-ids is for --ack without --retries");
    if (self->ack && self->outstanding == 0)
        return complain("--outstanding must be at least 1");
    if (self->service && self->pattern->producer == ZMQ_REQ && self->direct && strcmp(self->service, "dealer") == 0)
        return complain("a REQ client needs a broker before --service dealer");
    if (self->pattern->producer == ZMQ_PAIR && (self->producers > 1 || self->consumers > 1))
        return complain("pair is between one producer and one consumer");
    if (self->size < (int64_t)(PAYLOAD_STAMP + strlen(self->topic)))
        return complain("--size %lld: the topic and %d bytes do not fit", (long long)self->size, PAYLOAD_STAMP);
    if (self->topics > 1 && self->pattern->producer != ZMQ_PUB)
        return complain("--topics is for pubsub");
    if (self->split_topics && self->topics < self->consumers)
        return complain("--split-topics needs at least a topic for each consumer");
    if (self->outstanding == 0 && self->pattern->replies)
        return complain("--outstanding must be at least 1");
    if (self->messages && self->messages < self->producers)
        return complain("--messages %lld: fewer than producers", (long long)self->messages);
    return check_places(self);
}

int
options_parse(bench_options_t *self, int argc, char **argv, bool *done)
{
    struct option longs[ROWS + 3];
    char shorts[2 * ROWS + 8] = "hV";
    memset(longs, 0, sizeof longs);
    for (size_t i = 0; i < ROWS; i++) {
        longs[i] = (struct option){ rows[i].name, rows[i].kind != FLAG, NULL, (int)(1000 + i) };
        if (rows[i].letter)
            snprintf(shorts + strlen(shorts), 3, "%c%s", rows[i].letter, rows[i].kind != FLAG ? ":" : "");
    }
    longs[ROWS] = (struct option){ "help", 0, NULL, 'h' };
    longs[ROWS + 1] = (struct option){ "version", 0, NULL, 'V' };

    *done = false;
    set_defaults(self);
    optind = 1;
    for (int c; (c = getopt_long(argc, argv, shorts, longs, NULL)) != -1;) {
        if (c == '?')
            return -1;
        if (c == 'h' || c == 'V') {
            c == 'h' ? print_help() : print_version();
            *done = true;
            return 0;
        }
        const option_row_t *row = c >= 1000 ? &rows[c - 1000] : NULL;
        for (size_t i = 0; !row; i++)
            if (rows[i].letter == c)
                row = &rows[i];
        if (take(self, row, optarg) == -1)
            return -1;
    }
    if (optind < argc && !(self->pattern = options_pattern(argv[optind++])))
        return complain("%s: no such pattern (pubsub, pushpull, reqrep, dealer, pair)", argv[optind - 1]);
    if (optind < argc)
        return complain("%s: one pattern is enough", argv[optind]);
    return settle_defaults(self) == -1 ? -1 : check(self);
}
