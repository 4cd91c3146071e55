// SPDX-License-Identifier: MPL-2.0
#include "guard/handler.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"
#include "guard/waiting.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zmq.h>

enum {
    ROUND_MS = 1000,
    FRAMES_MAX = ZAP_FRAMES_MAX + 3,
    BURST = 100,
};

struct handler {
    void *zap; // ROUTER; the thread's once it runs
    bool asked; // it is bound
    inforce_t *inforce;
    watch_t *watch;
    verify_t *verify;
    pthread_t thread;
    int wake; // a bell
    _Atomic bool stopping;
    _Atomic bool asking; // somebody has to be asked about
    _Atomic int64_t round_ms;

    pthread_mutex_t lock; // over what follows
    pthread_cond_t answers;
    bool answering; // asked, for others to see
};

// --- saying it ----------------------------------------------------------------------

// contrib/fail2ban knows this line.
static void
audit(const verdict_t *verdict, zap_mechanism_t mechanism)
{
    const entry_t *entry = verdict->entry;
    const char *route = entry ? entry->route : "?", *side = entry ? side_name(entry->side) : "?";
    bool asked = mechanism != ZAP_NULL || (entry && (entry->allow.count || entry->deny.count));
    event_id_t event = verdict->status != ZAP_WELCOME ? EVENT_AUTH_REFUSED : asked ? EVENT_AUTH_ADMITTED : EVENT_AUTH_OPEN;
    log_event(event, EVENT_TEXT("route", route), EVENT_TEXT("side", side), EVENT_TEXT("address", verdict->address),
              EVENT_TEXT("mechanism", zap_mechanism_name(mechanism)), EVENT_TEXT("reason", verdict->reason),
              EVENT_TEXT("user", *verdict->user ? verdict->user : NULL),
              EVENT_TEXT("key", *verdict->key ? verdict->key : NULL));
}

static void
count(const verdict_t *verdict)
{
    side_counters_t *counters = verdict->entry ? verdict->entry->counters : NULL;
    if (counters)
        counter_add_shared(verdict->status == ZAP_WELCOME ? &counters->auth_success : &counters->auth_failure, 1);
}

void
handler_tell(const verdict_t *verdict, zap_mechanism_t mechanism)
{
    count(verdict);
    audit(verdict, mechanism);
}

bool
handler_admits(handler_t *self, const entrance_t *where, const char *address)
{
    verdict_t verdict;
    admit_address(&verdict, inforce_borrow(self->inforce), where->route, where->side, where->guarded, address);
    bool admitted = verdict.status == ZAP_WELCOME;
    if (!admitted)
        handler_tell(&verdict, verdict.entry ? verdict.entry->mechanism : ZAP_NULL);
    inforce_return(self->inforce);
    return admitted;
}

// --- the wire -----------------------------------------------------------------------

static void
send_frame(void *socket, const void *data, size_t size, int flags)
{
    // A session that gave up is no longer there: its reply goes nowhere.
    zmq_send(socket, size ? data : "", size, flags | ZMQ_DONTWAIT);
}

static void
send_reply(handler_t *self, const zap_frame_t *peer, zap_frame_t id, int status, const char *user)
{
    zap_reply_t reply;
    zap_reply(&reply, id, status, user);
    send_frame(self->zap, peer->data, peer->size, ZMQ_SNDMORE);
    send_frame(self->zap, "", 0, ZMQ_SNDMORE);
    for (size_t i = 0; i < ZAP_REPLY_FRAMES; i++)
        send_frame(self->zap, reply.frames[i].data, reply.frames[i].size, i + 1 < ZAP_REPLY_FRAMES ? ZMQ_SNDMORE : 0);
}

// Reply first: a client waits for it, nobody waits for the rest.
static void
conclude(handler_t *self, const verdict_t *verdict, zap_mechanism_t mechanism, const zap_frame_t *peer, zap_frame_t id)
{
    bool welcome = verdict->status == ZAP_WELCOME;
    send_reply(self, peer, id, verdict->status, welcome ? verdict->user : "");
    handler_tell(verdict, mechanism);
    if (welcome && *verdict->user && self->watch)
        watch_user(self->watch, verdict->entry->route, verdict->entry->side, verdict->inode, verdict->user);
}

// --- requests -----------------------------------------------------------------------

static void
answer(handler_t *self, const zap_frame_t *frames, size_t count_frames)
{
    zap_request_t request;
    verdict_t verdict;
    // [peer] [empty] [version] [id] ...: without the delimiter there is nobody to answer.
    if (count_frames < 3 || frames[0].size > 255 || frames[1].size != 0)
        return;
    int rc = zap_parse(&request, frames + 2, count_frames - 2);
    if (rc == -1) {
        log_event(EVENT_AUTH_MALFORMED, EVENT_NUMBER("frames", count_frames - 2));
        if (request.id.data)
            send_reply(self, &frames[0], request.id, ZAP_REFUSED, "");
        return;
    }
    const policy_t *policy = inforce_borrow(self->inforce);
    admit(&verdict, policy, &request);
    if (verdict.status || !waiting_ask(self->verify, &verdict, &request, &frames[0]))
        conclude(self, &verdict, request.mechanism, &frames[0], request.id);
    inforce_return(self->inforce);
}

static void
take_passwords(handler_t *self)
{
    waiting_t *waiting;
    while ((waiting = waiting_take(self->verify))) {
        waiting_decide(waiting, inforce_borrow(self->inforce));
        conclude(self, &waiting->verdict, ZAP_PLAIN, &waiting->peer, waiting->id);
        inforce_return(self->inforce);
        waiting_free(waiting);
    }
}

// One request, whole: what has too many frames is read and given up.
static bool
take_request(handler_t *self)
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
begin_to_answer(handler_t *self)
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
handler_be_asked(handler_t *self)
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
    handler_t *self = arg;
    zmq_pollitem_t items[] = {
        {.socket = self->zap, .events = ZMQ_POLLIN},
        {.fd = verify_fd(self->verify), .events = ZMQ_POLLIN},
        {.fd = self->wake, .events = ZMQ_POLLIN},
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
        take_passwords(self);
    }
    zmq_close(self->zap);
    return NULL;
}

// --- life -----------------------------------------------------------------------------

static int
start_threads(handler_t *self)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    self->verify = verify_new();
    int error = self->verify ? pthread_create(&self->thread, NULL, run, self) : errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

// When its thread does not run (yet, or any more).
static void
free_handler(handler_t *self)
{
    verify_destroy(&self->verify, waiting_free);
    if (self->wake != -1)
        close(self->wake);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->answers);
    free(self);
}

handler_t *
handler_new(void *ctx, inforce_t *inforce, watch_t *watch)
{
    int off = 0;
    handler_t *self = xcalloc(1, sizeof *self);
    self->inforce = inforce;
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
        error = start_threads(self);
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
handler_destroy(handler_t **self_p)
{
    handler_t *self = *self_p;
    if (!self)
        return;
    self->stopping = true;
    bell_ring(self->wake);
    pthread_join(self->thread, NULL);
    free_handler(self);
    *self_p = NULL;
}

int64_t
handler_age_ms(const handler_t *self)
{
    int64_t age = clock_mono_ms() - self->round_ms, checking = verify_age_ms(self->verify);
    return age > checking ? age : checking;
}

verify_t *
handler_verify(const handler_t *self)
{
    return self->verify;
}
