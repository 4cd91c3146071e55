// SPDX-License-Identifier: MPL-2.0
// tapper.c - see tapper.h.
//
// While a route is re-created its old and its new self run side by side, so a
// tapping may have several sources for a moment, each with numbers of its own.
// What counts is how far each has come: the steps of all together make our SEQ.
//
// The two threads share no lock: the one of low priority would make the other
// one wait. What is new comes through an inbox that is exchanged whole, what is
// asked of a tapping is a flag in it, and who is told wakes by a bell. The
// main thread frees what the other one has let go of.

#include "admin/tapper.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    NICE = 10,                  // the routes come first
    BATCH = 512,                // messages of one ring, before somebody else has a turn
    NAP_MS = 2,                 // while messages come, the routes need not wake us
    ENDING_TURNS = 32,          // more than a ring holds; the route may be filling it again
    RETRY_MS = 200,             // of a tap that the route would not take
};

// Bytes that wait for a client, before it misses messages. JSON is for programs, which record.
static const size_t output_max[] = {
    [TAP_LINE] = 1024 * 1024,
    [TAP_HEX] = 1024 * 1024,
    [TAP_JSON] = 16 * 1024 * 1024,
};

// One tap of a tapping, and its ring.
typedef struct source {
    struct source *next;
    tapping_t *tapping;
    tap_t *tap;
    uint64_t seq; // how far the route has come, as far as we know
} source_t;

typedef struct ring {
    struct ring *next;
    tap_ring_t *ring;
    source_t *sources;
    bool drained; // in this turn
} ring_t;

struct tapping {
    tapper_t *tapper;
    tapping_conf_t conf;
    int fd;
    _Atomic bool ending;         // asked to
    _Atomic bool abandoned;      // nobody wants the rest
    _Atomic bool over;           // the thread knows it no more
    _Atomic int64_t stuck_since_ms; // 0: nothing waits

    // The main thread's:
    broker_t *broker;
    const route_t *route; // of the newest tap; to compare with only: it may be gone
    tap_t *newest;
    int64_t retry_ms;
    tapping_t *next_left;

    // The other thread's, until it is over:
    tapping_t *next;
    bool full;            // the socket takes nothing more
    bool broken;          // and never will
    bool done;
    unsigned turns;       // left, once it is ending
    uint64_t seq, shown;
    text_t output;
    size_t sent;
};

struct tapper {
    broker_t *broker;
    int news; // a bell for the main thread
    int wake; // and one for ours
    bool started;
    pthread_t thread;
    _Atomic(source_t *) inbox;
    _Atomic bool quit;
    _Atomic uint64_t pulse;
    uint64_t pulse_seen;
    int64_t asked_ms; // 0: not yet
    tapping_t *left;  // destroyed, not over

    // The thread's:
    tapping_t *tappings;
    ring_t *rings;
    struct pollfd *polled;
    size_t polled_count, polled_room;
};

static void
free_tapping(tapping_t *self)
{
    text_free(&self->output);
    tapping_conf_free(&self->conf);
    free(self);
}

// --- the thread: output --------------------------------------------------------------

static size_t
waiting(const tapping_t *self)
{
    return self->output.size - self->sent;
}

// Not before it is worth it: what waits is moved.
static void
forget_sent(tapping_t *self)
{
    memmove(self->output.data, self->output.data + self->sent, waiting(self));
    self->output.size -= self->sent;
    self->sent = 0;
}

// Send what the socket takes; when it takes no more, poll(2) tells.
static void
flush(tapping_t *tapping)
{
    while (!tapping->full && waiting(tapping)) {
        ssize_t done = send(tapping->fd, tapping->output.data + tapping->sent, waiting(tapping), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done > 0) {
            tapping->sent += (size_t)done;
            atomic_store(&tapping->stuck_since_ms, clock_mono_ms());
            continue;
        }
        if (done == -1 && errno == EINTR)
            continue;
        // If nobody is there any more, the main thread finds out, and asks us to end.
        tapping->full = true;
        tapping->broken = errno != EAGAIN;
        if (!atomic_load(&tapping->stuck_since_ms))
            atomic_store(&tapping->stuck_since_ms, clock_mono_ms());
    }
    if (!waiting(tapping))
        atomic_store(&tapping->stuck_since_ms, 0);
    if (tapping->sent > waiting(tapping))
        forget_sent(tapping);
}

static void
finish(tapping_t *self)
{
    if (self->done)
        return;
    self->done = true;
    tapping_print_missed(self->seq - self->shown, self->conf.json, &self->output);
    text_char(&self->output, '\n');
}

