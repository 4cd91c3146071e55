// SPDX-License-Identifier: MPL-2.0
// tapping.c - see tapping.h.
//
// While a route is re-created its old and its new self run side by side, so
// there may be two taps for a moment, each with numbers of its own. What counts
// is how far each has come: the steps of all taps together make our SEQ.

#include "admin/tapping.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
    TAPS_MAX = 4,              // selves of one route that may end at a time
    BATCH = 512,               // messages, before somebody else has a turn
    FRAME_MAX = 1024 * 1024,   // bytes of a frame that are shown
    RETRY_MS = 200,            // of a tap that the route would not take
};

typedef struct {
    tap_t *tap;
    const route_t *route; // to compare with only: it may be gone
    uint64_t seq;         // how far the route has come, as far as we know
    uint64_t taken;
} source_t;

struct tapping {
    tapping_conf_t conf;
    broker_t *broker;
    int epoll;
    source_t sources[TAPS_MAX]; // the last one is the newest
    size_t source_count;
    int64_t retry_ms;
    uint64_t seq, shown;
};

int
tap_format_find(const char *name)
{
    static const char *const names[] = { [TAP_LINE] = "line", [TAP_HEX] = "hex", [TAP_JSON] = "json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

void
tapping_conf_free(tapping_conf_t *conf)
{
    text_free(&conf->prefix);
}

// --- one message as text -------------------------------------------------------

static void
put_line(text_t *out, const char *bytes, size_t size)
{
    text_char(out, '"');
    while (size) {
        size_t plain = 0; // up to what text_shown would leave alone but a reader could not tell apart
        while (plain < size && bytes[plain] != '"' && bytes[plain] != '\\')
            plain++;
        text_shown(out, bytes, plain);
        if (plain < size)
            text_add(out, "\\%c", bytes[plain++]);
        bytes += plain;
        size -= plain;
    }
    text_char(out, '"');
}

static void
put_hex(text_t *out, const char *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    if (!size)
        text_char(out, '-');
    while (size) {
        char some[256];
        size_t count = size < sizeof some / 2 ? size : sizeof some / 2;
        for (size_t i = 0; i < count; i++) {
            some[2 * i] = digits[(unsigned char)bytes[i] >> 4];
            some[2 * i + 1] = digits[bytes[i] & 15];
        }
        text_bytes(out, some, 2 * count);
        bytes += count;
        size -= count;
    }
}

static bool
is_text(const char *bytes, size_t size)
{
    while (size) {
        size_t length = text_utf8(bytes, size);
        if (!length)
            return false;
        bytes += length;
        size -= length;
    }
    return true;
}

// A frame that is not text would not survive as a JSON string: {"hex": "..."}.
static void
put_json(json_t *json, const char *bytes, size_t size)
{
    if (is_text(bytes, size)) {
        json_bytes(json, NULL, bytes, size);
        return;
    }
    text_t hex = { 0 };
    put_hex(&hex, bytes, size);
    json_object(json, NULL);
    json_string(json, "hex", hex.data);
    json_object_end(json);
    text_free(&hex);
}

static void
print_json(const tap_message_t *message, uint64_t seq, text_t *out)
{
    char time[32];
    json_t json = json_on(out);
    clock_rfc3339(message->wall_ns, time);
    json_object(&json, NULL);
    json_uint(&json, "seq", seq);
    json_string(&json, "time", time);
    json_string(&json, "side", side_name(message->side));
    json_array(&json, "frames");
    for (size_t i = 0; i < message->frames; i++) {
        size_t size = zmq_msg_size(&message->frame[i]);
        put_json(&json, zmq_msg_data(&message->frame[i]), size < FRAME_MAX ? size : FRAME_MAX);
    }
    json_array_end(&json);
    json_object_end(&json);
}

void
tapping_print(const tap_message_t *message, uint64_t seq, tap_format_t format, text_t *out)
{
    if (format == TAP_JSON) {
        print_json(message, seq, out);
    } else {
        text_add(out, "%" PRIu64 " %s", seq, side_name(message->side));
        for (size_t i = 0; i < message->frames; i++) {
            const char *bytes = zmq_msg_data(&message->frame[i]);
            size_t size = zmq_msg_size(&message->frame[i]);
            text_char(out, ' ');
            (format == TAP_HEX ? put_hex : put_line)(out, bytes, size < FRAME_MAX ? size : FRAME_MAX);
            if (size > FRAME_MAX)
                text_add(out, "...");
        }
    }
    text_char(out, '\n');
}

// --- the taps ----------------------------------------------------------------------

// The route stops copying as soon as it knows; it may be another one by now.
static void
drop_source(tapping_t *self, size_t i)
{
    broker_route_t route;
    bool runs = broker_find(self->broker, self->conf.route, &route) && route.route == self->sources[i].route;
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, tap_fd(self->sources[i].tap), NULL);
    tap_release(&self->sources[i].tap);
    if (runs && route.route)
        route_look(route.route);
    for (; i + 1 < self->source_count; i++)
        self->sources[i] = self->sources[i + 1];
    self->source_count--;
}

static void
advance(tapping_t *self, source_t *source, uint64_t seq)
{
    self->seq += seq - source->seq;
    source->seq = seq;
}

// What the route could not hand over after the last message we took: call when nothing waits any more.
static void
settle(tapping_t *self, source_t *source)
{
    advance(self, source, source->taken + tap_missed(source->tap));
}

static bool
attach(tapping_t *self, const broker_route_t *route)
{
    tap_t *tap = tap_new(self->conf.prefix.data ? self->conf.prefix.data : "", self->conf.prefix.size);
    struct epoll_event event = { .events = EPOLLIN };
    if (!tap)
        return false;
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, tap_fd(tap), &event) == -1) {
        tap_t *other = tap; // nobody else has it: both references are ours
        tap_release(&tap);
        tap_release(&other);
        return false;
    }
    self->sources[self->source_count++] = (source_t){ .tap = tap, .route = route->route };
    route_tap(route->route, tap);
    if (tap_orphaned(tap)) {
        drop_source(self, self->source_count - 1);
        errno = ENOSPC;
        return false;
    }
    return true;
}

