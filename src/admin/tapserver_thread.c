// SPDX-License-Identifier: MPL-2.0
//
// The thread of low priority that reads the routes' rings and writes to the clients.
#include "admin/tapserver_internal.h"

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

// --- news ----------------------------------------------------------------

// What has fired is looked at in the next turn.
static void
on_news(watched_t *watched, uint32_t events)
{
    (void)watched;
    (void)events;
}

static void
on_room(watched_t *watched, uint32_t events)
{
    tapsession_t *session = (tapsession_t *)watched;
    (void)events;
    session->full = session->broken;
}

// Told once of each ring's bell and of each socket's room: neither is news again until it was used up.
static void
watch(tapserver_t *self, int fd, uint32_t events, watched_t *watched, void (*ready)(watched_t *, uint32_t))
{
    watched->ready = ready;
    self->blind |= loop_watch(&self->loop, fd, events | EPOLLET, watched) == -1;
}

// --- output --------------------------------------------------------------

// Not before it is worth it: what waits is moved.
static void
forget_sent(tapsession_t *self)
{
    memmove(self->output.data, self->output.data + self->sent, tapsession_waiting(self));
    self->output.size -= self->sent;
    self->sent = 0;
}

// Send what the socket takes; when it takes no more, the loop tells.
static void
flush(tapsession_t *session)
{
    while (!session->full && tapsession_waiting(session)) {
        ssize_t done = send(session->fd, session->output.data + session->sent, tapsession_waiting(session),
                            MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done > 0) {
            session->sent += (size_t)done;
            atomic_store(&session->stuck_since_ms, clock_mono_ms());
            continue;
        }
        if (done == -1 && errno == EINTR)
            continue;
        // If nobody is there any more, the main thread finds out, and asks us to end.
        session->full = true;
        session->broken = errno != EAGAIN;
        if (!atomic_load(&session->stuck_since_ms))
            atomic_store(&session->stuck_since_ms, clock_mono_ms());
    }
    if (!tapsession_waiting(session))
        atomic_store(&session->stuck_since_ms, 0);
    if (session->sent > tapsession_waiting(session))
        forget_sent(session);
}

static void
finish(tapsession_t *self)
{
    if (self->done)
        return;
    self->done = true;
    tapformat_print_missed(self->seq - self->shown, self->conf.json, &self->output);
    text_char(&self->output, '\n');
}

static void
advance(tap_source_t *source, uint64_t seq)
{
    source->session->seq += seq - source->seq;
    source->seq = seq;
}

static void
show(tap_source_t *source, const tap_message_t *message)
{
    tapsession_t *session = source->session;
    uint64_t seq = tap_see(source->tap);
    if (!seq || session->done)
        return;
    advance(source, seq);
    size_t most = output_max[session->conf.format];
    if (tapsession_waiting(session) >= most)
        flush(session);
    if (tapsession_waiting(session) >= most || !tapformat_can_print(message, session->conf.format))
        return;
    tapformat_print(message, session->seq, session->conf.format, &session->output);
    session->shown++;
    // With a count the answer ends at the last message shown; what came after is nobody's loss.
    if (session->shown == session->conf.count)
        finish(session);
}

// --- rings ---------------------------------------------------------------

static void
drop_source(tap_source_t **at)
{
    tap_source_t *source = *at;
    *at = source->next;
    tap_leave(source->tap);
    tap_release(&source->tap);
    free(source);
}

// Sources are told of what passed in order, and so are those who follow each other.
static void
add_source(tapserver_t *self, tap_source_t *source)
{
    ring_t **at = &self->rings;
    while (*at && (*at)->ring != tap_ring_of(source->tap))
        at = &(*at)->next;
    if (!*at) {
        *at = xcalloc(1, sizeof **at);
        (*at)->ring = tap_ring_of(source->tap);
        watch(self, tap_ring_fd((*at)->ring), EPOLLIN, &(*at)->watched, on_news);
    }
    source->next = (*at)->sources;
    (*at)->sources = source;
}

static bool
has_others(const ring_t *ring, const tapsession_t *session)
{
    const tap_source_t *source = ring->sources;
    while (source && source->session == session)
        source = source->next;
    return source;
}