static void
advance(source_t *source, uint64_t seq)
{
    source->tapping->seq += seq - source->seq;
    source->seq = seq;
}

static void
show(source_t *source, const tap_message_t *message)
{
    tapping_t *tapping = source->tapping;
    uint64_t seq = tap_see(source->tap);
    if (!seq || tapping->done)
        return;
    advance(source, seq);
    if (waiting(tapping) >= output_max[tapping->conf.format])
        flush(tapping);
    if (waiting(tapping) >= output_max[tapping->conf.format] || !tapping_can_print(message, tapping->conf.format))
        return;
    tapping_print(message, tapping->seq, tapping->conf.format, &tapping->output);
    tapping->shown++;
    // With a count the answer ends at the last message shown; what came after is nobody's loss.
    if (tapping->shown == tapping->conf.count)
        finish(tapping);
}

// --- the thread: rings ---------------------------------------------------------------

static void
drop_source(source_t **at)
{
    source_t *source = *at;
    *at = source->next;
    tap_leave(source->tap);
    tap_release(&source->tap);
    free(source);
}

// Sources are told of what passed in order, and so are those who follow each other.
static void
add_source(tapper_t *self, source_t *source)
{
    ring_t **at = &self->rings;
    while (*at && (*at)->ring != tap_ring_of(source->tap))
        at = &(*at)->next;
    if (!*at) {
        *at = xcalloc(1, sizeof **at);
        (*at)->ring = tap_ring_of(source->tap);
    }
    source->next = (*at)->sources;
    (*at)->sources = source;
}

// A ring may go with its last tap.
static void
drop_sources(tapper_t *self, const tapping_t *tapping)
{
    for (ring_t **at = &self->rings; *at;) {
        ring_t *ring = *at;
        for (source_t **source = &ring->sources; *source;)
            if ((*source)->tapping == tapping)
                drop_source(source);
            else
                source = &(*source)->next;
        if (!ring->sources) {
            *at = ring->next;
            free(ring);
        } else {
            at = &ring->next;
        }
    }
}

// What was lost after the last message that could be taken: call when nothing waits any more.
static void
settle(ring_t *ring, const tapping_t *tapping)
{
    for (source_t *source = ring->sources; source; source = source->next)
        if ((!tapping || source->tapping == tapping) && !source->tapping->done)
            advance(source, tap_seq(source->tap));
}

// True: there was something.
static bool
serve_ring(ring_t *ring)
{
    size_t count = 0;
    const tap_message_t *message;
    while (count < BATCH && (message = tap_ring_take(ring->ring))) {
        for (source_t *source = ring->sources; source; source = source->next)
            show(source, message);
        count++;
    }
    ring->drained = count < BATCH;
    return count > 0;
}

static bool
serve_rings(tapper_t *self)
{
    bool came = false, closed = false;
    for (ring_t **at = &self->rings; *at;) {
        ring_t *ring = *at;
        bool last = tap_ring_is_closed(ring->ring); // asked first: what it left is taken below
        came |= serve_ring(ring);
        if (!last || !ring->drained) {
            at = &ring->next;
            continue;
        }
        settle(ring, NULL);
        while (ring->sources)
            drop_source(&ring->sources);
        *at = ring->next;
        free(ring);
        closed = true;
    }
    if (closed)
        bell_ring(self->news); // perhaps there is another route of that name
    return came;
}

// --- the thread: tappings ------------------------------------------------------------

static void
take_inbox(tapper_t *self)
{
    source_t *source = atomic_exchange(&self->inbox, NULL), *ordered = NULL;
    while (source) {
        source_t *next = source->next;
        source->next = ordered;
        ordered = source;
        source = next;
    }
    while (ordered) {
        source = ordered;
        ordered = source->next;
        tapping_t *tapping = source->tapping;
        bool known = false;
        for (tapping_t *each = self->tappings; each; each = each->next)
            known |= each == tapping;
        if (!known) {
            tapping->next = self->tappings;
            self->tappings = tapping;
        }
        add_source(self, source);
    }
}

static void
note_endings(tapper_t *self)
{
    for (tapping_t *tapping = self->tappings; tapping; tapping = tapping->next) {
        if (!tapping->turns && (atomic_load(&tapping->ending) || atomic_load(&self->quit)))
            tapping->turns = ENDING_TURNS;
        if (atomic_load(&tapping->abandoned))
            tapping->done = true;
    }
}