tapping_t *
tapping_new(broker_t *broker, tapping_conf_t *conf, text_t *error)
{
    broker_route_t route;
    if (!broker_find(broker, conf->route, &route)) {
        text_add(error, "no route %s", conf->route);
    } else if (route.conf->engine != ENGINE_ZBROKER) {
        text_add(error, "route %s: engine = zmq_proxy cannot be tapped", conf->route);
    } else if (!route.route) {
        text_add(error, "route %s is %s", conf->route, route_state_name(route.state));
    } else {
        tapping_t *self = xcalloc(1, sizeof *self);
        self->broker = broker;
        self->conf = *conf;
        self->epoll = epoll_create1(EPOLL_CLOEXEC);
        memset(&conf->prefix, 0, sizeof conf->prefix);
        if (self->epoll != -1 && attach(self, &route))
            return self;
        text_add(error, "route %s: %s", self->conf.route, errno == ENOSPC ? "no room for another tap" : strerror(errno));
        tapping_destroy(&self);
    }
    return NULL;
}

int
tapping_fd(const tapping_t *self)
{
    return self->epoll;
}

bool
tapping_is_endless(const tapping_t *self)
{
    return !self->conf.count;
}

bool
tapping_follow(tapping_t *self)
{
    broker_route_t route;
    if (!broker_find(self->broker, self->conf.route, &route))
        return false;
    const source_t *newest = self->source_count ? &self->sources[self->source_count - 1] : NULL;
    bool current = newest && newest->route == route.route && !tap_orphaned(newest->tap);
    if (current || !route.route || self->source_count == TAPS_MAX || clock_mono_ms() < self->retry_ms)
        return true;
    self->retry_ms = clock_mono_ms() + RETRY_MS;
    attach(self, &route);
    return true;
}

// The next message of SOURCE, numbered; NULL: none there now.
static tap_message_t *
take(tapping_t *self, source_t *source)
{
    tap_message_t *message = tap_take(source->tap);
    if (message) {
        advance(self, source, message->seq);
        source->taken++;
    }
    return message;
}

static bool
is_full(const tapping_t *self)
{
    return self->conf.count && self->shown == self->conf.count;
}

bool
tapping_write(tapping_t *self, text_t *out, size_t limit)
{
    int budget = BATCH;
    for (size_t i = 0; i < self->source_count && !is_full(self);) {
        source_t *source = &self->sources[i];
        bool over = tap_orphaned(source->tap); // asked first: what it left is taken below
        tap_message_t *message = NULL;
        while (!is_full(self) && out->size < limit && budget-- > 0 && (message = take(self, source))) {
            tapping_print(message, self->seq, self->conf.format, out);
            tap_message_free(&message);
            self->shown++;
        }
        if (is_full(self) || out->size >= limit || budget < 0)
            break;
        if (over) {
            settle(self, source);
            drop_source(self, i);
        } else {
            i++;
        }
    }
    return !is_full(self);
}

void
tapping_finish(tapping_t *self, text_t *out)
{
    // With a count the answer ends at the last message shown; what came after is nobody's loss.
    for (size_t i = 0; i < self->source_count && !is_full(self); i++) {
        tap_message_t *message;
        int budget = 16 * BATCH; // more than a tap holds; the route may be filling it again
        while (!is_full(self) && budget-- > 0 && (message = take(self, &self->sources[i]))) {
            tapping_print(message, self->seq, self->conf.format, out);
            tap_message_free(&message);
            self->shown++;
        }
        if (!is_full(self) && budget > 0)
            settle(self, &self->sources[i]);
    }
    text_add(out, self->conf.json ? "{\"missed\":%" PRIu64 "}\n" : "missed %" PRIu64 "\n", self->seq - self->shown);
}

void
tapping_destroy(tapping_t **self_p)
{
    tapping_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    while (self->source_count)
        drop_source(self, self->source_count - 1);
    if (self->epoll != -1)
        close(self->epoll);
    tapping_conf_free(&self->conf);
    free(self);
}
