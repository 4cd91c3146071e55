// SPDX-License-Identifier: MPL-2.0
#include "store/jetstream_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/thread.h"

#include <errno.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STACK_BYTES = 512 * 1024 };

void
jetstream_lock(jetstream_t *self)
{
    pthread_mutex_lock(&self->lock);
}

void
jetstream_unlock(jetstream_t *self)
{
    pthread_mutex_unlock(&self->lock);
}

void
jetstream_wake(jetstream_t *self)
{
    if (!self->woken)
        pthread_cond_signal(&self->news);
    self->woken = true;
}

int64_t
jetstream_random(int64_t least, int64_t most)
{
    return least + randombytes_uniform((uint32_t)(most - least));
}

// --- life ------------------------------------------------------------------------------

static char *
copy(const char *text)
{
    return text ? xstrdup(text) : NULL;
}

static void
copy_conf(jetstream_t *self, const route_conf_t *conf)
{
    const nats_conf_t *from = &conf->nats;
    self->conf = (nats_conf_t){
        .servers = copy(from->servers),
        .stream = copy(from->stream),
        .subject = copy(from->subject),
        .replicas = from->replicas,
        .credentials = copy(from->credentials),
        .user = copy(from->user),
        .password = copy(from->password),
        .ca = copy(from->ca),
        .cert = copy(from->cert),
    };
    self->route = xstrdup(conf->name);
    self->topics = socket_type_publishes(conf->sides[SIDE_BACKEND].type);
    self->acked = conf->sides[SIDE_WORKER_ACK].type != -1;
    self->max_bytes = conf->store_max;
    self->drop_oldest = conf->store_drops_oldest;
    self->last_values = conf->last_value > 0;
    self->replay_messages = conf->replay_messages;
    self->replay_bytes = conf->replay_bytes;
    self->replay_time_ms = conf->replay_time_ms;
}

static void
free_conf(nats_conf_t *conf)
{
    if (conf->password)
        sodium_memzero(conf->password, strlen(conf->password));
    char *const texts[] = { conf->servers, conf->stream,   conf->subject, conf->credentials,
                            conf->user,    conf->password, conf->ca,      conf->cert };
    for (size_t i = 0; i < COUNT(texts); i++)
        free(texts[i]);
}