static bool
has_drained(const tapper_t *self, const tapping_t *tapping)
{
    for (const ring_t *ring = self->rings; ring; ring = ring->next)
        for (const source_t *source = ring->sources; source; source = source->next)
            if (source->tapping == tapping && !ring->drained)
                return false;
    return true;
}

// It has been asked to end: with all that its rings held by then, if they do not fill as fast.
static void
end_soon(tapper_t *self, tapping_t *tapping)
{
    bool drained = has_drained(self, tapping);
    if (!drained && --tapping->turns > 0)
        return;
    for (ring_t *ring = self->rings; drained && ring; ring = ring->next)
        settle(ring, tapping);
    finish(tapping);
}

static void
tend_tappings(tapper_t *self)
{
    for (tapping_t **at = &self->tappings; *at;) {
        tapping_t *tapping = *at;
        if (tapping->turns && !tapping->done)
            end_soon(self, tapping);
        flush(tapping);
        if (!tapping->done) {
            at = &tapping->next;
            continue;
        }
        *at = tapping->next;
        drop_sources(self, tapping);
        atomic_store(&tapping->over, true);
        bell_ring(self->news);
    }
}

static void
look_at(tapper_t *self, int fd, short events)
{
    mem_grow(self->polled, self->polled_count, self->polled_room);
    self->polled[self->polled_count++] = (struct pollfd){ .fd = fd, .events = events };
}

static void
wait_for_news(tapper_t *self, bool came)
{
    bool more = false;
    self->polled_count = 0;
    look_at(self, self->wake, POLLIN);
    for (tapping_t *tapping = self->tappings; tapping; tapping = tapping->next)
        if (tapping->full && !tapping->broken)
            look_at(self, tapping->fd, POLLOUT);
    for (ring_t *ring = self->rings; ring; ring = ring->next) {
        more |= !ring->drained || (!came && !tap_ring_sleep(ring->ring));
        if (!came)
            look_at(self, tap_ring_fd(ring->ring), POLLIN);
    }
    if (poll(self->polled, (nfds_t)self->polled_count, more ? 0 : came ? NAP_MS : -1) <= 0)
        return;
    size_t at = 1;
    for (tapping_t *tapping = self->tappings; tapping; tapping = tapping->next)
        if (tapping->full && !tapping->broken)
            tapping->full = !self->polled[at++].revents;
}

static void *
run(void *arg)
{
    tapper_t *self = arg;
    pthread_setname_np(pthread_self(), "zb:taps");
    setpriority(PRIO_PROCESS, 0, NICE); // of this thread alone
    bool came = false;
    while (!atomic_load(&self->quit) || self->tappings || atomic_load(&self->inbox)) {
        wait_for_news(self, came);
        atomic_fetch_add(&self->pulse, 1);
        bell_hear(self->wake);
        take_inbox(self);
        note_endings(self);
        came = serve_rings(self);
        tend_tappings(self);
    }
    return NULL;
}

// --- the main thread: the tapper -----------------------------------------------------

tapper_t *
tapper_new(broker_t *broker)
{
    tapper_t *self = xcalloc(1, sizeof *self);
    self->broker = broker;
    self->news = bell_new();
    self->wake = bell_new();
    return self;
}

// Those whose clients have gone before they were over.
static void
bury(tapper_t *self)
{
    for (tapping_t **at = &self->left; *at;) {
        tapping_t *tapping = *at;
        if (!atomic_load(&tapping->over)) {
            at = &tapping->next_left;
            continue;
        }
        *at = tapping->next_left;
        close(tapping->fd);
        free_tapping(tapping);
    }
}

int
tapper_fd(const tapper_t *self)
{
    return self->news;
}

void
tapper_look(tapper_t *self)
{
    bell_hear(self->news);
    bury(self);
}

int64_t
tapper_age_ms(tapper_t *self)
{
    if (!self->started)
        return 0;
    if (self->asked_ms != 0 && atomic_load(&self->pulse) == self->pulse_seen)
        return clock_mono_ms() - self->asked_ms;
    self->pulse_seen = atomic_load(&self->pulse);
    self->asked_ms = clock_mono_ms();
    bell_ring(self->wake);
    return 0;
}

static bool
start(tapper_t *self)
{
    if (self->started)
        return true;
    if (self->news == -1 || self->wake == -1) {
        errno = EMFILE;
        return false;
    }
    errno = pthread_create(&self->thread, NULL, run, self);
    return self->started = errno == 0;
}

