// SPDX-License-Identifier: MPL-2.0
#include "guard/guard.h"

#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"
#include "guard/admit.h"
#include "guard/bag.h"
#include "guard/gate.h"
#include "guard/mechanism.h"
#include "guard/policy.h"
#include "guard/verify.h"
#include "guard/zap.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

enum {
    ROUND_MS = 1000,
    FRAMES_MAX = ZAP_FRAMES_MAX + 3,
    BURST = 100,
};

// A route's gate between two of its configurations.
typedef struct parked {
    struct parked *next;
    char route[ROUTE_NAME_MAX + 1];
    void *xpub; // the socket it was made for
    gate_t *gate;
} parked_t;

struct guard {
    void *zap; // ROUTER; the thread's once it runs
    bool asked; // it is bound
    watch_t *watch;
    verify_t *verify;
    pthread_t thread;
    int wake;
    _Atomic bool stopping;
    _Atomic bool asking; // somebody has to be asked about
    _Atomic int64_t round_ms;

    pthread_mutex_t lock; // over what follows
    pthread_cond_t idle;
    policy_t *policy; // never NULL after the first load
    bool deciding;    // the thread reads policy
    bool answering;   // asked, for others to see
    _Atomic uint64_t generation;
    parked_t *gates;
};

// --- the policy in force ------------------------------------------------------------
//
// The thread borrows it for the time of one decision, under no lock; a load
// swaps it and waits until the decision that may still use the old one is made.

static const policy_t *
borrow_policy(guard_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->deciding = true;
    const policy_t *policy = self->policy;
    pthread_mutex_unlock(&self->lock);
    return policy;
}

static void
return_policy(guard_t *self)
{
    pthread_mutex_lock(&self->lock);
    self->deciding = false;
    pthread_cond_signal(&self->idle);
    pthread_mutex_unlock(&self->lock);
}

static policy_t *
swap_policy(guard_t *self, policy_t *policy)
{
    pthread_mutex_lock(&self->lock);
    policy_t *old = self->policy;
    self->policy = policy;
    self->generation++;
    while (self->deciding)
        pthread_cond_wait(&self->idle, &self->lock);
    pthread_mutex_unlock(&self->lock);
    return old;
}

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

// --- the wire -----------------------------------------------------------------------

static void
send_frame(void *socket, const void *data, size_t size, int flags)
{
    // A session that gave up is no longer there: its reply goes nowhere.
    zmq_send(socket, size ? data : "", size, flags | ZMQ_DONTWAIT);
}

static void
send_reply(guard_t *self, const zap_frame_t *peer, zap_frame_t id, int status, const char *user)
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
conclude(guard_t *self, const verdict_t *verdict, zap_mechanism_t mechanism, const zap_frame_t *peer, zap_frame_t id)
{
    bool welcome = verdict->status == ZAP_WELCOME;
    send_reply(self, peer, id, verdict->status, welcome ? verdict->user : "");
    count(verdict);
    audit(verdict, mechanism);
    if (welcome && *verdict->user && self->watch)
        watch_user(self->watch, verdict->entry->route, verdict->entry->side, verdict->inode, verdict->user);
}

// --- passwords ----------------------------------------------------------------------

// A PLAIN request that waits for its check.
typedef struct {
    unsigned char peer[256], id[256];
    size_t peer_size, id_size;
    verdict_t verdict; // its entry is looked up again
    char domain[256];
    size_t domain_size;
} waiting_t;

static void
forget_waiting(void *ticket)
{
    free(ticket);
}

static waiting_t *
keep_waiting(const verdict_t *verdict, const zap_request_t *request, const zap_frame_t *peer)
{
    waiting_t *waiting = xcalloc(1, sizeof *waiting);
    waiting->verdict = *verdict;
    waiting->peer_size = peer->size;
    memcpy(waiting->peer, peer->data, peer->size);
    waiting->id_size = request->id.size;
    memcpy(waiting->id, request->id.data, request->id.size);
    waiting->domain_size = request->domain.size;
    memcpy(waiting->domain, request->domain.data, request->domain.size);
    return waiting;
}

