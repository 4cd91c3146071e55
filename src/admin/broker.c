// SPDX-License-Identifier: MPL-2.0
#include "admin/broker.h"

#include "admin/activation.h"
#include "admin/service.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/suggest.h"
#include "guard/policy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define SECONDS 60   // that rates are averaged over
#define HISTORY 900  // seconds of messages a second

// What the rates are made of.
typedef struct {
    uint64_t in, out, in_bytes, out_bytes, blocked_ns;
} sample_t;

typedef struct {
    route_conf_t *conf;
    route_t *route;        // NULL while disabled or failed
    counters_t *counters;  // of this route_t: each generation has one writer
    counters_t past;       // of those that are gone
    counters_t total;      // made for whoever asks
    counters_t cleared;
    route_state_t mode;    // running, paused, draining, disabled, failed: wanted
    char *failure;
    bool opening_later;    // the one before must be gone first
    listeners_t waiting;   // for that: what is bound already, so that nobody is refused meanwhile
    int64_t started_wall_ns;
    sample_t samples[SECONDS + 1];
    unsigned sample_count, newest;
    uint32_t history[HISTORY], history_out[HISTORY]; // the newest last
    uint32_t history_count;
} slot_t;

// A route on its way out: disabled, removed, replaced, or stopped.
typedef struct retired {
    struct retired *next;
    route_t *route;
    route_conf_t *conf;
    bool owns_conf;        // the slot has another one now, or is gone
    counters_t *counters;
    char *name;
    const char *why;
} retired_t;

// Logins outlive the routes they were for: the guard's thread counts them here.
typedef struct logins {
    struct logins *next;
    counters_t counters;
    char name[ROUTE_NAME_MAX + 1];
} logins_t;

struct broker {
    zloop_t *loop;
    const broker_setup_t *setup;
    conf_t *conf;          // its routes are in the slots
    slot_t **slots;
    size_t count, room;
    retired_t *retired;
    int64_t stop_ms;       // deadline of the stop
    logins_t *logins;
    broker_status_t status;
    int tick;
};

// --- counters ------------------------------------------------------------------

// counters_t is nothing but counter_t, one after another.
static void
add_counters(counters_t *to, const counters_t *from)
{
    counter_t *sum = (counter_t *) to;
    const counter_t *part = (const counter_t *) from;
    for (size_t i = 0; i < sizeof *to / sizeof(counter_t); i++)
        counter_add(&sum[i], counter_get(&part[i]));
}

static counters_t *
logins_of(broker_t *self, const char *route)
{
    for (logins_t *i = self->logins; i; i = i->next)
        if (strcmp(i->name, route) == 0)
            return &i->counters;
    logins_t *logins = xcalloc(1, sizeof *logins);
    memcpy(logins->name, route, strlen(route) + 1);
    logins->next = self->logins;
    self->logins = logins;
    return &logins->counters;
}

static bool
belongs_to(const retired_t *retired, const slot_t *slot)
{
    return strcmp(retired->name, slot->conf->name) == 0;
}

static bool
is_leaving(const broker_t *self, const slot_t *slot)
{
    for (const retired_t *i = self->retired; i; i = i->next)
        if (belongs_to(i, slot))
            return true;
    return false;
}

static const counters_t *
total(broker_t *self, slot_t *slot)
{
    memset(&slot->total, 0, sizeof slot->total);
    add_counters(&slot->total, logins_of(self, slot->conf->name));
    add_counters(&slot->total, &slot->past);
    for (const retired_t *i = self->retired; i; i = i->next)
        if (belongs_to(i, slot))
            add_counters(&slot->total, i->counters);
    for (int side = 0; side < SIDES; side++) // when it is blocked is told by the one that runs
        counter_set(&slot->total.sides[side].blocked_since_ns, 0);
    if (slot->counters)
        add_counters(&slot->total, slot->counters);
    return &slot->total;
}

// --- slots -----------------------------------------------------------------------

static slot_t *
find_slot(const broker_t *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++)
        if (strcmp(self->slots[i]->conf->name, name) == 0)
            return self->slots[i];
    return NULL;
}

static slot_t *
add_slot(broker_t *self, route_conf_t *conf)
{
    mem_grow(self->slots, self->count, self->room);
    slot_t *slot = self->slots[self->count++] = xcalloc(1, sizeof *slot);
    slot->conf = conf;
    return slot;
}

// The slot is done with CONF; a route that is still leaving may not be, and takes it over.
static void
give_up_conf(broker_t *self, route_conf_t **conf_p)
{
    for (retired_t *i = self->retired; i; i = i->next)
        if (i->conf == *conf_p) {
            i->owns_conf = true;
            *conf_p = NULL;
        }
    route_conf_destroy(conf_p);
}

static void
free_slot(broker_t *self, slot_t *slot)
{
    give_up_conf(self, &slot->conf);
    listeners_close(&slot->waiting, false);
    free(slot->counters);
    free(slot->failure);
    free(slot);
}

static void
remove_slot(broker_t *self, slot_t *slot)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i] == slot) {
            memmove(&self->slots[i], &self->slots[i + 1], (self->count - i - 1) * sizeof *self->slots);
            self->count--;
            return;
        }
}

static void
describe(const route_t *route, text_t *out)
{
    for (side_t side = 0; side < SIDES; side++) {
        bool connected;
        const char *endpoint;
        for (size_t i = 0; (endpoint = route_endpoint(route, side, i, &connected)); i++)
            text_add(out, "%s%s %s%s", out->size ? ", " : "", side_name(side), connected ? ">" : "", endpoint);
    }
}

