// SPDX-License-Identifier: MPL-2.0
#include "conf/load.h"

#include "base/mem.h"
#include "base/text.h"
#include "conf/access.h"
#include "conf/acked.h"
#include "conf/assigned.h"
#include "conf/compat.h"
#include "conf/crosscheck.h"
#include "conf/endpoints.h"
#include "conf/engine.h"
#include "conf/nats.h"
#include "conf/process.h"
#include "conf/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

// --- socket types --------------------------------------------------------------------

static void
list_patterns(text_t *out)
{
    for (unsigned i = 0; pattern_at(i); i++)
        text_add(out, "%s%s", i == 0 ? "" : pattern_at(i + 1) ? ", " : " or ", pattern_at(i)->name);
}

static const char *
draft_reason(void)
{
    static char text[64];
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    snprintf(text, sizeof text, "and this libzmq, %d.%d.%d, was built without", major, minor, patch);
    return text;
}

// Both socket types of a custom route. False: it cannot be judged further.
static bool
resolve_custom(const check_t *self)
{
    static const char *const keys[] = { "frontend_type", "backend_type" };
    route_conf_t *route = self->route;
    bool known = true;
    for (size_t side = 0; side < 2; side++) {
        const assigned_t *given = assigned_for_route(self, keys[side]);
        if (given)
            route->sides[side].type = (int)given->value.number;
        else if (!assigned_has(self, keys[side]))
            diag_error(self->diag, route->place, "[%s] %s: is missing, a custom route names both socket types",
                       self->section->name, keys[side]);
        known &= given != NULL;
    }
    if (!known)
        return false;
    const char *refusal = pattern_refusal(route->sides[0].type, route->sides[1].type);
    if (refusal) {
        // Point at the one that is to blame, where it is one.
        bool backend = !pattern_refusal(route->sides[0].type, ZMQ_PAIR);
        complain_value(self, assigned_for_route(self, keys[backend])->item, "%s and %s cannot be joined: %s",
                       socket_type_name(route->sides[0].type), socket_type_name(route->sides[1].type), refusal);
        return false;
    }
    route->flow = pattern_flow(route->sides[0].type, route->sides[1].type);
    return true;
}

// The socket types of all sides. False: the route cannot be judged further.
static bool
resolve_types(const check_t *self)
{
    route_conf_t *route = self->route;
    const assigned_t *type = assigned_for_route(self, "type");
    if (!type) {
        text_t all = { 0 };
        list_patterns(&all);
        if (!assigned_has(self, "type"))
            diag_error(self->diag, route->place, "[%s] type: is missing; it is one of %s", self->section->name,
                       all.data);
        text_free(&all);
        return false;
    }
    route->pattern = pattern_at((unsigned)type->value.number);
    route->sides[SIDE_FRONTEND].type = route->pattern->frontend;
    route->sides[SIDE_BACKEND].type = route->pattern->backend;
    route->flow = route->pattern->flow;
    if (route->pattern->frontend == -1)
        return resolve_custom(self);
    static const char *const keys[] = { "frontend_type", "backend_type" };
    for (size_t i = 0; i < 2; i++)
        if (assigned_for_route(self, keys[i]))
            complain_key(self, assigned_for_route(self, keys[i])->item,
                         "only a custom route names its socket types, a %s has %s and %s", route->pattern->name,
                         socket_type_name(route->pattern->frontend), socket_type_name(route->pattern->backend));
    return true;
}

// Has the engine the socket types? Only libzmq's drafts may be missing.
static bool
has_types(const check_t *self)
{
    static const char *const keys[] = { "frontend_type", "backend_type" };
    const route_conf_t *route = self->route;
    if (route->engine == ENGINE_WIRE || zmq_has("draft"))
        return true;
    if (route->pattern->draft)
        complain_value(self, assigned_for_route(self, "type")->item, "%s needs the draft sockets %s and %s, %s drafts",
                       route->pattern->name, socket_type_name(route->pattern->frontend),
                       socket_type_name(route->pattern->backend), draft_reason());
    bool has = !route->pattern->draft;
    for (size_t side = 0; has && route->pattern->frontend == -1 && side < 2; side++)
        if (socket_type_is_draft(route->sides[side].type)) {
            complain_value(self, assigned_for_route(self, keys[side])->item, "%s is a draft socket type, %s drafts",
                           socket_type_name(route->sides[side].type), draft_reason());
            has = false;
        }
    return has;
}