static void
set_verdict(verdict_t *verdict, int status, const char *reason)
{
    verdict->status = status;
    verdict->reason = reason;
}

// Ask for the check; true: it will be answered later.
static bool
ask_password(guard_t *self, verdict_t *verdict, const zap_request_t *request, const zap_frame_t *peer)
{
    const zap_frame_t *password = &request->credentials[1];
    waiting_t *waiting = keep_waiting(verdict, request, peer);
    switch (verify_ask(self->verify, waiting, verdict->address, verdict->hash, password->data, password->size)) {
    case VERIFY_QUEUED:
        return true;
    case VERIFY_RIGHT:
        set_verdict(verdict, ZAP_WELCOME, NULL);
        break;
    case VERIFY_BUSY:
        set_verdict(verdict, ZAP_LATER, "busy");
        break;
    case VERIFY_LIMITED:
        set_verdict(verdict, ZAP_LATER, "too-many-tries");
        break;
    }
    free(waiting);
    return false;
}

// The password was checked; the file it was checked against may be another now.
static void
finish_password(const policy_t *policy, verdict_t *verdict, const waiting_t *waiting, const verify_result_t *result)
{
    verdict->entry = policy ? policy_find(policy, waiting->domain, waiting->domain_size) : NULL;
    const users_t *users = verdict->entry ? verdict->entry->users : NULL;
    const char *hash = users ? users_hash(users, verdict->user, strlen(verdict->user)) : NULL;
    if (result->right && hash && strcmp(hash, result->hash) == 0)
        set_verdict(verdict, ZAP_WELCOME, NULL);
    else
        set_verdict(verdict, ZAP_REFUSED, *result->hash ? "bad-password" : "unknown-user");
}

static void
take_passwords(guard_t *self)
{
    verify_result_t result;
    while (verify_take(self->verify, &result)) {
        waiting_t *waiting = result.ticket;
        zap_frame_t peer = { waiting->peer, waiting->peer_size }, id = { waiting->id, waiting->id_size };
        const policy_t *policy = borrow_policy(self);
        finish_password(policy, &waiting->verdict, waiting, &result);
        conclude(self, &waiting->verdict, ZAP_PLAIN, &peer, id);
        return_policy(self);
        free(waiting);
        free(result.hash);
    }
}

// --- requests -----------------------------------------------------------------------

static void
answer(guard_t *self, const zap_frame_t *frames, size_t count_frames)
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
    const policy_t *policy = borrow_policy(self);
    admit(&verdict, policy, &request);
    if (verdict.status || !ask_password(self, &verdict, &request, &frames[0]))
        conclude(self, &verdict, request.mechanism, &frames[0], request.id);
    return_policy(self);
}

// One request, whole: what has too many frames is read and given up.
static bool
take_request(guard_t *self)
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

// --- whether we are asked -------------------------------------------------------------
//
// A connection that libzmq asks about costs a pipe to us, two round trips between
// threads and a line of the log that hardly anybody reads. So the endpoint is bound
// only when a side wants to know who comes, or the log each login. libzmq looks for
// it at each handshake. Once bound it stays: a socket that was opened before does
// not enforce its domain.

static void
begin_to_answer(guard_t *self)
{
    if (zmq_bind(self->zap, ZAP_ENDPOINT) == -1)
        return; // not in this process: nobody else may have that endpoint
    self->asked = true;
    if (self->watch)
        watch_asked(self->watch, true);
    pthread_mutex_lock(&self->lock);
    self->answering = true;
    pthread_cond_broadcast(&self->idle);
    pthread_mutex_unlock(&self->lock);
}

static void
wake(guard_t *self)
{
    uint64_t one = 1;
    ssize_t rc = write(self->wake, &one, sizeof one);
    (void)rc; // the counter cannot overflow
}

// When it returns, who has not been asked about has been seen by the watch.
static void
be_asked(guard_t *self)
{
    self->asking = true;
    wake(self);
    pthread_mutex_lock(&self->lock);
    while (!self->answering)
        pthread_cond_wait(&self->idle, &self->lock);
    pthread_mutex_unlock(&self->lock);
}