// Give the route its thread, in the state it had.
static int
run_slot(slot_t *slot, const char *event)
{
    if (route_run(slot->route) == -1) {
        log_error("route %s: cannot start its thread: %s", slot->conf->name, strerror(errno));
        return -1;
    }
    slot->started_wall_ns = clock_wall_ns();
    if (slot->mode == ROUTE_PAUSED)
        route_pause(slot->route);
    else if (slot->mode == ROUTE_DRAINING)
        route_drain(slot->route);
    else
        slot->mode = ROUTE_RUNNING;
    text_t where = { 0 };
    describe(slot->route, &where);
    log_notice("route %s: %s, %s", slot->conf->name, event, where.data ? where.data : "");
    text_free(&where);
    return 0;
}

static void
fail_slot(slot_t *slot, diag_t *diag)
{
    diag_level_t level;
    const char *reason = diag_text(diag, 0, &level);
    slot->mode = ROUTE_FAILED;
    free(slot->failure);
    slot->failure = xstrdup(reason ? reason : "unknown reason");
    log_error("route %s: failed: %s", slot->conf->name, slot->failure);
}

static route_t *
open_route(broker_t *self, const route_conf_t *conf, listeners_t *listeners, counters_t **counters, diag_t *diag)
{
    *counters = xcalloc(1, sizeof **counters);
    route_t *route = route_open(conf, listeners, &self->setup->services, *counters, diag);
    if (!route) {
        free(*counters);
        *counters = NULL;
    }
    return route;
}

// A route without a thread is none.
static void
drop_route(slot_t *slot, diag_t *diag)
{
    diag_error(diag, slot->conf->place, "[route %s] cannot start its thread", slot->conf->name);
    route_close(&slot->route, NULL);
    add_counters(&slot->past, slot->counters);
    free(slot->counters);
    slot->counters = NULL;
}

static bool
connects_to(const route_conf_t *conf, const char *endpoint)
{
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++)
            if (conf->sides[side].endpoints[i].connect && strcmp(conf->sides[side].endpoints[i].at.text, endpoint) == 0)
                return true;
    return false;
}

// Other routes of ours that lead here over inproc.
static void
call_back(broker_t *self, const slot_t *slot)
{
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < slot->conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &slot->conf->sides[side].endpoints[i];
            if (endpoint->connect || endpoint->at.transport != TRANSPORT_INPROC)
                continue;
            for (size_t j = 0; j < self->count; j++)
                if (self->slots[j]->route && connects_to(self->slots[j]->conf, endpoint->at.text))
                    route_reconnect(self->slots[j]->route, endpoint->at.text);
        }
}

// Bind, open and run a slot that has no route, on the listeners that wait for it.
static int
bring_up(broker_t *self, slot_t *slot, const char *event, diag_t *diag)
{
    if (listeners_bind(&slot->waiting, slot->conf, &self->setup->services, diag) == 0)
        slot->route = open_route(self, slot->conf, &slot->waiting, &slot->counters, diag);
    listeners_close(&slot->waiting, false);
    if (slot->route && run_slot(slot, event) == -1)
        drop_route(slot, diag);
    if (!slot->route) {
        fail_slot(slot, diag);
        return -1;
    }
    call_back(self, slot);
    free(slot->failure);
    slot->failure = NULL;
    return 0;
}

// --- the order of stopping ---------------------------------------------------------

static bool
has_inproc(const side_conf_t *side, const char *text)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i].at.transport == TRANSPORT_INPROC && strcmp(side->endpoints[i].at.text, text) == 0)
            return true;
    return false;
}

// Do the messages of UP go on to DOWN inside the process?
static bool
feeds(const route_conf_t *up, const route_conf_t *down)
{
    const side_conf_t *out = &up->sides[SIDE_BACKEND];
    for (size_t i = 0; i < out->endpoint_count; i++) {
        const endpoint_t *at = &out->endpoints[i].at;
        if (at->transport == TRANSPORT_INPROC
            && (has_inproc(&down->sides[SIDE_FRONTEND], at->text) || has_inproc(&down->sides[SIDE_INGRESS], at->text)))
            return true;
    }
    return false;
}

static bool
is_fed(const broker_t *self, const slot_t *slot)
{
    for (const retired_t *i = self->retired; i; i = i->next)
        if (feeds(i->conf, slot->conf))
            return true;
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i] != slot && self->slots[i]->route && feeds(self->slots[i]->conf, slot->conf))
            return true;
    return false;
}

static int64_t
drain_time_ms(const broker_t *self)
{
    int64_t rest = self->stop_ms - clock_mono_ms();
    if (!self->status.stopping)
        return self->conf->drain_timeout_ms;
    return rest > 0 ? rest : 0;
}

static void retire(broker_t *self, slot_t *slot, const char *why);

static void
retire_all(broker_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i]->route)
            retire(self, self->slots[i], "stopped");
}

// Along a chain of routes the head stops first: what it still delivers must find the next one there.
static void
retire_heads(broker_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i]->route && !is_fed(self, self->slots[i]))
            retire(self, self->slots[i], "stopped");
    if (!self->retired) // a ring
        retire_all(self);
}

// --- routes that go ----------------------------------------------------------------

static void
unlink_retired(broker_t *self, retired_t *retired)
{
    for (retired_t **at = &self->retired; *at; at = &(*at)->next)
        if (*at == retired) {
            *at = retired->next;
            return;
        }
}

static void
log_leftover(const retired_t *retired, const route_leftover_t *left)
{
    if (left->undelivered || left->unanswered)
        log_warning("route %s: %s with %" PRIu64 " messages undelivered and %" PRIu64 " requests unanswered", retired->name,
                    retired->why, left->undelivered, left->unanswered);
    else
        log_notice("route %s: %s, nothing left", retired->name, retired->why);
}

static void
open_later(broker_t *self, slot_t *slot)
{
    slot->opening_later = false;
    diag_t *diag = diag_new();
    bring_up(self, slot, "started again", diag);
    diag_destroy(&diag);
}

