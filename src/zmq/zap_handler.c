// SPDX-License-Identifier: MPL-2.0
#include "zmq/zap_handler.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/origin.h"
#include "zmq/zap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum {
    ROUND_MS = 1000,
    FRAMES_MAX = ZAP_FRAMES_MAX + 3,
    BURST = 100,
};

// A request whose password is being checked.
typedef struct pending {
    struct pending *next;
    admission_ticket_t *ticket;
    zap_frame_t peer, id; // whom to answer
    unsigned char bytes[2 * 256]; // theirs
} pending_t;

struct zap_handler {
    void *zap; // ROUTER; the thread's once it runs
    bool asked; // it is bound
    const admission_t *guard;
    watch_t *watch;
    pthread_t thread;
    int wake; // a bell: also of the passwords that were checked
    pending_t *pending;
    _Atomic bool stopping;
    _Atomic bool asking; // somebody has to be asked about
    _Atomic int64_t round_ms;

    pthread_mutex_t lock; // over what follows
    pthread_cond_t answers;
    bool answering; // asked, for others to see
};

// --- the wire -----------------------------------------------------------------------

static void
send_frame(void *socket, const void *data, size_t size, int flags)
{
    // A session that gave up is no longer there: its reply goes nowhere.
    zmq_send(socket, size ? data : "", size, flags | ZMQ_DONTWAIT);
}

static void
send_reply(zap_handler_t *self, zap_frame_t peer, zap_frame_t id, int status, const char *user)
{
    zap_reply_t reply;
    zap_reply(&reply, id, status, user);
    send_frame(self->zap, peer.data, peer.size, ZMQ_SNDMORE);
    send_frame(self->zap, "", 0, ZMQ_SNDMORE);
    for (size_t i = 0; i < ZAP_REPLY_FRAMES; i++)
        send_frame(self->zap, reply.frames[i].data, reply.frames[i].size, i + 1 < ZAP_REPLY_FRAMES ? ZMQ_SNDMORE : 0);
}

// --- requests -----------------------------------------------------------------------

// The claim of REQUEST, of which ROUTE and ADDRESS are parts. A domain that is none of ours names no route.
static admission_claim_t
claim_of(const zap_request_t *request, char route[256], char address[256])
{
    const zap_frame_t *first = &request->credentials[0], *second = &request->credentials[1];
    bool is_key = request->mechanism == SECURITY_CURVE;
    snprintf(route, 256, "%.*s", (int)request->domain.size, (const char *)request->domain.data);
    snprintf(address, 256, "%.*s", (int)request->address.size, (const char *)request->address.data);
    admission_claim_t claim = { .route = route,
                                .address = zap_address(address),
                                .origin = origin_of_host(zap_address(address)),
                                .mechanism = request->mechanism,
                                .key = is_key ? first->data : NULL,
                                .name = is_key ? NULL : first->data,
                                .name_size = is_key ? 0 : first->size,
                                .password = second->data,
                                .password_size = second->size };
    char *dot = strrchr(route, '.');
    while (dot && claim.side < SIDES && strcmp(dot + 1, side_name(claim.side)) != 0)
        claim.side++;
    if (dot && claim.side < SIDES)
        *dot = '\0';
    else
        claim = (admission_claim_t){ .route = "", .address = claim.address, .mechanism = claim.mechanism };
    return claim;
}

static zap_frame_t
keep_frame(unsigned char *at, zap_frame_t frame)
{
    if (frame.size)
        memcpy(at, frame.data, frame.size);
    return (zap_frame_t){ at, frame.size };
}

static void
keep(zap_handler_t *self, admission_ticket_t *ticket, zap_frame_t peer, zap_frame_t id)
{
    pending_t *pending = xcalloc(1, sizeof *pending);
    pending->ticket = ticket;
    pending->peer = keep_frame(pending->bytes, peer);
    pending->id = keep_frame(pending->bytes + 256, id);
    pending->next = self->pending;
    self->pending = pending;
}

static void
answer(zap_handler_t *self, const zap_frame_t *frames, size_t count_frames)
{
    zap_request_t request;
    char route[256], address[256];
    // [peer] [empty] [version] [id] ...: without the delimiter there is nobody to answer.
    if (count_frames < 3 || frames[0].size > 255 || frames[1].size != 0)
        return;
    int rc = zap_parse(&request, frames + 2, count_frames - 2);
    if (rc == -1) {
        log_event(EVENT_AUTH_MALFORMED, EVENT_NUMBER("frames", count_frames - 2));
        if (request.id.data)
            send_reply(self, frames[0], request.id, ADMISSION_REFUSED, "");
        return;
    }
    admission_claim_t claim = claim_of(&request, route, address);
    admission_ticket_t *ticket;
    admission_verdict_t verdict;
    self->guard->claim(self->guard->arg, &claim, self->wake, &ticket, &verdict);
    if (verdict.status == ADMISSION_WAITS)
        keep(self, ticket, frames[0], request.id);
    else
        send_reply(self, frames[0], request.id, verdict.status, verdict.user);
}