// --- a route -------------------------------------------------------------------------

// To be freed.
static char *
default_of(const check_t *self, const key_row_t *row)
{
    if (row->flags & KEY_RUNTIME)
        return process_store(self->file, self->route->name);
    if (row->flags & KEY_NAMED)
        return xasprintf("%.*s%s", (int)(strlen(row->initial) - strlen("ROUTE")), row->initial, self->route->name);
    return xstrdup(row->initial);
}

static void
resolve_route_rows(const check_t *self)
{
    route_conf_t *route = self->route;
    const key_row_t *row;
    for (unsigned i = 0; (row = key_at(SCOPE_ROUTE, i)); i++) {
        const assigned_slot_t *slot = &self->own->route[i];
        key_value_t value = { 0 };
        char reason[128];
        size_t offset;
        bool idle = row->kind == KEY_SOCKET_TYPE ? route->pattern->frontend != -1
                                                 : (row->flags & KEY_WIRE && route->engine != ENGINE_WIRE) ||
                                                       !compat_route_row(route, row) || acked_row_is_idle(route, row);
        idle |= row->flags & KEY_OF_STORE && route->store == KEEP_NOTHING && !slot->count;
        idle |= row->flags & KEY_OF_DURABLE && !route->durable && !slot->count;
        idle |= row->flags & KEY_OF_NATS && !route_conf_is_shared(route) && !slot->count;
        if (idle)
            continue;
        char *initial = default_of(self, row);
        bool is_given = slot->count && !(row->flags & KEY_NAMED && !text_given(slot->at[0].value.text));
        if (is_given)
            value = slot->at[0].value;
        else if (row->kind != KEY_SOCKET_TYPE && row->kind != KEY_PATTERN)
            key_parse(row, initial, "/", &value, reason, sizeof reason, &offset);
        free(initial);
        if (row->width)
            key_store(row, &value, route);
        resolve_setting(&route->settings, "", row->key, key_print(row, &value), resolve_reload(route, row), !is_given);
        if (!is_given)
            free(value.text);
    }
}

// What a message takes is not known before one has come, and high-water marks
// cannot be changed safely once a queue is used. Engine wire counts bytes.
static void
check_budget(const check_t *self)
{
    const assigned_t *queue = assigned_for_route(self, "queue_bytes"), *size = assigned_for_route(self, "message_size");
    bool counted = self->route->engine == ENGINE_WIRE;
    if (!counted && self->route->queue_bytes && !self->route->message_size && !assigned_has(self, "message_size"))
        complain_key(self, queue->item, "needs message_size, what a message of this route usually takes");
    else if (!counted && queue && self->route->queue_bytes && size && !self->route->message_size)
        complain_value(self, size->item, "queue_bytes needs to know it");
    else if (size && self->route->message_size && !assigned_has(self, "queue_bytes"))
        complain_key(self, size->item, "does nothing without queue_bytes");
}

// Keys with FLAG that were given though the one that they belong to was not.
static void
check_idle_keys(const check_t *self, unsigned flag, const char *owner)
{
    const key_row_t *row;
    bool idle = self->route->engine == ENGINE_WIRE && !assigned_has(self, owner);
    for (unsigned i = 0; idle && (row = key_at(SCOPE_ROUTE, i)); i++)
        if (row->flags & flag && self->own->route[i].count && compat_route_row(self->route, row))
            complain_key(self, self->own->route[i].at[0].item, "does nothing without %s", owner);
}