// A ring may go with its last tap.
static void
drop_sources(tapserver_t *self, const tapsession_t *session)
{
    for (ring_t **at = &self->rings; *at;) {
        ring_t *ring = *at;
        if (!has_others(ring, session))
            loop_forget(&self->loop, tap_ring_fd(ring->ring), &ring->watched);
        for (tap_source_t **source = &ring->sources; *source;)
            if ((*source)->session == session)
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
settle(ring_t *ring, const tapsession_t *session)
{
    for (tap_source_t *source = ring->sources; source; source = source->next)
        if ((!session || source->session == session) && !source->session->done)
            advance(source, tap_seq(source->tap));
}

// True: there was something.
static bool
serve_ring(ring_t *ring)
{
    size_t count = 0;
    const tap_message_t *message;
    while (count < BATCH && (message = tap_ring_take(ring->ring))) {
        for (tap_source_t *source = ring->sources; source; source = source->next)
            show(source, message);
        count++;
    }
    ring->drained = count < BATCH;
    return count > 0;
}

static bool
serve_rings(tapserver_t *self)
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
        loop_forget(&self->loop, tap_ring_fd(ring->ring), &ring->watched);
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

// --- sessions ------------------------------------------------------------

static void
take_inbox(tapserver_t *self)
{
    tap_source_t *source = atomic_exchange(&self->inbox, NULL), *ordered = NULL;
    while (source) {
        tap_source_t *next = source->next;
        source->next = ordered;
        ordered = source;
        source = next;
    }
    while (ordered) {
        source = ordered;
        ordered = source->next;
        tapsession_t *session = source->session;
        bool known = false;
        for (tapsession_t *each = self->sessions; each; each = each->next)
            known |= each == session;
        if (!known) {
            session->next = self->sessions;
            self->sessions = session;
            watch(self, session->fd, EPOLLOUT, &session->watched, on_room);
        }
        add_source(self, source);
    }
}

static void
note_endings(tapserver_t *self)
{
    for (tapsession_t *session = self->sessions; session; session = session->next) {
        if (!session->turns && (atomic_load(&session->ending) || atomic_load(&self->quit)))
            session->turns = ENDING_TURNS;
        if (atomic_load(&session->abandoned))
            session->done = true;
    }
}

static bool
has_drained(const tapserver_t *self, const tapsession_t *session)
{
    for (const ring_t *ring = self->rings; ring; ring = ring->next)
        for (const tap_source_t *source = ring->sources; source; source = source->next)
            if (source->session == session && !ring->drained)
                return false;
    return true;
}

// It has been asked to end: with all that its rings held by then, if they do not fill as fast.
static void
end_soon(tapserver_t *self, tapsession_t *session)
{
    bool drained = has_drained(self, session);
    if (!drained && --session->turns > 0)
        return;
    for (ring_t *ring = self->rings; drained && ring; ring = ring->next)
        settle(ring, session);
    finish(session);
}

static void
tend_sessions(tapserver_t *self)
{
    for (tapsession_t **at = &self->sessions; *at;) {
        tapsession_t *session = *at;
        if (session->turns && !session->done)
            end_soon(self, session);
        flush(session);
        if (!session->done) {
            at = &session->next;
            continue;
        }
        *at = session->next;
        drop_sources(self, session);
        loop_forget(&self->loop, session->fd, &session->watched);
        atomic_store(&session->over, true);
        bell_ring(self->news);
    }
}

static void
wait_for_news(tapserver_t *self, bool came)
{
    bool more = false;
    for (ring_t *ring = self->rings; ring; ring = ring->next)
        more |= !ring->drained || (!came && !tap_ring_sleep(ring->ring));
    loop_run(&self->loop, more ? 0 : came || self->blind ? NAP_MS : -1);
}

void *
tapserver_run(void *arg)
{
    tapserver_t *self = arg;
    pthread_setname_np(pthread_self(), "zb:taps");
    setpriority(PRIO_PROCESS, 0, NICE); // of this thread alone
    bool came = false;
    watch(self, self->wake, EPOLLIN, &self->woken, on_news);
    while (!atomic_load(&self->quit) || self->sessions || atomic_load(&self->inbox)) {
        wait_for_news(self, came);
        atomic_fetch_add(&self->pulse, 1);
        bell_hear(self->wake);
        take_inbox(self);
        note_endings(self);
        came = serve_rings(self);
        tend_sessions(self);
    }
    return NULL;
}