// One of that name has gone: the oldest that is left may have its consumers.
static void
join_next(broker_t *self, slot_t *slot, const char *name)
{
    route_t *next = slot ? slot->route : NULL;
    for (const retired_t *i = self->retired; i; i = i->next) // the newest comes first
        if (strcmp(i->name, name) == 0)
            next = i->route;
    if (next)
        route_join(next);
}

static bool
is_bound(const broker_t *self, const char *endpoint)
{
    for (size_t i = 0; i < self->count; i++)
        for (side_t side = 0; self->slots[i]->route && side < SIDES; side++) {
            const side_conf_t *conf = &self->slots[i]->conf->sides[side];
            for (size_t k = 0; k < conf->endpoint_count; k++)
                if (!conf->endpoints[k].connect && strcmp(conf->endpoints[k].at.text, endpoint) == 0)
                    return true;
        }
    return false;
}

// systemd's store would keep on taking connects where no route binds any more.
// While the process stops it is to do just that, for the next one.
static void
unstore(const broker_t *self, const route_conf_t *conf)
{
    for (side_t side = 0; !self->status.stopping && side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            char name[256];
            if (endpoint->connect || endpoint->at.transport != TRANSPORT_TCP || is_bound(self, endpoint->at.text))
                continue;
            activation_name(endpoint, name);
            service_unstore(name);
        }
}

static void
bury(broker_t *self, retired_t *retired)
{
    route_leftover_t left;
    unlink_retired(self, retired);
    route_close(&retired->route, &left);
    log_leftover(retired, &left);
    slot_t *slot = find_slot(self, retired->name);
    if (slot)
        add_counters(&slot->past, retired->counters);
    free(retired->counters);
    unstore(self, retired->conf);
    if (retired->owns_conf)
        route_conf_destroy(&retired->conf);
    char *name = retired->name;
    free(retired);
    if (slot && slot->opening_later)
        open_later(self, slot);
    else
        join_next(self, slot, name);
    free(name);
}

static int
on_finished(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    broker_t *self = arg;
    zloop_poller_end(loop, item);
    for (retired_t *i = self->retired, *next; i; i = next) {
        next = i->next;
        if (route_finished_fd(i->route) == item->fd) {
            bury(self, i);
            break;
        }
    }
    if (self->status.stopping)
        retire_heads(self);
    return self->status.stopping && broker_stopped(self) ? -1 : 0;
}

// Its configuration goes with it when the slot gives that up.
static void
retire(broker_t *self, slot_t *slot, const char *why)
{
    retired_t *retired = xcalloc(1, sizeof *retired);
    *retired = (retired_t) { .next = self->retired, .route = slot->route, .conf = slot->conf };
    retired->counters = slot->counters;
    retired->name = xstrdup(slot->conf->name);
    retired->why = why;
    self->retired = retired;
    slot->route = NULL;
    slot->counters = NULL;
    route_finish(retired->route, drain_time_ms(self), false);
    zmq_pollitem_t item = { .fd = route_finished_fd(retired->route), .events = ZMQ_POLLIN };
    zloop_poller(self->loop, &item, on_finished, self);
}

// --- rates -------------------------------------------------------------------------

static sample_t
sample(const counters_t *counters)
{
    const side_counters_t *front = &counters->sides[SIDE_FRONTEND], *ingress = &counters->sides[SIDE_INGRESS];
    const side_counters_t *back = &counters->sides[SIDE_BACKEND];
    sample_t now = { .in = counter_get(&front->messages_received) + counter_get(&ingress->messages_received),
                     .in_bytes = counter_get(&front->received_bytes) + counter_get(&ingress->received_bytes),
                     .out = counter_get(&back->messages_sent),
                     .out_bytes = counter_get(&back->sent_bytes) };
    for (int side = 0; side < SIDES; side++) {
        uint64_t since = counter_get(&counters->sides[side].blocked_since_ns);
        now.blocked_ns += counter_get(&counters->sides[side].blocked_ns);
        if (since)
            now.blocked_ns += (uint64_t) clock_mono_ns() - since;
    }
    return now;
}

static void
remember(uint32_t history[HISTORY], uint64_t messages)
{
    memmove(history, history + 1, (HISTORY - 1) * sizeof *history);
    history[HISTORY - 1] = messages < UINT32_MAX ? (uint32_t) messages : UINT32_MAX;
}

static int
on_second(zloop_t *loop, int timer, void *arg)
{
    (void) loop;
    (void) timer;
    broker_t *self = arg;
    for (size_t i = 0; i < self->count; i++) {
        slot_t *slot = self->slots[i];
        sample_t now = sample(total(self, slot)), *before = &slot->samples[slot->newest];
        if (slot->sample_count) { // the first sample has nothing to compare with
            remember(slot->history, now.in - before->in);
            remember(slot->history_out, now.out - before->out);
            slot->history_count += slot->history_count < HISTORY;
        }
        slot->newest = (slot->newest + 1) % (SECONDS + 1);
        slot->samples[slot->newest] = now;
        if (slot->sample_count < SECONDS + 1)
            slot->sample_count++;
    }
    return 0;
}

static const sample_t *
sample_before(const slot_t *slot, unsigned seconds)
{
    return &slot->samples[(slot->newest + SECONDS + 1 - seconds) % (SECONDS + 1)];
}