static void *
run(void *arg)
{
    guard_t *self = arg;
    zmq_pollitem_t items[] = {
        {.socket = self->zap, .events = ZMQ_POLLIN},
        {.fd = verify_fd(self->verify), .events = ZMQ_POLLIN},
        {.fd = self->wake, .events = ZMQ_POLLIN},
    };
    pthread_setname_np(pthread_self(), "zb:guard");
    while (!self->stopping) {
        uint64_t ignored;
        self->round_ms = clock_mono_ms();
        if (!self->asked && (self->asking || log_wants(LOG_LEVEL_DEBUG)))
            begin_to_answer(self);
        if (zmq_poll(items, sizeof items / sizeof *items, ROUND_MS) == -1 && zmq_errno() == ETERM)
            break;
        ssize_t rc = read(self->wake, &ignored, sizeof ignored);
        (void)rc;
        for (int i = 0; i < BURST && take_request(self); i++)
            continue;
        take_passwords(self);
    }
    zmq_close(self->zap);
    return NULL;
}

// --- life -----------------------------------------------------------------------------

static int
start_thread(guard_t *self)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    self->verify = verify_new();
    int error = self->verify ? pthread_create(&self->thread, NULL, run, self) : errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

guard_t *
guard_new(void *ctx, watch_t *watch)
{
    int off = 0;
    if (sodium_init() == -1) {
        errno = ENOSYS;
        return NULL;
    }
    guard_t *self = xcalloc(1, sizeof *self);
    self->watch = watch;
    self->round_ms = clock_mono_ms();
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->idle, NULL);
    self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
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
    if (self->wake != -1)
        close(self->wake);
    verify_destroy(&self->verify, forget_waiting);
    free(self);
    errno = error;
    return NULL;
}

static void
free_parked(guard_t *self)
{
    while (self->gates) {
        parked_t *parked = self->gates;
        self->gates = parked->next;
        gate_free(&parked->gate);
        free(parked);
    }
}

void
guard_destroy(guard_t **self_p)
{
    guard_t *self = *self_p;
    if (!self)
        return;
    self->stopping = true;
    wake(self);
    pthread_join(self->thread, NULL);
    verify_destroy(&self->verify, forget_waiting);
    close(self->wake);
    policy_free(&self->policy);
    free_parked(self);
    pthread_mutex_destroy(&self->lock);
    pthread_cond_destroy(&self->idle);
    free(self);
    *self_p = NULL;
}

int64_t
guard_age_ms(const guard_t *self)
{
    int64_t age = clock_mono_ms() - self->round_ms, checking = verify_age_ms(self->verify);
    return age > checking ? age : checking;
}

// --- loading --------------------------------------------------------------------------

static void
log_damaged(void *arg, const char *file, int line, const char *text)
{
    (void)arg;
    char place[16] = "";
    if (line > 0)
        snprintf(place, sizeof place, ":%d", line);
    log_event(EVENT_CERTIFICATE, EVENT_TEXT("file", file), EVENT_WORDS("place", place), EVENT_PROSE("reason", text),
              EVENT_TEXT("line", line > 0 ? place + 1 : NULL));
}

static void
warn_damaged(void *arg, const char *file, int line, const char *text)
{
    // A place only lends its file; the text of the problem is made at once.
    diag_warning(arg, (place_t){ file, line, 0 }, "certificate left out: %s", text);
}

// What is asked of the clients who are there when the policy changes.
typedef struct {
    guard_t *guard;
    const entry_t *had, *has;
    bag_t gone; // users whose key or password went
    bool all;   // keys are asked for that were not before
} review_t;

static void
find_gone_keys(review_t *self)
{
    const keyset_t *had = self->had->keys, *has = self->has->keys;
    self->all = self->had->any_key && !self->has->any_key;
    if (had == has) // not read again
        return;
    for (size_t i = 0; had && i < keyset_room(had); i++) {
        const char *user;
        const uint8_t *key = keyset_at(had, i, &user);
        if (!key || self->has->any_key)
            continue;
        const char *now = has ? keyset_find(has, key) : NULL;
        if (!now || strcmp(now, user) != 0)
            bag_put(&self->gone, user, strlen(user));
    }
}