static void
answer_pending(zap_handler_t *self)
{
    admission_verdict_t verdict;
    for (pending_t **at = &self->pending; *at;) {
        pending_t *pending = *at;
        if (!self->guard->answer(self->guard->arg, &pending->ticket, &verdict)) {
            at = &pending->next;
            continue;
        }
        send_reply(self, pending->peer, pending->id, verdict.status, verdict.user);
        *at = pending->next;
        free(pending);
    }
}

static void
forget_pending(zap_handler_t *self)
{
    while (self->pending) {
        pending_t *pending = self->pending;
        self->pending = pending->next;
        self->guard->forget(self->guard->arg, &pending->ticket);
        free(pending);
    }
}

// One request, whole: what has too many frames is read and given up.
static bool
take_request(zap_handler_t *self)
{
    zmq_msg_t messages[FRAMES_MAX], rest;
    zap_frame_t frames[FRAMES_MAX];
    size_t got = 0;
    bool more = true, overlong = false;
    while (more) {
        zmq_msg_t *message = got < FRAMES_MAX ? &messages[got] : &rest;
        zmq_msg_init(message);
        if (zmq_msg_recv(message, self->zap, ZMQ_DONTWAIT) == -1) {
            zmq_msg_close(message);
            break;
        }
        more = zmq_msg_more(message);
        if (message == &rest) {
            overlong = true;
            zmq_msg_close(message);
            continue;
        }
        frames[got] = (zap_frame_t){ zmq_msg_data(message), zmq_msg_size(message) };
        got++;
    }
    if (got > 0 && !overlong)
        answer(self, frames, got);
    for (size_t i = 0; i < got; i++) {
        // There may have been a password in it.
        sodium_memzero(zmq_msg_data(&messages[i]), zmq_msg_size(&messages[i]));
        zmq_msg_close(&messages[i]);
    }
    return got > 0;
}

// --- the thread -----------------------------------------------------------------------

static void
begin_to_answer(zap_handler_t *self)
{
    if (zmq_bind(self->zap, ZAP_ENDPOINT) == -1)
        return; // not in this process: nobody else may have that endpoint
    self->asked = true;
    if (self->watch)
        watch_asked(self->watch, true);
    pthread_mutex_lock(&self->lock);
    self->answering = true;
    pthread_cond_broadcast(&self->answers);
    pthread_mutex_unlock(&self->lock);
}

void
zap_handler_be_asked(zap_handler_t *self)
{
    self->asking = true;
    bell_ring(self->wake);
    pthread_mutex_lock(&self->lock);
    while (!self->answering)
        pthread_cond_wait(&self->answers, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static void *
run(void *arg)
{
    zap_handler_t *self = arg;
    zmq_pollitem_t items[] = {
        { .socket = self->zap, .events = ZMQ_POLLIN },
        { .fd = self->wake, .events = ZMQ_POLLIN },
    };
    pthread_setname_np(pthread_self(), "zb:guard");
    while (!self->stopping) {
        self->round_ms = clock_mono_ms();
        if (!self->asked && (self->asking || log_wants(LOG_LEVEL_DEBUG)))
            begin_to_answer(self);
        if (zmq_poll(items, sizeof items / sizeof *items, ROUND_MS) == -1 && zmq_errno() == ETERM)
            break;
        bell_hear(self->wake);
        for (int i = 0; i < BURST && take_request(self); i++)
            continue;
        answer_pending(self);
    }
    forget_pending(self);
    zmq_close(self->zap);
    return NULL;
}

// --- life -----------------------------------------------------------------------------

static int
start_thread(zap_handler_t *self)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&self->thread, NULL, run, self);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

// When its thread does not run (yet, or any more).
static void
free_handler(zap_handler_t *self)
{
    if (self->wake != -1)
        close(self->wake);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->answers);
    free(self);
}

zap_handler_t *
zap_handler_new(void *ctx, const admission_t *guard, watch_t *watch)
{
    int off = 0;
    zap_handler_t *self = xcalloc(1, sizeof *self);
    self->guard = guard;
    self->watch = watch;
    self->round_ms = clock_mono_ms();
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->answers, NULL);
    self->wake = bell_new();
    self->zap = zmq_socket(ctx, ZMQ_ROUTER);
    int error = self->wake == -1 || !self->zap ? errno : 0;
    if (!error) {
        zmq_setsockopt(self->zap, ZMQ_LINGER, &off, sizeof off);
        zmq_setsockopt(self->zap, ZMQ_SNDHWM, &off, sizeof off);
        zmq_setsockopt(self->zap, ZMQ_RCVHWM, &off, sizeof off);
        if (watch)
            watch_asked(watch, false);
        if (log_wants(LOG_LEVEL_DEBUG)) // from the first login on
            begin_to_answer(self);
        error = start_thread(self);
    }
    if (!error)
        return self;
    if (self->zap)
        zmq_close(self->zap);
    free_handler(self);
    errno = error;
    return NULL;
}

void
zap_handler_destroy(zap_handler_t **self_p)
{
    zap_handler_t *self = *self_p;
    if (!self)
        return;
    self->stopping = true;
    bell_ring(self->wake);
    pthread_join(self->thread, NULL);
    free_handler(self);
    *self_p = NULL;
}

int64_t
zap_handler_age_ms(const zap_handler_t *self)
{
    return clock_mono_ms() - self->round_ms;
}