static void
fill_rates(const slot_t *slot, broker_route_t *out)
{
    unsigned span = slot->sample_count ? slot->sample_count - 1 : 0;
    if (span == 0)
        return;
    const sample_t *now = &slot->samples[slot->newest], *one = sample_before(slot, 1), *all = sample_before(slot, span);
    out->rate_in_1s = (double) (now->in - one->in);
    out->rate_out_1s = (double) (now->out - one->out);
    out->bytes_in_1s = (double) (now->in_bytes - one->in_bytes);
    out->bytes_out_1s = (double) (now->out_bytes - one->out_bytes);
    out->rate_in_60s = (double) (now->in - all->in) / span;
    out->rate_out_60s = (double) (now->out - all->out) / span;
    out->blocked_share = (double) (now->blocked_ns - all->blocked_ns) / 1e9 / span;
    if (out->blocked_share > 1)
        out->blocked_share = 1;
    out->history_count = slot->history_count;
    out->history = slot->history + HISTORY - slot->history_count;
    out->history_out = slot->history_out + HISTORY - slot->history_count;
}

// --- looking -------------------------------------------------------------------------

static route_state_t
state_of(const broker_t *self, const slot_t *slot)
{
    if (slot->mode == ROUTE_DISABLED || slot->opening_later)
        for (const retired_t *i = self->retired; i; i = i->next)
            if (belongs_to(i, slot))
                return ROUTE_DRAINING;
    if (slot->mode == ROUTE_RUNNING && self->status.stopping)
        return ROUTE_DRAINING;
    return slot->mode;
}

static void
fill(broker_t *self, slot_t *slot, broker_route_t *out)
{
    *out = (broker_route_t) { .conf = slot->conf, .route = slot->route, .cleared = &slot->cleared };
    out->state = state_of(self, slot);
    out->failure = slot->mode == ROUTE_FAILED && slot->failure ? slot->failure : "";
    out->counters = total(self, slot);
    out->started_wall_ns = slot->started_wall_ns;
    fill_rates(slot, out);
}

size_t
broker_count(const broker_t *self)
{
    return self->count;
}

bool
broker_at(broker_t *self, size_t i, broker_route_t *route)
{
    if (i >= self->count)
        return false;
    fill(self, self->slots[i], route);
    return true;
}

bool
broker_find(broker_t *self, const char *name, broker_route_t *route)
{
    slot_t *slot = find_slot(self, name);
    if (slot)
        fill(self, slot, route);
    return slot != NULL;
}

void
broker_status(const broker_t *self, broker_status_t *status)
{
    *status = self->status;
}

const conf_t *
broker_conf(const broker_t *self)
{
    return self->conf;
}

watch_t *
broker_watch(const broker_t *self)
{
    return self->setup->services.watch;
}

static slot_t *
ask_slot(broker_t *self, const char *name, text_t *error)
{
    slot_t *slot = find_slot(self, name);
    if (slot)
        return slot;
    suggest_t near = suggest_for(name);
    for (size_t i = 0; i < self->count; i++)
        suggest_offer(&near, self->slots[i]->conf->name);
    text_add(error, "no route %s", name);
    if (near.best[0])
        text_add(error, "; did you mean %s?", near.best);
    return NULL;
}

// --- verbs ---------------------------------------------------------------------------

static int
refuse(text_t *error, const slot_t *slot, const char *why)
{
    text_add(error, "route %s %s", slot->conf->name, why);
    return -1;
}

static int
set_mode(slot_t *slot, route_state_t mode, void (*tell)(route_t *), text_t *error)
{
    if (!slot->route)
        return refuse(error, slot, slot->mode == ROUTE_FAILED ? "has failed; enable it to try again" : "is disabled; enable it first");
    if (slot->conf->engine == ENGINE_ZMQ_PROXY && mode != ROUTE_RUNNING)
        return refuse(error, slot, "runs zmq_proxy, which cannot be paused or drained");
    if (slot->mode == mode)
        return 0;
    slot->mode = mode;
    tell(slot->route);
    log_notice("route %s: %s", slot->conf->name, route_state_name(mode));
    return 0;
}

static int
do_pause(broker_t *self, slot_t *slot, text_t *error)
{
    (void) self;
    return set_mode(slot, ROUTE_PAUSED, route_pause, error);
}

static int
do_resume(broker_t *self, slot_t *slot, text_t *error)
{
    (void) self;
    return set_mode(slot, ROUTE_RUNNING, route_resume, error);
}

static int
do_drain(broker_t *self, slot_t *slot, text_t *error)
{
    (void) self;
    return set_mode(slot, ROUTE_DRAINING, route_drain, error);
}

static int
do_disable(broker_t *self, slot_t *slot, text_t *error)
{
    (void) error;
    if (slot->route) {
        route_stop_accepting(slot->route, CLOSED_FOR_MOVE, NULL);
        retire(self, slot, "disabled");
    }
    slot->mode = ROUTE_DISABLED;
    slot->opening_later = false;
    listeners_close(&slot->waiting, false);
    return 0;
}

static int
do_enable(broker_t *self, slot_t *slot, text_t *error)
{
    if (slot->route)
        return 0;
    slot->mode = ROUTE_RUNNING;
    if (is_leaving(self, slot)) {
        slot->opening_later = true; // as soon as what is draining has gone
        return 0;
    }
    diag_t *diag = diag_new();
    int rc = bring_up(self, slot, "enabled", diag);
    if (rc == -1)
        text_add(error, "route %s: %s", slot->conf->name, slot->failure);
    diag_destroy(&diag);
    return rc;
}

static int (*const verbs[])(broker_t *self, slot_t *slot, text_t *error) = {
    [VERB_PAUSE] = do_pause,     [VERB_RESUME] = do_resume, [VERB_DRAIN] = do_drain,
    [VERB_DISABLE] = do_disable, [VERB_ENABLE] = do_enable,
};

int
broker_verb(broker_t *self, verb_t verb, const char *route, text_t *error)
{
    slot_t *slot = ask_slot(self, route, error);
    if (!slot)
        return -1;
    if (self->status.stopping)
        return refuse(error, slot, "is stopping with the process");
    return verbs[verb](self, slot, error);
}