static void
check_memory(const check_t *self)
{
    const route_conf_t *route = self->route;
    int type = route->sides[SIDE_BACKEND].type;
    bool has_topics = route->sides[SIDE_FRONTEND].type != ZMQ_ROUTER; // else each message begins with its sender
    bool publishes = socket_type_publishes(type) && has_topics, last = route->last_value > 0;
    const char *why = has_topics ? "needs a backend that publishes, XPUB or PUB" : "does not go with a frontend of ROUTER";
    const struct {
        const char *key;
        bool wrong;
        const char *why;
    } rules[] = {
        { "last_value", last && !publishes, why },
        { "topic_end", route->topic_end >= 0 && !last, "does nothing without last_value" },
        { "replay_messages", route->replay_messages > 0 && !publishes, why },
        { "replay_bytes", route->replay_bytes > 0 && !publishes, why },
        { "replay_time", route->replay_time_ms > 0 && !publishes, why },
        { "durable", route->durable && !publishes, why },
        { "replay_messages", route->replay_messages > 0 && last, "not together with last_value" },
        { "replay_bytes", route->replay_bytes > 0 && last, "not together with last_value" },
        { "replay_time", route->replay_time_ms > 0 && last, "not together with last_value" },
    };
    for (size_t i = 0; i < COUNT(rules) && route->engine == ENGINE_WIRE; i++)
        if (rules[i].wrong && assigned_for_route(self, rules[i].key))
            complain_key(self, assigned_for_route(self, rules[i].key)->item, "%s", rules[i].why);
    check_idle_keys(self, KEY_OF_DURABLE, "durable");
}

#ifdef ZB_HAVE_LMDB
enum { STORE_IS_BUILT = true };
#else
enum { STORE_IS_BUILT = false };
#endif

static void
check_store(const check_t *self)
{
    const route_conf_t *route = self->route;
    const assigned_t *store = assigned_for_route(self, "store");
    bool wanted = route->store != KEEP_NOTHING, is_shared = route_conf_is_shared(route);
    bool streams = route->sides[SIDE_BACKEND].type == ZMQ_PUSH;
    const struct {
        bool wrong;
        const char *why;
    } rules[] = {
        { !STORE_IS_BUILT, "this zbroker was built without LMDB" },
        { streams && !is_shared && route->sides[SIDE_FRONTEND].type != ZMQ_PULL, "needs a frontend of PULL" },
        { !streams && route->store == KEEP_OVERFLOW, "overflow is for a streamer" },
        { !streams && !is_shared && !route_conf_remembers(route) && !route->durable,
          "does nothing on a forwarder without last_value, replay_… or durable" },
    };
    for (size_t i = 0; i < COUNT(rules) && wanted; i++)
        if (rules[i].wrong)
            complain_value(self, store->item, "%s", rules[i].why);
    check_idle_keys(self, KEY_OF_STORE, "store");
}

static void
check_route(const check_t *self)
{
    route_conf_t *route = self->route;
    bool known = resolve_types(self);
    for (size_t which = 0; which < SIDES; which++)
        endpoints_take(self, which);
    for (size_t which = 0; which < 2; which++)
        if (!endpoints_given(self, which) && !(known && acked_stands_in(self, which)))
            diag_error(self->diag, route->place, "[%s]: the %s has no endpoint, add %s_bind or %s_connect",
                       self->section->name, side_name((side_t)which), side_name((side_t)which),
                       side_name((side_t)which));
    if (!known)
        return;
    const assigned_t *capture_type = assigned_for_route(self, "capture_type");
    if (route->sides[SIDE_CAPTURE].endpoint_count)
        route->sides[SIDE_CAPTURE].type = capture_type ? (int)capture_type->value.number : ZMQ_PUB;
    static const int extra[SIDES] = { [SIDE_INGRESS] = ZMQ_PULL, [SIDE_ACK] = ZMQ_ROUTER, [SIDE_WORKER_ACK] = ZMQ_ROUTER };
    for (size_t which = 0; which < SIDES; which++)
        if (route->sides[which].endpoint_count && extra[which] && pattern_may_have(route->pattern, (side_t)which))
            route->sides[which].type = extra[which];
    engine_resolve(self);
    if (!has_types(self))
        return;
    resolve_route_rows(self);
    check_budget(self);
    check_memory(self);
    check_store(self);
    nats_check(self);
    acked_check(self);
    for (size_t which = 0; which < SIDES; which++) {
        if (route->sides[which].type < 0) {
            compat_absent_side(self, which);
            continue;
        }
        resolve_side(self, which);
        endpoints_check(self, which);
        access_check(self, which);
        access_check_kept(self, which);
        compat_combinations(self, which);
        compat_transports(self, which);
    }
    compat_keys(self);
    compat_route_rows(self);
    if (route->engine != ENGINE_WIRE)
        compat_without_wire(self);
    access_check_unused(self);
    if (route->engine == ENGINE_ZMQ_PROXY)
        compat_proxied(self);
}