static void
free_all(jetstream_t *self)
{
    publish_forget(self);
    kept_forget(self);
    pull_forget(self);
    free_conf(&self->conf);
    free(self->route);
    free(self->next_subject);
    if (self->bell != -1)
        close(self->bell);
    pthread_cond_destroy(&self->news);
    pthread_cond_destroy(&self->parted);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

// One holder less: the route, the thread, each link.
static void
let_go(jetstream_t *self)
{
    jetstream_lock(self);
    bool last = --self->holders == 0;
    jetstream_unlock(self);
    if (last)
        free_all(self);
}

void
link_drop(link_t **link_p)
{
    link_t *link = *link_p;
    jetstream_t *self = link->jetstream;
    *link_p = NULL;
    jetstream_lock(self);
    bool last = --link->holders == 0;
    jetstream_unlock(self);
    if (!last)
        return;
    free(link);
    let_go(self);
}

static void *run(void *arg);

static int
start_thread(jetstream_t *self)
{
    pthread_t thread;
    int rc = thread_start(&thread, STACK_BYTES, run, self);
    if (rc == 0)
        pthread_detach(thread);
    return rc;
}

jetstream_t *
jetstream_open(const jetstream_setup_t *setup)
{
    const char *why;
    pthread_condattr_t attributes;
    jetstream_t *self = xcalloc(1, sizeof *self);
    self->nats = libnats_load(&why);
    copy_conf(self, setup->conf);
    memcpy(self->node, setup->node, sizeof self->node);
    self->bell = dup(setup->bell);
    self->given_end = &self->given;
    self->kept_end = &self->kept;
    self->arrived.end = &self->arrived.first;
    self->verdicts.end = &self->verdicts.first;
    pthread_mutex_init(&self->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&self->news, &attributes);
    pthread_cond_init(&self->parted, &attributes);
    pthread_condattr_destroy(&attributes);
    snprintf(self->state.reason, sizeof self->state.reason, "not connected yet");
    self->state.since_ms = clock_mono_ms();
    self->holders = 2;
    if (self->nats && self->bell != -1 && start_thread(self) == 0)
        return self;
    int reason = errno;
    free_all(self);
    errno = reason;
    return NULL;
}

void
jetstream_begin(jetstream_t *self, const jetstream_place_t *place)
{
    jetstream_lock(self);
    self->place = *place;
    self->began = place->began;
    self->last_sequence = place->sequence;
    self->stream_made = place->made;
    self->begun = true;
    bool rings = self->arrived.first;
    jetstream_wake(self);
    jetstream_unlock(self);
    if (rings)
        bell_ring(self->bell);
}

void
jetstream_place(jetstream_t *self, jetstream_place_t *place)
{
    jetstream_lock(self);
    *place = self->place;
    jetstream_unlock(self);
}

static struct timespec
due_at(int64_t due_ms)
{
    return (struct timespec){ .tv_sec = due_ms / 1000, .tv_nsec = due_ms % 1000 * 1000000 };
}

void
jetstream_hush(jetstream_t *self, int64_t wait_ms)
{
    const struct timespec due = due_at(clock_mono_ms() + wait_ms);
    jetstream_lock(self);
    self->hushes = true;
    jetstream_wake(self);
    while (self->state.ready && !self->topics && !self->hushed &&
           pthread_cond_timedwait(&self->parted, &self->lock, &due) == 0)
        continue;
    jetstream_unlock(self);
}

void
jetstream_end(jetstream_t *self, int64_t wait_ms)
{
    const struct timespec due = due_at(clock_mono_ms() + wait_ms);
    jetstream_lock(self);
    self->hushes = self->ending = true;
    jetstream_wake(self);
    while (wait_ms > 0 && !self->has_ended && pthread_cond_timedwait(&self->parted, &self->lock, &due) == 0)
        continue;
    jetstream_unlock(self);
}

void
jetstream_close(jetstream_t **self_p)
{
    jetstream_t *self = *self_p;
    if (!self)
        return;
    jetstream_end(self, 0);
    let_go(self);
    *self_p = NULL;
}

// --- for the route's thread --------------------------------------------------------------

void
jetstream_state(jetstream_t *self, jetstream_state_t *state)
{
    jetstream_lock(self);
    *state = self->state;
    state->waiting = self->unsettled;
    jetstream_unlock(self);
}

// --- the thread ------------------------------------------------------------------------------

static void
say(jetstream_t *self, event_id_t id, const char *reason)
{
    log_event(id, EVENT_TEXT("route", self->route), EVENT_TEXT("server", self->state.server),
              EVENT_PROSE("reason", reason));
}

static void
became_ready(jetstream_t *self)
{
    jetstream_lock(self);
    self->state.ready = true;
    self->state.number = self->server;
    self->most = self->link->max_payload;
    self->state.reason[0] = '\0';
    jetstream_unlock(self);
    self->was_ready = true;
    say(self, EVENT_NATS_READY, NULL);
    bell_ring(self->bell);
}

// The first time, and when it was ready: what follows is the same trouble, until it is over.
static void
became_unready(jetstream_t *self, link_result_t result, const char *reason)
{
    jetstream_lock(self);
    bool is_news = self->state.ready || strcmp(self->state.reason, reason) != 0;
    if (self->state.ready)
        self->state.since_ms = clock_mono_ms();
    self->state.ready = false;
    self->state.failed = result == LINK_NEVER;
    snprintf(self->state.reason, sizeof self->state.reason, "%s", reason);
    jetstream_unlock(self);
    if (is_news && result != LINK_NEVER)
        say(self, EVENT_NATS_AWAY, reason);
    bell_ring(self->bell);
}

// Until DUE_MS, or until there is news since it was woken last. The lock is held.
static void
sleep_until(jetstream_t *self, int64_t due_ms)
{
    const struct timespec due = due_at(due_ms);
    while (!self->woken && !self->ending && pthread_cond_timedwait(&self->news, &self->lock, &due) == 0)
        continue;
    self->woken = false;
}

static bool
goes_on(jetstream_t *self)
{
    jetstream_lock(self);
    bool on = !self->ending && !self->link->lost && !self->consumer_gone;
    jetstream_unlock(self);
    return on && self->forgotten == 0;
}

static void
serve(jetstream_t *self)
{
    while (goes_on(self)) {
        int64_t now_ms = clock_mono_ms();
        publish_take(self);
        pull_hush(self);
        pull_answer(self);
        int64_t due_ms = publish_work(self, now_ms);
        pull_work(self, now_ms);
        jetstream_lock(self);
        if (self->pulling && self->pull_ends_ms < due_ms)
            due_ms = self->pull_ends_ms;
        sleep_until(self, due_ms);
        jetstream_unlock(self);
    }
    pull_hush(self);
    pull_answer(self); // what was said at the end
}

static void
say_why_over(const jetstream_t *self, char reason[256])
{
    if (self->forgotten > 0)
        snprintf(reason, 256, "the servers have forgotten what they had acknowledged from message %" PRIu64 " on",
                 self->forgotten);
    else
        snprintf(reason, 256, "%s", link_last_error(self, NATS_OK));
}

static void
rest(jetstream_t *self, int64_t least_ms, int64_t most_ms)
{
    int64_t due_ms = clock_mono_ms() + jetstream_random(least_ms, most_ms);
    jetstream_lock(self);
    while (!self->ending && clock_mono_ms() < due_ms)
        sleep_until(self, due_ms);
    jetstream_unlock(self);
}

static bool
is_ending(jetstream_t *self)
{
    jetstream_lock(self);
    bool ending = self->ending;
    jetstream_unlock(self);
    return ending;
}

static void
wait_for_begin(jetstream_t *self)
{
    jetstream_lock(self);
    while (!self->begun && !self->ending)
        pthread_cond_wait(&self->news, &self->lock);
    jetstream_unlock(self);
}

// A connection, for as long as it lasts.
static link_result_t
live(jetstream_t *self)
{
    char reason[256] = "";
    link_result_t result = link_open(self, reason);
    if (result == LINK_UP)
        result = stream_prepare(self, reason);
    if (result == LINK_UP) {
        self->forgotten = 0;
        publish_lost(self);
        pull_reset(self);
        became_ready(self);
        serve(self);
        say_why_over(self, reason);
        result = LINK_LATER;
    }
    if (result == LINK_NEVER && self->was_ready)
        result = LINK_LATER; // it worked before, and may again
    link_close(self);
    publish_reset(self);
    if (!is_ending(self))
        became_unready(self, result, reason);
    return result;
}

static void *
run(void *arg)
{
    jetstream_t *self = arg;
    char name[16];
    snprintf(name, sizeof name, "zb+%.12s", self->route);
    pthread_setname_np(pthread_self(), name);
    wait_for_begin(self);
    while (!is_ending(self) && live(self) == LINK_LATER)
        rest(self, WAIT_LEAST_MS, WAIT_MOST_MS);
    jetstream_lock(self);
    self->has_ended = true;
    pthread_cond_signal(&self->parted);
    jetstream_unlock(self);
    let_go(self);
    return NULL;
}