static void
clear(broker_t *self, slot_t *slot)
{
    memcpy(&slot->cleared, total(self, slot), sizeof slot->cleared);
    for (int side = 0; side < SIDES; side++) { // a spell that lasts is cleared up to now
        side_counters_t *at = &slot->cleared.sides[side];
        uint64_t since = counter_get(&at->blocked_since_ns);
        if (since)
            counter_add(&at->blocked_ns, (uint64_t) clock_mono_ns() - since);
    }
}

int
broker_clear(broker_t *self, const char *route, text_t *error)
{
    slot_t *slot = route ? ask_slot(self, route, error) : NULL;
    if (route && !slot)
        return -1;
    for (size_t i = 0; i < self->count; i++)
        if (!slot || self->slots[i] == slot)
            clear(self, self->slots[i]);
    return 0;
}

int
broker_kick(broker_t *self, const char *route, const char *client, text_t *error)
{
    if (!ask_slot(self, route, error))
        return -1;
    char *end;
    unsigned long long id = strtoull(client, &end, 10);
    if (*client && *client != '-' && !*end && watch_kick(broker_watch(self), route, id) == 0) {
        log_notice("route %s: client %llu kicked", route, id);
        return 0;
    }
    text_add(error, "route %s has no client %s", route, client);
    return -1;
}

// --- reload ----------------------------------------------------------------------------

// What one step of a plan has made ready before anything old is given up.
typedef struct {
    listeners_t listeners;
    route_t *route;
    counters_t *counters;
    bool later; // its binds belong to libzmq (inproc, …): the old route must go first
} ready_t;

static bool
binds_without_descriptor(const route_conf_t *conf)
{
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            if (!endpoint->connect && endpoint->at.transport != TRANSPORT_TCP && endpoint->at.transport != TRANSPORT_IPC)
                return true;
        }
    return false;
}

static void
share_others(broker_t *self, const slot_t *own, listeners_t *shared)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->slots[i] != own && self->slots[i]->route)
            route_share_listeners(self->slots[i]->route, shared);
    for (const retired_t *i = self->retired; i; i = i->next)
        route_share_listeners(i->route, shared);
}

// What CONF binds and somebody has bound already: the route's own, or that of
// another route, for an endpoint may move from one route to another.
static void
keep_wanted(listeners_t *own, listeners_t *others, listeners_t *to, const route_conf_t *conf)
{
    for (side_t side = 0; side < SIDES; side++)
        for (size_t i = 0; i < conf->sides[side].endpoint_count; i++) {
            const endpoint_conf_t *endpoint = &conf->sides[side].endpoints[i];
            if (endpoint->connect)
                continue;
            listener_t *listener = listeners_take(own, side, endpoint->at.text);
            if (!listener)
                listener = listeners_take_any(others, endpoint->at.text);
            if (listener)
                listeners_add(to, listener, side);
        }
}

// Whoever is of that name, and delivers still, keeps its consumers meanwhile.
static bool
is_named(const broker_t *self, const char *name)
{
    const slot_t *slot = find_slot(self, name);
    bool named = slot && slot->route;
    for (const retired_t *i = self->retired; i; i = i->next)
        named |= strcmp(i->name, name) == 0;
    return named;
}

static void
gather_listeners(broker_t *self, const slot_t *slot, const route_conf_t *wanted, listeners_t *to)
{
    listeners_t own = { 0 }, others = { 0 };
    if (slot)
        route_share_listeners(slot->route, &own);
    share_others(self, slot, &others);
    keep_wanted(&own, &others, to, wanted);
    to->wait = is_named(self, wanted->name);
    listeners_close(&own, false);
    listeners_close(&others, false);
}

// The listeners that the running route of this name has already need not be given to it again.
static void
leave_out_own(const slot_t *slot, listeners_t *listeners)
{
    listeners_t own = { 0 };
    route_share_listeners(slot->route, &own);
    for (size_t i = 0; i < own.count; i++) {
        listener_t *twin = listeners_take(listeners, own.side[i], listener_wanted(own.at[i]));
        listener_close(&twin, false);
    }
    listeners_close(&own, false);
}

// Disabled or failed routes stay so, with the new configuration.
static slot_t *
slot_of(const broker_t *self, const plan_step_t *step)
{
    return step->running ? find_slot(self, step->running->name) : NULL;
}

static bool
needs_sockets(const broker_t *self, const plan_step_t *step)
{
    const slot_t *slot = slot_of(self, step);
    return step->action != PLAN_KEEP && step->action != PLAN_STOP && (!slot || slot->route);
}

static int
bind_ready(broker_t *self, const plan_step_t *step, ready_t *ready, diag_t *diag)
{
    if (!needs_sockets(self, step))
        return 0;
    const slot_t *slot = slot_of(self, step);
    gather_listeners(self, slot, step->wanted, &ready->listeners);
    if (listeners_bind(&ready->listeners, step->wanted, &self->setup->services, diag) == -1)
        return -1;
    if (step->action == PLAN_CHANGE)
        leave_out_own(slot, &ready->listeners);
    ready->later = step->action == PLAN_REPLACE && binds_without_descriptor(step->wanted);
    return 0;
}

static int
open_ready(broker_t *self, const plan_step_t *step, ready_t *ready, diag_t *diag)
{
    if (!needs_sockets(self, step) || step->action == PLAN_CHANGE || ready->later)
        return 0;
    ready->route = open_route(self, step->wanted, &ready->listeners, &ready->counters, diag);
    return ready->route ? 0 : -1;
}

static void
undo(ready_t *ready)
{
    route_close(&ready->route, NULL);
    listeners_close(&ready->listeners, false);
    free(ready->counters);
}

static void
adopt_conf(slot_t *slot, conf_t *wanted)
{
    char name[ROUTE_NAME_MAX + 1];
    memcpy(name, slot->conf->name, sizeof name);
    slot->conf = conf_take(wanted, name);
}

