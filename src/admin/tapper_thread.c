// SPDX-License-Identifier: MPL-2.0
//
// The thread of low priority that reads the routes' rings and writes to the clients.
#include "admin/tapper_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum {
    NICE = 10,         // the routes come first
    BATCH = 512,       // messages of one ring, before somebody else has a turn
    NAP_MS = 2,        // while messages come, the routes need not wake us
    ENDING_TURNS = 32, // more than a ring holds; the route may be filling it again
};

// Bytes that wait for a client, before it misses messages. JSON is for programs, which record.
static const size_t output_max[] = {
    [TAP_LINE] = 1024 * 1024,
    [TAP_HEX] = 1024 * 1024,
    [TAP_JSON] = 16 * 1024 * 1024,
};

// --- output --------------------------------------------------------------

// Not before it is worth it: what waits is moved.
static void
forget_sent(tapping_t *self)
{
    memmove(self->output.data, self->output.data + self->sent, tapping_waiting(self));
    self->output.size -= self->sent;
    self->sent = 0;
}

// Send what the socket takes; when it takes no more, poll(2) tells.
static void
flush(tapping_t *tapping)
{
    while (!tapping->full && tapping_waiting(tapping)) {
        ssize_t done = send(tapping->fd, tapping->output.data + tapping->sent, tapping_waiting(tapping),
                            MSG_NOSIGNAL | MSG_DONTWAIT);
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
    if (!tapping_waiting(tapping))
        atomic_store(&tapping->stuck_since_ms, 0);
    if (tapping->sent > tapping_waiting(tapping))
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
    size_t most = output_max[tapping->conf.format];
    if (tapping_waiting(tapping) >= most)
        flush(tapping);
    if (tapping_waiting(tapping) >= most || !tapping_can_print(message, tapping->conf.format))
        return;
    tapping_print(message, tapping->seq, tapping->conf.format, &tapping->output);
    tapping->shown++;
    // With a count the answer ends at the last message shown; what came after is nobody's loss.
    if (tapping->shown == tapping->conf.count)
        finish(tapping);
}

// --- rings ---------------------------------------------------------------

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

// --- tappings ------------------------------------------------------------

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

void *
tapper_run(void *arg)
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