void
tapper_destroy(tapper_t **self_p)
{
    tapper_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    atomic_store(&self->quit, true);
    if (self->started) {
        bell_ring(self->wake);
        pthread_join(self->thread, NULL);
    }
    bury(self);
    if (self->news != -1)
        close(self->news);
    if (self->wake != -1)
        close(self->wake);
    free(self->polled);
    free(self);
}

// --- the main thread: a tapping --------------------------------------------------------

static void
post(tapper_t *self, tapping_t *tapping, tap_t *tap)
{
    source_t *source = xcalloc(1, sizeof *source);
    *source = (source_t){ .tapping = tapping, .tap = tap };
    source->next = atomic_load(&self->inbox);
    while (!atomic_compare_exchange_weak(&self->inbox, &source->next, source))
        ;
    bell_ring(self->wake);
}

static bool
attach(tapping_t *self, const broker_route_t *route)
{
    const text_t *prefix = &self->conf.prefix;
    tap_t *tap = route_tap(route->route, prefix->data ? prefix->data : "", prefix->size);
    if (!tap)
        return false;
    tap_release(&self->newest);
    self->newest = tap_hold(tap);
    self->route = route->route;
    post(self->tapper, self, tap);
    return true;
}

tapping_t *
tapping_new(tapper_t *tapper, tapping_conf_t *conf, int fd, text_t *error)
{
    broker_route_t route;
    if (!broker_find(tapper->broker, conf->route, &route)) {
        broker_no_route(tapper->broker, conf->route, error);
    } else if (route.conf->engine == ENGINE_ZMQ_PROXY) {
        text_add(error, "route %s: engine = zmq_proxy cannot be tapped", conf->route);
    } else if (!route.route) {
        text_add(error, "route %s is %s", conf->route, route_state_name(route.state));
    } else {
        tapping_t *self = xcalloc(1, sizeof *self);
        self->tapper = tapper;
        self->broker = tapper->broker;
        self->conf = *conf;
        memset(&conf->prefix, 0, sizeof conf->prefix);
        self->fd = fd;
        if (start(tapper) && attach(self, &route))
            return self;
        text_add(error, "route %s: %s", self->conf.route, errno == ENOSPC ? "no room for another tap" : strerror(errno));
        free_tapping(self);
    }
    return NULL;
}

bool
tapping_is_endless(const tapping_t *self)
{
    return !self->conf.count;
}

// Is the newest tap the one of the route that runs now?
static bool
is_current(const tapping_t *self, const broker_route_t *route)
{
    return route->route && self->route == route->route && !tap_ring_is_closed(tap_ring_of(self->newest));
}

bool
tapping_follow(tapping_t *self)
{
    broker_route_t route;
    if (atomic_load(&self->over))
        return true;
    if (!broker_find(self->broker, self->conf.route, &route))
        return false;
    if (!route.route || is_current(self, &route) || clock_mono_ms() < self->retry_ms)
        return true;
    if (!attach(self, &route))
        self->retry_ms = clock_mono_ms() + RETRY_MS;
    return true;
}

void
tapping_end(tapping_t *self)
{
    broker_route_t route;
    if (atomic_load(&self->ending))
        return;
    if (broker_find(self->broker, self->conf.route, &route) && is_current(self, &route))
        route_settle(route.route);
    atomic_store(&self->ending, true);
    bell_ring(self->tapper->wake);
}

bool
tapping_is_over(tapping_t *self, text_t *out)
{
    if (!atomic_load(&self->over))
        return false;
    if (waiting(self))
        text_bytes(out, self->output.data + self->sent, waiting(self));
    return true;
}

int64_t
tapping_stuck_ms(const tapping_t *self)
{
    int64_t since = atomic_load(&self->stuck_since_ms);
    return since ? clock_mono_ms() - since : 0;
}

bool
tapping_destroy(tapping_t **self_p)
{
    tapping_t *self = *self_p;
    broker_route_t route;
    *self_p = NULL;
    if (!self)
        return true;
    atomic_store(&self->abandoned, true);
    tap_leave(self->newest);
    // It stops copying as soon as it knows.
    if (broker_find(self->broker, self->conf.route, &route) && is_current(self, &route))
        route_look(route.route);
    tap_release(&self->newest);
    if (atomic_load(&self->over)) {
        free_tapping(self);
        return true;
    }
    self->next_left = self->tapper->left;
    self->tapper->left = self;
    bell_ring(self->tapper->wake);
    return false;
}