static void
run_ready(slot_t *slot, const char *event)
{
    if (run_slot(slot, event) == 0)
        return;
    diag_t *diag = diag_new();
    drop_route(slot, diag);
    fail_slot(slot, diag);
    diag_destroy(&diag);
}

static void
do_start(broker_t *self, conf_t *wanted, const plan_step_t *step, ready_t *ready)
{
    slot_t *slot = add_slot(self, conf_take(wanted, step->wanted->name));
    slot->route = ready->route;
    slot->counters = ready->counters;
    run_ready(slot, "started");
}

static void
do_stop(broker_t *self, conf_t *wanted, const plan_step_t *step, ready_t *ready)
{
    (void) wanted;
    (void) ready;
    slot_t *slot = find_slot(self, step->running->name);
    if (slot->route) {
        route_stop_accepting(slot->route, CLOSED_FOR_MOVE, NULL);
        retire(self, slot, "removed");
    }
    remove_slot(self, slot);
    free_slot(self, slot);
}

static void
do_replace(broker_t *self, conf_t *wanted, const plan_step_t *step, ready_t *ready)
{
    slot_t *slot = find_slot(self, step->running->name);
    route_conf_t *old = slot->conf;
    bool had_route = slot->route;
    if (had_route) {
        route_stop_accepting(slot->route, CLOSED_FOR_MOVE, step->wanted);
        retire(self, slot, "re-created");
    }
    adopt_conf(slot, wanted);
    give_up_conf(self, &old);
    if (!had_route) {
        if (slot->mode == ROUTE_FAILED)
            open_later(self, slot);
        return;
    }
    slot->opening_later = ready->later;
    if (ready->later) {
        slot->waiting = ready->listeners;
        ready->listeners = (listeners_t) { 0 };
        return;
    }
    slot->route = ready->route;
    slot->counters = ready->counters;
    run_ready(slot, "re-created");
}

// A live change went wrong half-way: what it can have, it gets by being made anew.
static void
make_anew(broker_t *self, slot_t *slot, diag_t *diag)
{
    diag_level_t level;
    const char *text;
    for (size_t i = 0; (text = diag_text(diag, i, &level)); i++)
        log_error("route %s: %s", slot->conf->name, text);
    gather_listeners(self, slot, slot->conf, &slot->waiting);
    retire(self, slot, "re-created");
    slot->opening_later = true;
}

static void
do_change(broker_t *self, conf_t *wanted, const plan_step_t *step, ready_t *ready)
{
    slot_t *slot = find_slot(self, step->running->name);
    route_conf_t *old = slot->conf;
    diag_t *diag = diag_new();
    adopt_conf(slot, wanted);
    if (slot->route && route_change(slot->route, slot->conf, &ready->listeners, diag) == -1)
        make_anew(self, slot, diag);
    else if (slot->mode == ROUTE_FAILED)
        open_later(self, slot);
    diag_destroy(&diag);
    unstore(self, old);
    give_up_conf(self, &old);
}

// Its text did not change; its place in the file may have.
static void
do_keep(broker_t *self, conf_t *wanted, const plan_step_t *step, ready_t *ready)
{
    (void) self;
    (void) wanted;
    (void) step;
    (void) ready;
}

static void (*const actions[])(broker_t *self, conf_t *wanted, const plan_step_t *step, ready_t *ready) = {
    [PLAN_KEEP] = do_keep,   [PLAN_CHANGE] = do_change, [PLAN_REPLACE] = do_replace,
    [PLAN_START] = do_start, [PLAN_STOP] = do_stop,
};

static plan_t *
make_plan(broker_t *self, const conf_t *wanted)
{
    const route_conf_t **running = xcalloc(self->count + 1, sizeof *running);
    for (size_t i = 0; i < self->count; i++)
        running[i] = self->slots[i]->conf;
    plan_t *plan = plan_make(wanted, &self->conf->settings, running, self->count);
    free(running);
    return plan;
}

static void
answer_problems(diag_t *diag, text_t *answer)
{
    diag_level_t level;
    for (size_t i = 0; diag_text(diag, i, &level); i++)
        text_add(answer, "%s\n", diag_text(diag, i, &level));
}

static void
note_reload(broker_t *self, bool ok)
{
    self->status.reload_ok = ok;
    if (ok) {
        self->status.reloads_success++;
        self->status.reload_wall_ns = clock_wall_ns();
    } else
        self->status.reloads_failure++;
}

// What the guard is to know of these routes, in *POLICY_P. 0, or -1 with DIAG.
static int
ask_guard(broker_t *self, const route_conf_t *const *confs, size_t count, policy_t **policy_p, diag_t *diag)
{
    if (!self->setup->guard)
        return 0;
    guard_route_t *routes = xcalloc(count + 1, sizeof *routes);
    for (size_t i = 0; i < count; i++)
        routes[i] = (guard_route_t) { .conf = confs[i], .counters = logins_of(self, confs[i]->name) };
    *policy_p = guard_read(self->setup->guard, routes, count, diag);
    free(routes);
    return *policy_p ? 0 : -1;
}

static int
tell_guard(broker_t *self, const route_conf_t *const *confs, size_t count, diag_t *diag)
{
    policy_t *policy = NULL;
    if (ask_guard(self, confs, count, &policy, diag) == -1)
        return -1;
    if (policy)
        guard_use(self->setup->guard, &policy);
    return 0;
}

static int
tell_guard_again(broker_t *self)
{
    const route_conf_t **confs = xcalloc(self->count + 1, sizeof *confs);
    diag_t *diag = diag_new();
    for (size_t i = 0; i < self->count; i++)
        confs[i] = self->slots[i]->conf;
    int rc = tell_guard(self, confs, self->count, diag);
    diag_destroy(&diag);
    free(confs);
    return rc;
}