static void
find_gone_users(review_t *self)
{
    const char *name, *hash;
    if (self->had->users == self->has->users)
        return;
    for (size_t i = 0; self->had->users && (name = users_at(self->had->users, i, &hash)); i++) {
        const char *now = self->has->users ? users_hash(self->has->users, name, strlen(name)) : NULL;
        if (!now || strcmp(now, hash) != 0)
            bag_put(&self->gone, name, strlen(name));
    }
}

static bool
may_stay(const review_t *self, const client_t *client)
{
    char address[sizeof client->peer];
    snprintf(address, sizeof address, "%s", strncmp(client->peer, "ipc", 3) == 0 ? "" : client->peer);
    char *port = strrchr(address, ':');
    if (port)
        *port = '\0';
    if (self->all || !entry_admits(self->has, address))
        return false;
    // One of whom we do not know who it is must come again and say so; who is not in yet will be asked anyway.
    if (self->gone.count > 0 && (client->unsure || bag_find(&self->gone, client->user, strlen(client->user))))
        return false;
    // The gate knows whose rights are others now; only where there was none it knows nobody.
    return !self->had->acl == !self->has->acl;
}

static void
review_client(const client_t *client, void *arg)
{
    const review_t *self = arg;
    if (client->side == self->has->side && !client->outgoing && !may_stay(self, client)
        && watch_kick(self->guard->watch, self->has->route, client->id) == 0)
        log_event(EVENT_CLIENT_UNWELCOME, EVENT_TEXT("route", self->has->route), EVENT_TEXT("side", side_name(client->side)),
                  EVENT_NUMBER("client", client->id), EVENT_TEXT("peer", client->peer),
                  EVENT_TEXT("user", *client->user ? client->user : NULL));
}

static void
cut_unwelcome(guard_t *self, const policy_t *old, const policy_t *new)
{
    const entry_t *had;
    if (self->watch)
        watch_forget_expected(self->watch);
    for (size_t i = 0; self->watch && (had = policy_at(old, i)); i++) {
        review_t review = { .guard = self, .had = had, .has = policy_side(new, had->route, had->side) };
        if (!review.has)
            continue;
        find_gone_keys(&review);
        find_gone_users(&review);
        watch_each(self->watch, had->route, review_client, &review);
        bag_free(&review.gone);
    }
}

// Only the main thread sets the policy, so it reads it without the lock.
policy_t *
guard_read(const guard_t *self, const guard_route_t routes[], size_t count_routes, diag_t *diag)
{
    return policy_load(routes, count_routes, self->policy, diag, log_damaged, NULL);
}

void
guard_use(guard_t *self, policy_t **policy_p)
{
    policy_t *policy = *policy_p, *old = swap_policy(self, policy);
    *policy_p = NULL;
    if (policy_asks(policy))
        be_asked(self);
    if (old)
        cut_unwelcome(self, old, policy);
    policy_free(&old);
}

int
guard_load(guard_t *self, const guard_route_t routes[], size_t count_routes, diag_t *diag)
{
    policy_t *policy = guard_read(self, routes, count_routes, diag);
    if (!policy)
        return -1;
    guard_use(self, &policy);
    return 0;
}

int
guard_check(const guard_t *self, const conf_t *conf, policy_t **policy_p, diag_t *diag)
{
    if (sodium_init() == -1) {
        diag_error(diag, (place_t){ 0 }, "libsodium cannot be initialised");
        return -1;
    }
    guard_route_t *routes = xcalloc(conf->route_count + 1, sizeof *routes);
    for (size_t i = 0; i < conf->route_count; i++)
        routes[i].conf = conf->routes[i];
    policy_t *policy = policy_load(routes, conf->route_count, self ? self->policy : NULL, diag, warn_damaged, diag);
    int rc = policy ? 0 : -1;
    if (policy_p) {
        *policy_p = policy;
        policy = NULL;
    }
    policy_free(&policy);
    free(routes);
    return rc;
}