static void
load_route(conf_t *conf, const raw_section_t *section, assigned_slots_t *defaults, diag_t *diag)
{
    route_conf_t *route = xcalloc(1, sizeof *route);
    snprintf(route->name, sizeof route->name, "%s", section->name + 6);
    route->place = section->place;
    for (size_t which = 0; which < SIDES; which++) {
        route->sides[which].type = -1;
        route->sides[which].linger_ms = -1;
        route->sides[which].ipc_group = (gid_t)-1;
    }
    check_t self = { .diag = diag,
                     .section = section,
                     .file = conf->file,
                     .route = route,
                     .own = xcalloc(1, sizeof(assigned_slots_t)),
                     .defaults = defaults };
    self.own->damaged = section->damaged;
    for (size_t i = 0; i < section->count; i++)
        assigned_take(&self, self.own, &section->items[i]);
    check_route(&self);
    assigned_free(&self.own);
    conf->routes = xrealloc(conf->routes, conf->route_count + 1, sizeof *conf->routes);
    conf->routes[conf->route_count++] = route;
}

// --- the file ------------------------------------------------------------------------

static void
check_all(conf_t *conf, const raw_t *raw, diag_t *diag)
{
    assigned_slots_t *defaults = xcalloc(1, sizeof *defaults);
    check_t self = { .diag = diag, .section = &raw->sections[1] };
    defaults->damaged = raw->sections[1].damaged;
    process_load(conf, &raw->sections[0], diag);
    for (size_t i = 0; i < raw->sections[1].count; i++)
        assigned_take(&self, defaults, &raw->sections[1].items[i]);
    for (size_t i = 2; i < raw->count; i++)
        load_route(conf, &raw->sections[i], defaults, diag);
    assigned_free(&defaults);
    crosscheck_check(conf, raw, diag);
    // With an error there may be one that could not be read.
    if (raw->count == 2 && diag_errors(diag) == 0)
        diag_warning(diag, (place_t){ raw->sections[0].place.file, 1, 1 },
                     "there is no [route NAME] section, nothing will be forwarded");
}

conf_t *
conf_read(const raw_source_t *source, diag_t *diag)
{
    size_t errors = diag_errors(diag);
    raw_t raw;
    raw_read(&raw, source, diag);
    conf_t *self = xcalloc(1, sizeof *self);
    self->file = xstrdup(source->file);
    // Of a file that cannot be read there is nothing more to say.
    if (raw.readable)
        check_all(self, &raw, diag);
    raw_free(&raw);
    if (diag_errors(diag) > errors)
        conf_destroy(&self);
    return self;
}

conf_t *
conf_load(const char *file, char *const overrides[], size_t count, diag_t *diag)
{
    raw_source_t source = { .file = file, .descriptor = -1, .overrides = overrides, .override_count = count };
    return conf_read(&source, diag);
}

conf_t *
conf_load_text(const char *name, const char *text, size_t size, diag_t *diag)
{
    raw_source_t source = { .file = name, .text = text, .size = size, .descriptor = -1 };
    return conf_read(&source, diag);
}