// What waits for a restart is in force as it was: `show config' says so, and the next reload warns again.
static void
keep_restart_settings(broker_t *self, conf_t *wanted, const plan_t *plan)
{
    for (size_t i = 0; i < plan->process_count; i++) {
        const plan_change_t *change = &plan->process[i];
        if (change->reload != RELOAD_RESTART)
            continue;
        for (size_t j = 0; j < wanted->settings.count; j++)
            for (size_t k = 0; k < self->conf->settings.count; k++) {
                setting_t *now = &wanted->settings.at[j], *had = &self->conf->settings.at[k];
                if (strcmp(now->key, change->key) != 0 || strcmp(had->key, change->key) != 0)
                    continue;
                setting_t swapped = *now;
                *now = *had;
                *had = swapped;
            }
    }
}

// The file's order is the order of everything that is shown.
static void
sort_slots(broker_t *self, char (*names)[ROUTE_NAME_MAX + 1], size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        for (size_t j = at; j < self->count; j++)
            if (strcmp(self->slots[j]->conf->name, names[i]) == 0) {
                slot_t *slot = self->slots[j];
                memmove(&self->slots[at + 1], &self->slots[at], (j - at) * sizeof *self->slots);
                self->slots[at++] = slot;
                break;
            }
}

static void
take_over(broker_t *self, conf_t **wanted_p, plan_t *plan, ready_t *ready)
{
    conf_t *wanted = *wanted_p;
    size_t count = wanted->route_count;
    char (*names)[ROUTE_NAME_MAX + 1] = xcalloc(count + 1, sizeof *names);
    for (size_t i = 0; i < count; i++)
        memcpy(names[i], wanted->routes[i]->name, sizeof names[i]);
    for (size_t i = 0; i < plan->count; i++)
        actions[plan->steps[i].action](self, wanted, &plan->steps[i], &ready[i]);
    for (size_t i = 0; i < plan->count; i++)
        listeners_close(&ready[i].listeners, false);
    sort_slots(self, names, count);
    free(names);
    keep_restart_settings(self, wanted, plan);
    if (self->setup->applied)
        self->setup->applied(self->setup->applied_arg, wanted);
    conf_destroy(&self->conf);
    self->conf = wanted;
    *wanted_p = NULL;
}

// Everything is bound before anybody is told anything: what most often goes wrong then costs nobody his connection.
static int
make_ready(broker_t *self, const conf_t *wanted, const plan_t *plan, ready_t *ready, diag_t *diag)
{
    policy_t *policy = NULL;
    int rc = ask_guard(self, (const route_conf_t *const *) wanted->routes, wanted->route_count, &policy, diag);
    bool may_bind = rc == 0;
    for (size_t i = 0; i < plan->count && may_bind; i++)
        rc |= bind_ready(self, &plan->steps[i], &ready[i], diag);
    if (rc == -1) {
        policy_free(&policy);
        return -1;
    }
    if (policy)
        guard_use(self->setup->guard, &policy);
    for (size_t i = 0; i < plan->count; i++)
        rc |= open_ready(self, &plan->steps[i], &ready[i], diag);
    if (rc == -1)
        tell_guard_again(self);
    return rc;
}

static int
apply(broker_t *self, conf_t **wanted_p, plan_t *plan, diag_t *diag)
{
    ready_t *ready = xcalloc(plan->count + 1, sizeof *ready);
    int rc = make_ready(self, *wanted_p, plan, ready, diag);
    if (rc == 0)
        take_over(self, wanted_p, plan, ready);
    else
        for (size_t i = 0; i < plan->count; i++)
            undo(&ready[i]);
    free(ready);
    return rc;
}

static conf_t *
read_file(broker_t *self, const char *file, diag_t *diag)
{
    const broker_setup_t *setup = self->setup;
    if (strcmp(file, "-") == 0) {
        diag_error(diag, (place_t) { .file = file }, "standard input was read at the start and cannot be read again");
        return NULL;
    }
    return conf_load(file, setup->overrides, setup->override_count, diag);
}

// One line a change; one that waits for a restart is a warning. Those of the process come first.
static void
log_changes(const plan_t *plan, const char *line)
{
    for (size_t n = 0; *line; n++) {
        size_t length = strcspn(line, "\n");
        bool waits = n < plan->process_count && plan->process[n].reload == RELOAD_RESTART;
        log_line(waits ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, "reloaded: %.*s", (int) length, line);
        line += length + (line[length] == '\n');
    }
}

static void
log_problems(diag_t *diag, bool ok)
{
    diag_level_t level;
    const char *text;
    for (size_t i = 0; (text = diag_text(diag, i, &level)); i++)
        if (level == DIAG_WARNING)
            log_warning("reload: %s", text);
        else
            log_error("%s: %s", ok ? "reload" : "reload refused", text);
}

int
broker_reload(broker_t *self, text_t *answer)
{
    if (self->status.stopping) {
        text_add(answer, "the process is stopping\n");
        return -1;
    }
    service_reloading();
    diag_t *diag = diag_new();
    conf_t *wanted = read_file(self, self->conf->file, diag);
    plan_t *plan = wanted ? make_plan(self, wanted) : NULL;
    text_t lines = { 0 };
    if (plan) // the routes that it speaks of may be gone later
        plan_print(plan, &lines);
    bool ok = plan && apply(self, &wanted, plan, diag) == 0;
    log_problems(diag, ok);
    if (ok) {
        text_add(answer, "%s", lines.data);
        log_changes(plan, lines.data);
    } else
        answer_problems(diag, answer);
    note_reload(self, ok);
    service_ready();
    text_free(&lines);
    plan_destroy(&plan);
    conf_destroy(&wanted);
    diag_destroy(&diag);
    return ok ? 0 : -1;
}