// --- sockets --------------------------------------------------------------------------

static parked_t *
find_parked(guard_t *self, const char *route)
{
    for (parked_t *at = self->gates; at; at = at->next)
        if (strcmp(at->route, route) == 0)
            return at;
    parked_t *parked = xcalloc(1, sizeof *parked);
    snprintf(parked->route, sizeof parked->route, "%s", route);
    parked->next = self->gates;
    self->gates = parked;
    return parked;
}

// A new XPUB knows nobody yet: what was kept for an older one is void.
static void
note_xpub(guard_t *self, void *socket, const route_conf_t *conf)
{
    pthread_mutex_lock(&self->lock);
    parked_t *parked = find_parked(self, conf->name);
    parked->xpub = socket;
    gate_free(&parked->gate);
    pthread_mutex_unlock(&self->lock);
}

int
guard_secure(void *arg, void *socket, const route_conf_t *conf, side_t side, diag_t *diag)
{
    const side_conf_t *at = &conf->sides[side];
    place_t place = at->security.place.file ? at->security.place : conf->place;
    int rc = mechanism_set(socket, conf, side, diag);
    if (rc == 0)
        rc = mechanism_set_reports(socket, conf, side);
    if (at->type == ZMQ_XPUB)
        note_xpub(arg, socket, conf);
    if (rc == 0)
        return 0;
    if (errno != 0)
        diag_error(diag, place, "[route %s] %s: cannot be secured: %s", conf->name, side_name(side),
                   zmq_strerror(zmq_errno()));
    return -1;
}

// --- filters --------------------------------------------------------------------------

// In the route's thread; seldom: when a client is seen first or rights have changed.
static acl_view_t *
view_of(void *arg, const char *route, side_t side, const char *user, const char *client)
{
    guard_t *self = arg;
    pthread_mutex_lock(&self->lock);
    const entry_t *entry = self->policy ? policy_side(self->policy, route, side) : NULL;
    acl_view_t *view = entry && entry->acl ? acl_view(entry->acl, user, client) : NULL;
    pthread_mutex_unlock(&self->lock);
    return view;
}

static uint64_t
generation_of(void *arg)
{
    guard_t *self = arg;
    return atomic_load_explicit(&self->generation, memory_order_acquire);
}

// Rights came or went while the route runs: its XPUB goes on in another mode.
static void
change_reports(void *xpub, const route_conf_t *conf)
{
    for (side_t side = 0; xpub && side < SIDE_CAPTURE; side++)
        if (conf->sides[side].type == ZMQ_XPUB)
            mechanism_change_reports(xpub, conf, side);
}

filter_t *
guard_filter_new(void *arg, const route_conf_t *conf, counters_t *counters, topics_t *topics)
{
    guard_t *self = arg;
    pthread_mutex_lock(&self->lock);
    parked_t *parked = find_parked(self, conf->name);
    gate_t *gate = parked->gate;
    void *xpub = parked->xpub;
    parked->gate = NULL;
    pthread_mutex_unlock(&self->lock);
    if (gate && !gate_resume(gate, conf, counters, topics)) {
        gate_cut(gate);
        gate_free(&gate);
        change_reports(xpub, conf);
    }
    if (!gate)
        gate = gate_new(conf, counters, topics, (gate_rights_t){ view_of, generation_of, self });
    return gate ? gate_filter(gate) : NULL;
}

// A route that changes live gives its filter back and takes a new one at once:
// who has subscribed to what must not be lost between.
void
guard_filter_free(void *arg, filter_t **filter_p)
{
    guard_t *self = arg;
    if (!*filter_p)
        return;
    gate_t *gate = (*filter_p)->arg;
    *filter_p = NULL;
    pthread_mutex_lock(&self->lock);
    parked_t *parked = find_parked(self, gate_route(gate));
    gate_free(&parked->gate);
    // An older route of that name may end when the newer one has its sockets.
    bool current = !gate_socket(gate) || gate_socket(gate) == parked->xpub;
    parked->gate = current ? gate : NULL;
    pthread_mutex_unlock(&self->lock);
    if (!current)
        gate_free(&gate);
}