int
broker_plan(broker_t *self, const char *file, text_t *answer)
{
    diag_t *diag = diag_new();
    conf_t *wanted = read_file(self, file ? file : self->conf->file, diag);
    if (wanted && self->setup->guard && guard_check(self->setup->guard, wanted, diag) == -1)
        conf_destroy(&wanted);
    if (wanted) {
        plan_t *plan = make_plan(self, wanted);
        plan_print(plan, answer);
        plan_destroy(&plan);
    } else
        answer_problems(diag, answer);
    int rc = wanted ? 0 : -1;
    conf_destroy(&wanted);
    diag_destroy(&diag);
    return rc;
}

// --- life ------------------------------------------------------------------------------

broker_t *
broker_new(zloop_t *loop, conf_t **conf_p, const broker_setup_t *setup)
{
    broker_t *self = xcalloc(1, sizeof *self);
    self->loop = loop;
    self->setup = setup;
    self->conf = *conf_p;
    *conf_p = NULL;
    self->status.started_wall_ns = self->status.reload_wall_ns = clock_wall_ns();
    self->status.reload_ok = true;
    self->tick = -1;
    return self;
}

// All routes bind before any runs: a start that fails has not moved a message.
int
broker_start(broker_t *self, diag_t *diag)
{
    bool failed = false;
    int rc = tell_guard(self, (const route_conf_t *const *) self->conf->routes, self->conf->route_count, diag);
    while (rc == 0 && self->conf->route_count > 0) {
        slot_t *slot = add_slot(self, conf_take(self->conf, self->conf->routes[0]->name));
        listeners_t listeners = { 0 };
        if (listeners_bind(&listeners, slot->conf, &self->setup->services, diag) == 0)
            slot->route = open_route(self, slot->conf, &listeners, &slot->counters, diag);
        listeners_close(&listeners, false);
        failed |= !slot->route;
    }
    if (failed)
        rc = -1;
    for (size_t i = 0; i < self->count && rc == 0; i++)
        rc = run_slot(self->slots[i], "started");
    if (rc == 0)
        self->tick = zloop_timer(self->loop, 1000, 0, on_second, self);
    return rc;
}

static void
hurry(broker_t *self)
{
    for (retired_t *i = self->retired; i; i = i->next)
        route_finish(i->route, 0, true);
}

void
broker_stop(broker_t *self)
{
    if (self->status.stopping) {
        log_notice("stopping at once");
        retire_all(self);
        hurry(self);
        return;
    }
    self->status.stopping = true;
    service_stopping();
    log_notice("stopping, draining for at most %" PRId64 " ms", self->conf->drain_timeout_ms);
    for (size_t i = 0; i < self->count; i++) {
        self->slots[i]->opening_later = false;
        listeners_close(&self->slots[i]->waiting, false);
        if (self->slots[i]->route)
            route_stop_accepting(self->slots[i]->route, CLOSED_FOR_DRAIN, NULL);
    }
    self->stop_ms = clock_mono_ms() + self->conf->drain_timeout_ms;
    retire_heads(self);
}

bool
broker_stopped(const broker_t *self)
{
    return self->status.stopping && !self->retired;
}

bool
broker_draining(const broker_t *self)
{
    return self->retired;
}

int64_t
broker_age_ms(broker_t *self)
{
    int64_t oldest = 0;
    for (size_t i = 0; i < self->count; i++) {
        int64_t age = self->slots[i]->route ? route_age_ms(self->slots[i]->route) : 0;
        oldest = age > oldest ? age : oldest;
    }
    return oldest;
}

static void
log_side(const char *route, side_t side, const side_counters_t *counters)
{
    log_notice("route %s: %s messages_received=%" PRIu64 " messages_sent=%" PRIu64 " received_bytes=%" PRIu64
               " sent_bytes=%" PRIu64 " connections=%" PRIu64,
               route, side_name(side), counter_get(&counters->messages_received), counter_get(&counters->messages_sent),
               counter_get(&counters->received_bytes), counter_get(&counters->sent_bytes), counter_get(&counters->connections));
}

void
broker_log_state(broker_t *self)
{
    broker_route_t route;
    for (size_t i = 0; broker_at(self, i, &route); i++) {
        text_t drops = { 0 };
        for (int reason = 0; reason < DROP_REASONS; reason++)
            text_add(&drops, " %s=%" PRIu64, drop_reason_name((drop_reason_t) reason), counter_get(&route.counters->dropped[reason]));
        log_notice("route %s: %s type=%s dropped:%s", route.conf->name, route_state_name(route.state),
                   route.conf->pattern->name, drops.data);
        text_free(&drops);
        for (side_t side = 0; side < SIDES; side++)
            if (route.conf->sides[side].type != -1)
                log_side(route.conf->name, side, &route.counters->sides[side]);
    }
}

void
broker_destroy(broker_t **self_p)
{
    broker_t *self = *self_p;
    if (!self)
        return;
    if (self->tick != -1)
        zloop_timer_end(self->loop, self->tick);
    hurry(self);
    while (self->retired)
        bury(self, self->retired);
    for (size_t i = 0; i < self->count; i++) {
        slot_t *slot = self->slots[i];
        if (slot->route) {
            route_finish(slot->route, 0, true);
            route_close(&slot->route, NULL);
        }
        free_slot(self, slot);
    }
    free(self->slots);
    diag_t *diag = diag_new();
    tell_guard(self, NULL, 0, diag); // its thread counts logins no more
    diag_destroy(&diag);
    while (self->logins) {
        logins_t *next = self->logins->next;
        free(self->logins);
        self->logins = next;
    }
    conf_destroy(&self->conf);
    free(self);
    *self_p = NULL;
}
