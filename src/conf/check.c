// SPDX-License-Identifier: MPL-2.0
#include "conf/check.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/keys.h"
#include "conf/suggest.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <zmq.h>

// --- slots: what was written, by attribute and side ------------------------------

// An attribute is what a side can have: a row of ours or a socket option, told
// apart by its number: rows first, options after.
enum { ROWS_MAX = 32, OPTIONS_MAX = 80, ATTRIBUTES = ROWS_MAX + OPTIONS_MAX };
enum { ANY_SIDE = SIDES, LAYERS = SIDES + 1 };

typedef struct {
    const raw_item_t *item;
    key_value_t value; // of an option: number or text
    size_t offset;     // in the value, of what a later complaint is about
} given_t;

typedef struct {
    given_t *at; // a scalar has one
    size_t count, room;
} slot_t;

// All that one section says. [defaults] is one of them.
typedef struct {
    slot_t route[ROWS_MAX];
    slot_t side[LAYERS][ATTRIBUTES];
} slots_t;

typedef struct {
    diag_t *diag;
    const raw_section_t *section;
    route_conf_t *route;
    slots_t *own, *defaults;
    bool proxied; // engine = zmq_proxy
} check_t;

static const sockopt_t *
option_of(size_t attribute)
{
    return attribute < ROWS_MAX ? NULL : sockopt_at((unsigned)(attribute - ROWS_MAX));
}

static const key_row_t *
row_of(size_t attribute)
{
    return attribute < ROWS_MAX ? key_at(SCOPE_SIDE, (unsigned)attribute) : NULL;
}

static const char *
attribute_key(size_t attribute)
{
    return attribute < ROWS_MAX ? row_of(attribute)->key : option_of(attribute)->key;
}

static uint32_t
attribute_sockets(size_t attribute)
{
    uint32_t sockets = attribute < ROWS_MAX ? row_of(attribute)->sockets : option_of(attribute)->sockets;
    return sockets ? sockets : UINT32_MAX;
}

static bool
is_list(size_t attribute)
{
    return attribute < ROWS_MAX ? row_of(attribute)->flags & KEY_LIST : option_of(attribute)->flags & SOCKOPT_LIST;
}

static size_t
find_attribute(const char *key)
{
    const key_row_t *row;
    const sockopt_t *option = sockopt_find(key);
    for (unsigned i = 0; (row = key_at(SCOPE_SIDE, i)); i++)
        if (strcmp(row->key, key) == 0)
            return i;
    for (unsigned i = 0; option && sockopt_at(i); i++)
        if (sockopt_at(i) == option)
            return ROWS_MAX + i;
    return ATTRIBUTES;
}

// --- complaints --------------------------------------------------------------------

static place_t
moved(place_t place, size_t offset)
{
    place.column += (int)offset;
    return place;
}

__attribute__((format(printf, 4, 5))) static void
complain(const check_t *self, const raw_item_t *item, place_t place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_t text = { 0 };
    text_vadd(&text, format, args);
    va_end(args);
    diag_error(self->diag, place, "[%s] %s: %s", self->section->name, item->key, text.data);
    text_free(&text);
}

#define complain_value(self, item, ...) complain(self, item, (item)->value_place, __VA_ARGS__)
#define complain_key(self, item, ...) complain(self, item, (item)->key_place, __VA_ARGS__)

// --- which key is it? --------------------------------------------------------------

typedef struct {
    const key_row_t *route_row;
    const char *base; // the key without its side
    size_t layer;     // a side_t, or ANY_SIDE
    size_t attribute; // ATTRIBUTES: none
} target_t;

static size_t
split_side(const char *key, const char **base)
{
    for (size_t side = 0; side < SIDES; side++) {
        const char *name = side_name((side_t)side);
        size_t length = strlen(name);
        if (strncmp(key, name, length) == 0 && key[length] == '_') {
            *base = key + length + 1;
            return side;
        }
    }
    *base = key;
    return ANY_SIDE;
}

static target_t
find_target(const char *key)
{
    target_t target = { .route_row = key_find(SCOPE_ROUTE, key) };
    target.layer = split_side(key, &target.base);
    target.attribute = target.route_row ? ATTRIBUTES : find_attribute(target.base);
    if (target.layer == ANY_SIDE && target.attribute < ROWS_MAX && (row_of(target.attribute)->flags & KEY_SIDED))
        target.attribute = ATTRIBUTES;
    return target;
}

static void
offer_attributes(suggest_t *suggest, const char *prefix)
{
    char word[80];
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        if (i < ROWS_MAX ? !row_of(i) : !option_of(i))
            continue;
        if (!*prefix && i < ROWS_MAX && (row_of(i)->flags & KEY_SIDED))
            continue;
        snprintf(word, sizeof word, "%s%s", prefix, attribute_key(i));
        suggest_offer(suggest, word);
    }
    for (unsigned i = 0; sockopt_old_at(i); i++) {
        snprintf(word, sizeof word, "%s%s", prefix, sockopt_old_at(i)->old);
        suggest_offer(suggest, word);
    }
}

// A key that is known, but not in this section.
static const char *
other_home(const char *key, raw_kind_t kind)
{
    target_t target = find_target(key);
    bool of_route = target.route_row || target.attribute < ATTRIBUTES;
    if (kind != RAW_PROCESS && key_find(SCOPE_PROCESS, key))
        return "[zbroker]";
    if (kind == RAW_PROCESS && of_route)
        return target.layer == ANY_SIDE && !target.route_row ? "[defaults] or a [route NAME]"
                                                             : "a [route NAME] section";
    return NULL;
}

static void
unknown_key(const check_t *self, const raw_item_t *item)
{
    suggest_t suggest = suggest_for(item->key);
    const key_row_t *row;
    raw_kind_t kind = self->section->kind;
    for (unsigned i = 0; kind == RAW_PROCESS && (row = key_at(SCOPE_PROCESS, i)); i++)
        suggest_offer(&suggest, row->key);
    for (unsigned i = 0; kind == RAW_ROUTE && (row = key_at(SCOPE_ROUTE, i)); i++)
        suggest_offer(&suggest, row->key);
    if (kind != RAW_PROCESS)
        offer_attributes(&suggest, "");
    for (size_t side = 0; kind == RAW_ROUTE && side < SIDES; side++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s_", side_name((side_t)side));
        if (side != SIDE_INGRESS || strncmp(item->key, "in", 2) == 0)
            offer_attributes(&suggest, prefix);
    }
    const char *base;
    const char *home = other_home(item->key, kind);
    if (home)
        complain_key(self, item, "belongs into %s", home);
    else if (split_side(item->key, &base) == ANY_SIDE && (strcmp(base, "bind") == 0 || strcmp(base, "connect") == 0) &&
             kind == RAW_ROUTE)
        complain_key(self, item, "which side? Write frontend_%s or backend_%s", base, base);
    else if (*suggest.best)
        complain_key(self, item, "unknown key; did you mean %s?", suggest.best);
    else
        complain_key(self, item, "unknown key");
}

// --- taking in what a section says ---------------------------------------------------

static void
free_slot(slot_t *slot)
{
    for (size_t i = 0; i < slot->count; i++)
        free(slot->at[i].value.text);
    free(slot->at);
    *slot = (slot_t){ 0 };
}

static void
free_slots(slots_t **slots_p)
{
    slots_t *slots = *slots_p;
    for (size_t i = 0; i < ROWS_MAX; i++)
        free_slot(&slots->route[i]);
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < ATTRIBUTES; i++)
            free_slot(&slots->side[layer][i]);
    free(slots);
    *slots_p = NULL;
}

// Is there already a value for a scalar? The second -o wins, a second line is an error.
static bool
is_double(const check_t *self, const raw_item_t *item, slot_t *slot)
{
    if (slot->count == 0)
        return false;
    const raw_item_t *first = slot->at[0].item;
    if (item->override) {
        free_slot(slot);
        return false;
    }
    complain_key(self, item, "is given twice, first in %s:%d", first->key_place.file, first->key_place.line);
    return true;
}

static void
put(slot_t *slot, given_t given)
{
    mem_grow(slot->at, slot->count, slot->room);
    slot->at[slot->count++] = given;
}

static int
parse_row(const check_t *self, const key_row_t *row, const raw_item_t *item, given_t *given)
{
    char reason[512];
    size_t offset;
    *given = (given_t){ .item = item };
    if (key_parse(row, item->value, item->folder, &given->value, reason, sizeof reason, &offset) == 0)
        return 0;
    complain(self, item, moved(item->value_place, offset), "%s", reason);
    return -1;
}

static int
parse_option(const check_t *self, const sockopt_t *option, const raw_item_t *item, given_t *given)
{
    char reason[512];
    sockopt_value_t value = { 0 };
    *given = (given_t){ .item = item };
    if ((option->flags & SOCKOPT_AUTO) && strcmp(item->value, "auto") == 0) {
        given->value.number = -1;
        return 0;
    }
    if (!sockopt_works(option)) {
        int major, minor, patch;
        zmq_version(&major, &minor, &patch);
        complain_key(self, item, "this libzmq, %d.%d.%d, does not have it%s", major, minor, patch,
                     option->flags & SOCKOPT_DRAFT ? ": it is a draft option, and the library was built without them"
                                                   : "");
        return -1;
    }
    if (sockopt_parse(option, item->value, &value, reason, sizeof reason) == -1) {
        complain_value(self, item, "%s", reason);
        return -1;
    }
    if (option->kind == SOCKOPT_TEXT || option->kind == SOCKOPT_BYTES)
        given->value.text = value.text;
    else
        given->value.number = value.number;
    return 0;
}

// The same value is put twice by "hwm": each slot owns its own.
static void
take_attribute(const check_t *self, slots_t *slots, size_t layer, size_t attribute, const raw_item_t *item,
               bool inverted)
{
    slot_t *slot = &slots->side[layer][attribute];
    given_t given;
    if (!is_list(attribute) && is_double(self, item, slot))
        return;
    const sockopt_t *option = option_of(attribute);
    int result = option ? parse_option(self, option, item, &given) : parse_row(self, row_of(attribute), item, &given);
    if (result == -1)
        return;
    if (inverted)
        given.value.number = !given.value.number;
    put(slot, given);
}

static void
take_item(const check_t *self, slots_t *slots, const raw_item_t *item)
{
    target_t target = find_target(item->key);
    bool in_defaults = self->section->kind == RAW_DEFAULTS;
    if (target.route_row && !in_defaults) {
        slot_t *slot = &slots->route[target.route_row - key_at(SCOPE_ROUTE, 0)];
        given_t given;
        if (!is_double(self, item, slot) && parse_row(self, target.route_row, item, &given) == 0)
            put(slot, given);
        return;
    }
    const char *refusal = sockopt_refusal(target.base);
    if (refusal) {
        complain_key(self, item, "cannot be set: %s", refusal);
        return;
    }
    if (in_defaults && (target.route_row || (target.attribute < ATTRIBUTES && target.layer != ANY_SIDE))) {
        bool of_route =
            target.route_row || (target.attribute < ROWS_MAX && (row_of(target.attribute)->flags & KEY_SIDED));
        if (of_route)
            complain_key(self, item, "belongs into a [route NAME] section");
        else
            complain_key(self, item, "a default is for all sides; write %s", target.base);
        return;
    }
    if (target.attribute == ATTRIBUTES) {
        unknown_key(self, item);
        return;
    }
    const sockopt_old_t *old = sockopt_old_find(target.base);
    take_attribute(self, slots, target.layer, target.attribute, item, old && old->inverted);
    if (old && old->second)
        take_attribute(self, slots, target.layer, find_attribute(old->second), item, false);
}

// --- settings ------------------------------------------------------------------------

// Takes VALUE.
static void
add_setting(settings_t *settings, const char *prefix, const char *key, char *value, reload_t reload, bool is_default)
{
    mem_grow(settings->at, settings->count, settings->room);
    settings->at[settings->count++] = (setting_t){ .key = xasprintf("%s%s%s", prefix, *prefix ? "_" : "", key),
                                                   .value = value,
                                                   .reload = reload,
                                                   .is_default = is_default };
}

// --- the effective value of an attribute ----------------------------------------------

typedef enum {
    ALWAYS,
    ON_BOUND, // the side has a bind
    ON_TCP,   // the side has an endpoint over TCP
    ON_IPV6_HOST,
    ON_OWN_LOOP, // not with engine = zmq_proxy
} condition_t;

// No heartbeats of our own: a PING waits its turn behind messages, and so does its
// answer. A worker that is slow, and a producer that is held up, would be cut for
// it, and what is on the way would be lost without a trace. TCP finds dead peers
// instead; tcp_maxrt stays off for the same reason.
//
// Where our default is not libzmq's. A row with sockets is what that socket
// type needs: only a SIDE_option on the route changes it. The first that holds wins.
static const struct {
    const char *key;
    const char *value;
    condition_t condition;
    uint32_t sockets;
} own_defaults[] = {
    { "backlog", "1024", ALWAYS, 0 },
    { "handshake_ivl", "5s", ALWAYS, 0 },
    { "heartbeat_timeout", "15s", ALWAYS, 0 },
    { "heartbeat_ttl", "15s", ALWAYS, 0 },
    { "ipv6", "yes", ON_IPV6_HOST, 0 },
    { "maxmsgsize", "4k", ALWAYS, ON(ZMQ_XPUB) | ON(ZMQ_PUB) },
    { "maxmsgsize", "16M", ON_BOUND, 0 },
    { "reconnect_ivl_max", "10s", ALWAYS, 0 },
    { "router_mandatory", "yes", ON_OWN_LOOP, 0 },
    { "sndhwm", "0", ALWAYS, ON(ZMQ_XSUB) | ON(ZMQ_SUB) },
    { "tcp_keepalive", "yes", ON_TCP, 0 },
    { "tcp_keepalive_cnt", "5", ON_TCP, 0 },
    { "tcp_keepalive_idle", "60s", ON_TCP, 0 },
    { "tcp_keepalive_intvl", "10s", ON_TCP, 0 },
};

static bool
host_has_ipv6(void)
{
    // Asked once: a reload must not re-create every route because an interface came up.
    static int known = -1;
    if (known >= 0)
        return known;
    // The file is empty, or absent, where IPv6 is off.
    FILE *file = fopen("/proc/net/if_inet6", "r");
    known = file && getc(file) != EOF;
    if (file)
        fclose(file);
    return known;
}

static bool
over_tcp(const endpoint_t *endpoint)
{
    return endpoint->transport == TRANSPORT_TCP || endpoint->transport == TRANSPORT_WS ||
           endpoint->transport == TRANSPORT_WSS;
}

static bool
holds(condition_t condition, const check_t *self, const side_conf_t *side)
{
    if (condition == ON_IPV6_HOST)
        return host_has_ipv6();
    if (condition == ON_OWN_LOOP)
        return !self->proxied;
    for (size_t i = 0; condition != ALWAYS && i < side->endpoint_count; i++)
        if (condition == ON_BOUND ? !side->endpoints[i].connect : over_tcp(&side->endpoints[i].at))
            return true;
    return condition == ALWAYS;
}

// Our own default for OPTION as text; NEEDED: it yields to a SIDE_option only.
static const char *
own_default(const check_t *self, const sockopt_t *option, const side_conf_t *side, bool *needed)
{
    *needed = false;
    for (size_t i = 0; i < sizeof own_defaults / sizeof *own_defaults; i++) {
        if (strcmp(own_defaults[i].key, option->key) != 0 || !holds(own_defaults[i].condition, self, side))
            continue;
        if (own_defaults[i].sockets && !(own_defaults[i].sockets & ON(side->type)))
            continue;
        *needed = own_defaults[i].sockets;
        return own_defaults[i].value;
    }
    return option->initial;
}

// What was written for ATTRIBUTE of SIDE, nearest first; NULL: nothing.
static const slot_t *
written(const check_t *self, size_t side, size_t attribute, bool only_sided)
{
    const slot_t *candidates[] = { &self->own->side[side][attribute], &self->own->side[ANY_SIDE][attribute],
                                   &self->defaults->side[ANY_SIDE][attribute] };
    for (size_t i = 0; i < (only_sided ? 1 : 3); i++)
        if (candidates[i]->count)
            return candidates[i];
    return NULL;
}

static const slot_t *
written_row(const check_t *self, size_t side, const char *key)
{
    return written(self, side, find_attribute(key), false);
}

// The one line to point at, NULL without.
static const raw_item_t *
written_item(const check_t *self, size_t side, const char *key)
{
    const slot_t *slot = written_row(self, side, key);
    return slot ? slot->at[0].item : NULL;
}

static void
add_option(side_conf_t *side, const sockopt_t *option, sockopt_value_t value, place_t place)
{
    side->options = xrealloc(side->options, side->option_count + 1, sizeof *side->options);
    side->options[side->option_count++] = (option_conf_t){ option, value, place };
}

static bool
is_text(const sockopt_t *option)
{
    return option->kind == SOCKOPT_TEXT || option->kind == SOCKOPT_BYTES;
}

// Does libzmq have to be told?
static bool
differs(const sockopt_t *option, sockopt_value_t value)
{
    char reason[128];
    sockopt_value_t initial = { 0 };
    if (is_text(option))
        return *value.text;
    // An initial value that a file cannot say (heartbeat_timeout -1) is never the one given.
    return sockopt_parse(option, option->initial, &initial, reason, sizeof reason) == -1 ||
           initial.number != value.number;
}

static void
resolve_list_option(route_conf_t *route, side_conf_t *side, const char *prefix, const sockopt_t *option,
                    const slot_t *slot)
{
    for (size_t i = 0; slot && i < slot->count; i++) {
        sockopt_value_t value = { .text = xstrdup(slot->at[i].value.text) };
        add_option(side, option, value, slot->at[i].item->value_place);
        add_setting(&route->settings, prefix, option->key, xstrdup(value.text), RELOAD_ROUTE, false);
    }
}

static void
resolve_linger(route_conf_t *route, side_conf_t *side, const char *prefix, const sockopt_t *option, const slot_t *slot)
{
    side->linger_ms = slot ? slot->at[0].value.number : -1;
    char *text =
        side->linger_ms < 0 ? xstrdup("auto") : sockopt_print(option, (sockopt_value_t){ .number = side->linger_ms });
    add_setting(&route->settings, prefix, option->key, text, RELOAD_LIVE, side->linger_ms < 0);
}

static bool
is_multicast(transport_t transport)
{
    return transport == TRANSPORT_PGM || transport == TRANSPORT_EPGM || transport == TRANSPORT_NORM;
}

// What only some transport or mechanism reads is left out of the dump of sides without it.
static bool
is_idle(const sockopt_t *option, const side_conf_t *side)
{
    static const char *const multicast[] = { "multicast_", "norm_", "rate", "recovery_ivl" };
    bool has_multicast = false, for_multicast = false;
    for (size_t i = 0; i < side->endpoint_count; i++)
        has_multicast |= is_multicast(side->endpoints[i].at.transport);
    for (size_t i = 0; i < sizeof multicast / sizeof *multicast; i++)
        for_multicast |= strncmp(option->key, multicast[i], strlen(multicast[i])) == 0;
    bool for_gssapi = strncmp(option->key, "gssapi_", 7) == 0;
    return (for_multicast && !has_multicast) || (for_gssapi && side->security.mechanism != SECURITY_GSSAPI);
}

static void
resolve_option(const check_t *self, size_t which, size_t attribute)
{
    route_conf_t *route = self->route;
    side_conf_t *side = &route->sides[which];
    const sockopt_t *option = option_of(attribute);
    const char *prefix = side_name((side_t)which);
    if (!(option->sockets & ON(side->type)) || !sockopt_works(option))
        return;
    bool needed;
    const char *text = own_default(self, option, side, &needed);
    const slot_t *slot = written(self, which, attribute, needed);
    if (!slot && is_idle(option, side))
        return;
    if (option->flags & SOCKOPT_LIST) {
        resolve_list_option(route, side, prefix, option, slot);
        return;
    }
    if (option->flags & SOCKOPT_AUTO) {
        resolve_linger(route, side, prefix, option, slot);
        return;
    }
    sockopt_value_t value = { 0 };
    char reason[128];
    if (slot && is_text(option))
        value.text = xstrdup(slot->at[0].value.text);
    else if (slot)
        value.number = slot->at[0].value.number;
    else
        sockopt_parse(option, text, &value, reason, sizeof reason);
    reload_t reload = option->flags & SOCKOPT_LIVE ? RELOAD_LIVE : RELOAD_ROUTE;
    add_setting(&route->settings, prefix, option->key, sockopt_print(option, value), reload, !slot);
    if (option->option == ZMQ_ROUTER_MANDATORY)
        side->mandatory = value.number;
    if (option->option == ZMQ_XPUB_NODROP)
        side->nodrop = value.number;
    else if (differs(option, value)) {
        add_option(side, option, value, slot ? slot->at[0].item->value_place : (place_t){ 0 });
        return;
    }
    if (is_text(option))
        free(value.text);
}

static const char *
mechanism_name(security_t mechanism)
{
    static const char *const names[] = { "none", "none", "plain", "curve", "gssapi" };
    return names[mechanism];
}

// What each mechanism wants from whom.
static const struct {
    const char *key;
    security_t mechanism;
    bool bound; // on a side with a bind, else on one with a connect
    size_t offset;
    const char *use;
} needs[] = {
    { "users", SECURITY_PLAIN, true, offsetof(security_conf_t, users), "the file of NAME:HASH lines" },
    { "plain_username", SECURITY_PLAIN, false, offsetof(security_conf_t, plain_username), "our name at the server" },
    { "plain_password_file", SECURITY_PLAIN, false, offsetof(security_conf_t, plain_password),
      "the file with our password" },
    { "server_cert", SECURITY_CURVE, true, offsetof(security_conf_t, server_cert), "our certificate" },
    { "client_certs", SECURITY_CURVE, true, offsetof(security_conf_t, client_certs),
      "the folder of the certificates let in, or any" },
    { "client_cert", SECURITY_CURVE, false, offsetof(security_conf_t, client_cert), "our certificate" },
    { "peer_cert", SECURITY_CURVE, false, offsetof(security_conf_t, peer_cert), "the certificate of the server" },
    { "gssapi_principal", SECURITY_GSSAPI, true, offsetof(security_conf_t, gssapi_principal), "our principal" },
    { "gssapi_service_principal", SECURITY_GSSAPI, false, offsetof(security_conf_t, gssapi_service_principal),
      "the server's principal" },
};

// allow and deny: the lines add up, and each network is a line of the dump.
static void
resolve_cidr(const check_t *self, size_t which, const key_row_t *row, const slot_t *slot)
{
    text_t all = { 0 };
    for (size_t i = 0; slot && i < slot->count; i++)
        if (slot->at[i].value.text)
            text_add(&all, "%s%s", all.size ? ", " : "", slot->at[i].value.text);
    if (!all.size)
        return;
    key_value_t value = { .text = all.data };
    key_store(row, &value, &self->route->sides[which]);
    for (char *rest = all.data, *one; (one = strsep(&rest, ","));)
        add_setting(&self->route->settings, side_name((side_t)which), row->key, xstrdup(one + (*one == ' ')),
                    row->reload, false);
    text_free(&all);
}

// Is a row worth a line? Only what this side can use.
static bool
is_of_use(const check_t *self, const key_row_t *row, const side_conf_t *side, const slot_t *slot)
{
    // Subscriptions are what only our own loop looks at.
    if (self->proxied && row->sockets)
        return false;
    bool ipc = false;
    for (size_t i = 0; i < side->endpoint_count; i++)
        ipc |= !side->endpoints[i].connect && side->endpoints[i].at.transport == TRANSPORT_IPC;
    if (strncmp(row->key, "ipc_", 4) == 0)
        return ipc;
    if (strncmp(row->key, "gssapi_", 7) == 0 && side->security.mechanism != SECURITY_GSSAPI)
        return false;
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (strcmp(needs[i].key, row->key) == 0 && needs[i].mechanism != side->security.mechanism)
            return false;
    return !(row->flags & KEY_UNSET_OK) || slot;
}

static void
resolve_row(const check_t *self, size_t which, size_t attribute)
{
    route_conf_t *route = self->route;
    side_conf_t *side = &route->sides[which];
    const key_row_t *row = row_of(attribute);
    if (!row || row->kind == KEY_ENDPOINT || !(attribute_sockets(attribute) & ON(side->type)))
        return;
    const slot_t *slot = written(self, which, attribute, false);
    key_value_t value = { 0 };
    char reason[128];
    size_t offset;
    if (row->kind == KEY_CIDR) {
        resolve_cidr(self, which, row, slot);
        return;
    }
    if (slot)
        value = slot->at[0].value;
    else
        key_parse(row, row->initial, "/", &value, reason, sizeof reason, &offset);
    bool of_use = is_of_use(self, row, side, slot);
    // Security that nobody asked for is UNSET, though it is shown as none.
    bool unasked = !slot && strcmp(row->key, "security") == 0;
    if ((of_use || !slot) && !unasked)
        key_store(row, &value, side);
    if (of_use)
        add_setting(&route->settings, side_name((side_t)which), row->key, key_print(row, &value), row->reload, !slot);
    if (!slot)
        free(value.text);
}

// --- endpoints -----------------------------------------------------------------------

static void
add_endpoint(side_conf_t *side, const endpoint_t *at, bool connect, place_t place)
{
    side->endpoints = xrealloc(side->endpoints, side->endpoint_count + 1, sizeof *side->endpoints);
    side->endpoints[side->endpoint_count++] = (endpoint_conf_t){ .at = *at, .connect = connect, .place = place };
}

static void
take_endpoint(const check_t *self, side_conf_t *side, const given_t *given, bool connect)
{
    const raw_item_t *item = given->item;
    endpoint_t endpoint;
    char reason[512];
    size_t offset;
    if (!*item->value && item->override)
        return;
    if (endpoint_parse(item->value, connect, &endpoint, reason, sizeof reason, &offset) == -1)
        complain(self, item, moved(item->value_place, offset), "%s", reason);
    else if (!transport_works(endpoint.transport))
        complain_value(self, item, "this libzmq was built without %s", transport_name(endpoint.transport));
    else
        add_endpoint(side, &endpoint, connect, item->value_place);
}

static void
take_endpoints(const check_t *self, size_t which)
{
    side_conf_t *side = &self->route->sides[which];
    const slot_t *binds = &self->own->side[which][find_attribute("bind")];
    const slot_t *connects = &self->own->side[which][find_attribute("connect")];
    for (size_t i = 0; i < binds->count; i++)
        take_endpoint(self, side, &binds->at[i], false);
    for (size_t i = 0; i < connects->count; i++)
        take_endpoint(self, side, &connects->at[i], true);
}

// Also true of a line whose endpoint is wrong: that has been reported. -o with an empty value takes lines away.
static bool
has_endpoint_lines(const check_t *self, size_t which)
{
    static const char *const keys[] = { "bind", "connect" };
    for (size_t i = 0; i < 2; i++) {
        const slot_t *slot = &self->own->side[which][find_attribute(keys[i])];
        for (size_t j = 0; j < slot->count; j++)
            if (*slot->at[j].item->value || !slot->at[j].item->override)
                return true;
    }
    return false;
}

static size_t
count_endpoints(const side_conf_t *side, bool connect)
{
    size_t count = 0;
    for (size_t i = 0; i < side->endpoint_count; i++)
        count += side->endpoints[i].connect == connect;
    return count;
}

// The line that an endpoint came from, to name its key.
static const raw_item_t *
endpoint_item(const check_t *self, size_t which, const endpoint_conf_t *endpoint)
{
    const slot_t *slot = &self->own->side[which][find_attribute(endpoint->connect ? "connect" : "bind")];
    for (size_t i = 0; i < slot->count; i++)
        if (slot->at[i].item->value_place.line == endpoint->place.line &&
            slot->at[i].item->value_place.file == endpoint->place.file)
            return slot->at[i].item;
    return slot->at[0].item;
}

#define SUBSCRIBING (ON(ZMQ_PUB) | ON(ZMQ_SUB) | ON(ZMQ_XPUB) | ON(ZMQ_XSUB))

static void
check_transports(const check_t *self, size_t which)
{
    const side_conf_t *side = &self->route->sides[which];
    for (size_t i = 0; i < side->endpoint_count; i++) {
        const endpoint_conf_t *endpoint = &side->endpoints[i];
        const raw_item_t *item = endpoint_item(self, which, endpoint);
        const char *transport = transport_name(endpoint->at.transport);
        if (is_multicast(endpoint->at.transport) && !(SUBSCRIBING & ON(side->type)))
            complain_value(self, item, "%s carries PUB, SUB, XPUB and XSUB only, this is a %s socket", transport,
                           socket_type_name(side->type));
        else if (side->type == ZMQ_STREAM && endpoint->at.transport != TRANSPORT_TCP)
            complain_value(self, item, "a STREAM socket has tcp endpoints only");
        else if (self->proxied && endpoint->at.transport == TRANSPORT_INPROC)
            complain_value(self, item,
                           "engine = zmq_proxy runs in a context of its own, where no other route's inproc is");
        for (size_t j = 0; j < i && endpoint->connect; j++)
            if (side->endpoints[j].connect && strcmp(side->endpoints[j].at.text, endpoint->at.text) == 0)
                diag_warning(self->diag, endpoint->place, "[%s] %s: %s is connected twice", self->section->name,
                             item->key, endpoint->at.text);
    }
}

// --- fit -----------------------------------------------------------------------------

static void
list_types(uint32_t sockets, text_t *out)
{
    for (int type = 0; type <= 20; type++)
        if (sockets & ON(type))
            text_add(out, "%s%s", out->size ? " or " : "", socket_type_name(type));
}

// A SIDE_key has to fit that side; a key without a side has to fit one at least.
static void
check_fit(const check_t *self, size_t layer, size_t attribute)
{
    const slot_t *slot = &self->own->side[layer][attribute];
    uint32_t fits = attribute_sockets(attribute), have = 0;
    for (size_t i = 0; i < SIDES; i++)
        if ((layer == ANY_SIDE || layer == i) && self->route->sides[i].type >= 0)
            have |= ON(self->route->sides[i].type);
    if (!slot->count || !have || (have & fits))
        return;
    text_t wanted = { 0 }, present = { 0 };
    list_types(fits, &wanted);
    list_types(have, &present);
    for (size_t i = 0; i < slot->count; i++)
        complain_key(self, slot->at[i].item, "does not fit %s, only %s", present.data, wanted.data);
    text_free(&wanted);
    text_free(&present);
}

// Keys of a side that is not there.
static void
check_absent_side(const check_t *self, size_t which)
{
    const route_conf_t *route = self->route;
    bool possible = which != SIDE_INGRESS || route->pattern->ingress;
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        const slot_t *slot = &self->own->side[which][i];
        for (size_t j = 0; j < slot->count; j++) {
            if (!possible)
                complain_key(self, slot->at[j].item, "only a forwarder has an ingress, this is a %s",
                             route->pattern->name);
            else if (!has_endpoint_lines(self, which))
                complain_key(self, slot->at[j].item, "the route has no %s_bind or %s_connect", side_name((side_t)which),
                             side_name((side_t)which));
        }
    }
}

// --- security ------------------------------------------------------------------------

static const char *
security_text(const side_conf_t *side, size_t offset)
{
    const char *text;
    memcpy(&text, (const char *)&side->security + offset, sizeof text);
    return text;
}

static void
check_needs(const check_t *self, size_t which, const raw_item_t *security)
{
    const side_conf_t *side = &self->route->sides[which];
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++) {
        if (needs[i].mechanism != side->security.mechanism || !count_endpoints(side, !needs[i].bound))
            continue;
        // A line that is there but wrong has been reported.
        const char *text = security_text(side, needs[i].offset);
        bool is_written = false;
        for (size_t j = 0; j < self->section->count; j++) {
            const char *base;
            size_t layer = split_side(self->section->items[j].key, &base);
            is_written |= (layer == which || layer == ANY_SIDE) && *self->section->items[j].value &&
                          (strcmp(base, needs[i].key) == 0 ||
                           (strcmp(base, "plain_password") == 0 && strcmp(needs[i].key, "plain_password_file") == 0));
        }
        if ((text && *text) || (is_written && !written_row(self, which, needs[i].key)))
            continue;
        diag_error(self->diag, self->section->kind == RAW_ROUTE ? self->route->place : security->value_place,
                   "[%s] %s: is missing for the %s, security = %s needs %s", self->section->name, needs[i].key,
                   side_name((side_t)which), mechanism_name(side->security.mechanism), needs[i].use);
    }
}

// Was a security line there that could not be read? Then nothing follows from its absence.
static bool
security_is_wrong(const check_t *self, size_t which)
{
    const raw_section_t *section = self->section;
    for (size_t i = 0; i < section->count; i++) {
        const char *base;
        size_t layer = split_side(section->items[i].key, &base);
        if ((layer == which || layer == ANY_SIDE) && strcmp(base, "security") == 0)
            return self->route->sides[which].security.mechanism == SECURITY_UNSET;
    }
    return false;
}

// Keys that only one mechanism reads are a false sense of safety with another.
static void
check_unused(const check_t *self, size_t layer, const char *key, security_t mechanism)
{
    const slot_t *slot = &self->own->side[layer][find_attribute(key)];
    if (!slot->count || !slot->at[0].value.text)
        return;
    for (size_t i = 0; i < SIDES; i++)
        if ((layer == ANY_SIDE || layer == i) && self->route->sides[i].type >= 0 &&
            self->route->sides[i].security.mechanism == mechanism)
            return;
    // A mechanism that could not be read is the fault already reported.
    for (size_t i = 0; i < SIDES; i++)
        if ((layer == ANY_SIDE || layer == i) && self->route->sides[i].type >= 0 && security_is_wrong(self, i))
            return;
    complain_key(self, slot->at[0].item, "has no effect without security = %s", mechanism_name(mechanism));
}

static void
check_open_bind(const check_t *self, size_t which, const endpoint_conf_t *endpoint)
{
    const raw_item_t *item = endpoint_item(self, which, endpoint);
    security_t mechanism = self->route->sides[which].security.mechanism;
    if (endpoint->at.loopback || (endpoint->connect && !is_multicast(endpoint->at.transport)))
        return;
    if (is_multicast(endpoint->at.transport) && !(SUBSCRIBING & ON(self->route->sides[which].type)))
        return;
    if (is_multicast(endpoint->at.transport) && mechanism > SECURITY_NONE)
        complain_value(self, item, "%s has no security; it cannot be %s", transport_name(endpoint->at.transport),
                       mechanism_name(mechanism));
    else if (mechanism == SECURITY_UNSET)
        complain_value(self, item,
                       "%s is open to the network and nothing says who may come in; add \"security = none\", or plain, "
                       "curve or gssapi",
                       endpoint->at.text);
    else if (mechanism == SECURITY_NONE)
        diag_warning(self->diag, endpoint->place, "[%s] %s: %s is open to the network (security = none)",
                     self->section->name, item->key, endpoint->at.text);
}

static void
check_security(const check_t *self, size_t which)
{
    const side_conf_t *side = &self->route->sides[which];
    const raw_item_t *security = written_item(self, which, "security");
    security_t mechanism = side->security.mechanism;
    if (security_is_wrong(self, which))
        return;
    for (size_t i = 0; i < side->endpoint_count; i++)
        check_open_bind(self, which, &side->endpoints[i]);
    if (mechanism <= SECURITY_NONE || !security)
        return;
    const char *name = mechanism_name(mechanism);
    if (side->type == ZMQ_STREAM)
        complain_value(self, security, "a STREAM socket has no security");
    else if (self->proxied)
        complain_value(self, security, "engine = zmq_proxy cannot ask who comes in; only none goes with it");
    else if (mechanism != SECURITY_PLAIN && !zmq_has(name))
        complain_value(self, security, "this libzmq was built without %s", name);
    else
        check_needs(self, which, security);
}

// --- what goes together ----------------------------------------------------------------

static void
check_combinations(const check_t *self, size_t which)
{
    const side_conf_t *side = &self->route->sides[which];
    const raw_item_t *item;
    size_t connects = count_endpoints(side, true), tcp_binds = 0;
    for (size_t i = 0; i < side->endpoint_count; i++)
        tcp_binds += !side->endpoints[i].connect && side->endpoints[i].at.transport == TRANSPORT_TCP;
    const slot_t *slot = written_row(self, which, "handshake_ivl");
    if (slot && slot->at[0].value.number == 0 && tcp_binds && side->type != ZMQ_STREAM)
        complain_value(self, slot->at[0].item,
                       "0 would let strangers hold connections for ever; a bound tcp endpoint needs a limit");
    slot = written_row(self, which, "heartbeat_ivl");
    if (slot && slot->at[0].value.number && (ON(side->type) & sockopt_find("heartbeat_ivl")->sockets))
        diag_warning(self->diag, slot->at[0].item->value_place,
                     "[%s] %s: a peer that is held up for longer than heartbeat_timeout is cut, and what is on its way is "
                     "lost, uncounted",
                     self->section->name, slot->at[0].item->key);
    item = written_item(self, which, "connect_routing_id");
    if (item && *item->value && (ON(side->type) & sockopt_find("connect_routing_id")->sockets) && connects != 1)
        complain_key(self, item, "names the peer of one connect, and the %s has %zu", side_name((side_t)which),
                     connects);
    if (side->type == ZMQ_SUB && !written_item(self, which, "subscribe"))
        diag_warning(self->diag, self->route->place, "[%s]: a SUB socket without %s_subscribe receives nothing",
                     self->section->name, side_name((side_t)which));
}

// What libzmq's own loop cannot do.
static void
check_proxied(const check_t *self)
{
    static const char *const rows_refused[] = { "allow",     "deny",         "acl", "max_clients", "max_subscriptions",
                                                "max_topic", "stall_timeout" };
    static const char *const route_refused[] = { "batch_us", "batch_min", "capture_envelope" };
    for (size_t i = 0; i < sizeof route_refused / sizeof *route_refused; i++) {
        const slot_t *slot = &self->own->route[key_find(SCOPE_ROUTE, route_refused[i]) - key_at(SCOPE_ROUTE, 0)];
        if (slot->count && slot->at[0].value.number)
            complain_key(self, slot->at[0].item, "engine = zmq_proxy does not have it");
    }
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < sizeof rows_refused / sizeof *rows_refused; i++) {
            const slot_t *slot = &self->own->side[layer][find_attribute(rows_refused[i])];
            if (slot->count && (slot->at[0].value.text || slot->at[0].value.number))
                complain_key(self, slot->at[0].item, "engine = zmq_proxy does not have it");
        }
    for (size_t which = 0; which < SIDES; which++) {
        const raw_item_t *item = written_item(self, which, "router_mandatory");
        if (item && self->route->sides[which].mandatory)
            complain_value(self, item, "engine = zmq_proxy ends at the first reply without a client");
    }
    const slot_t *capture = &self->own->route[key_find(SCOPE_ROUTE, "capture_type") - key_at(SCOPE_ROUTE, 0)];
    if (capture->count && capture->at[0].value.number == ZMQ_PUSH)
        complain_value(self, capture->at[0].item,
                       "engine = zmq_proxy stops for good at a full PUSH; only pub goes with it");
    for (size_t i = 0; i < self->route->sides[SIDE_INGRESS].endpoint_count; i++)
        complain_key(self, endpoint_item(self, SIDE_INGRESS, &self->route->sides[SIDE_INGRESS].endpoints[i]),
                     "engine = zmq_proxy has two sides only");
}

// --- a route -------------------------------------------------------------------------

static const given_t *
route_given(const check_t *self, const char *key)
{
    const slot_t *slot = &self->own->route[key_find(SCOPE_ROUTE, key) - key_at(SCOPE_ROUTE, 0)];
    return slot->count ? &slot->at[0] : NULL;
}

static bool
has_item(const check_t *self, const char *key)
{
    for (size_t i = 0; i < self->section->count; i++)
        if (strcmp(self->section->items[i].key, key) == 0)
            return true;
    return false;
}

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
        const given_t *given = route_given(self, keys[side]);
        if (given)
            route->sides[side].type = (int)given->value.number;
        else if (!has_item(self, keys[side]))
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
        complain_value(self, route_given(self, keys[backend])->item, "%s and %s cannot be joined: %s",
                       socket_type_name(route->sides[0].type), socket_type_name(route->sides[1].type), refusal);
        return false;
    }
    for (size_t side = 0; side < 2; side++)
        if (socket_type_is_draft(route->sides[side].type) && !zmq_has("draft")) {
            complain_value(self, route_given(self, keys[side])->item, "%s is a draft socket type, %s drafts",
                           socket_type_name(route->sides[side].type), draft_reason());
            known = false;
        }
    route->flow = pattern_flow(route->sides[0].type, route->sides[1].type);
    return known;
}

// The socket types of all sides. False: the route cannot be judged further.
static bool
resolve_types(const check_t *self)
{
    route_conf_t *route = self->route;
    const given_t *type = route_given(self, "type");
    if (!type) {
        text_t all = { 0 };
        list_patterns(&all);
        if (!has_item(self, "type"))
            diag_error(self->diag, route->place, "[%s] type: is missing; it is one of %s", self->section->name,
                       all.data);
        text_free(&all);
        return false;
    }
    route->pattern = pattern_at((unsigned)type->value.number);
    if (route->pattern->draft && !zmq_has("draft")) {
        complain_value(self, type->item, "%s needs the draft sockets %s and %s, %s drafts", route->pattern->name,
                       socket_type_name(route->pattern->frontend), socket_type_name(route->pattern->backend),
                       draft_reason());
        return false;
    }
    route->sides[SIDE_FRONTEND].type = route->pattern->frontend;
    route->sides[SIDE_BACKEND].type = route->pattern->backend;
    route->flow = route->pattern->flow;
    if (route->pattern->frontend == -1)
        return resolve_custom(self);
    static const char *const keys[] = { "frontend_type", "backend_type" };
    for (size_t i = 0; i < 2; i++)
        if (route_given(self, keys[i]))
            complain_key(self, route_given(self, keys[i])->item,
                         "only a custom route names its socket types, a %s has %s and %s", route->pattern->name,
                         socket_type_name(route->pattern->frontend), socket_type_name(route->pattern->backend));
    return true;
}

static void
resolve_route_rows(const check_t *self)
{
    route_conf_t *route = self->route;
    const key_row_t *row;
    for (unsigned i = 0; (row = key_at(SCOPE_ROUTE, i)); i++) {
        const slot_t *slot = &self->own->route[i];
        key_value_t value = { 0 };
        char reason[128];
        size_t offset;
        if (row->kind == KEY_SOCKET_TYPE && route->pattern->frontend != -1)
            continue;
        if (slot->count)
            value = slot->at[0].value;
        else if (row->kind != KEY_SOCKET_TYPE && row->kind != KEY_PATTERN)
            key_parse(row, row->initial, "/", &value, reason, sizeof reason, &offset);
        if (row->width)
            key_store(row, &value, route);
        add_setting(&route->settings, "", row->key, key_print(row, &value), row->reload, !slot->count);
    }
}

static void
resolve_side(const check_t *self, size_t which)
{
    route_conf_t *route = self->route;
    side_conf_t *side = &route->sides[which];
    static const char *const keys[] = { "bind", "connect" };
    for (size_t connect = 0; connect < 2; connect++)
        for (size_t i = 0; i < side->endpoint_count; i++)
            if (side->endpoints[i].connect == connect)
                add_setting(&route->settings, side_name((side_t)which), keys[connect],
                            xstrdup(side->endpoints[i].at.text), RELOAD_LIVE, false);
    // Security first: what other rows are worth depends on it.
    for (size_t i = 0; i < ROWS_MAX; i++)
        resolve_row(self, which, i);
    for (size_t i = ROWS_MAX; i < ATTRIBUTES && option_of(i); i++)
        resolve_option(self, which, i);
}

static void
check_route(const check_t *self)
{
    route_conf_t *route = self->route;
    bool known = resolve_types(self);
    for (size_t which = 0; which < SIDES; which++)
        take_endpoints(self, which);
    for (size_t which = 0; which < 2; which++)
        if (!has_endpoint_lines(self, which))
            diag_error(self->diag, route->place, "[%s]: the %s has no endpoint, add %s_bind or %s_connect",
                       self->section->name, side_name((side_t)which), side_name((side_t)which),
                       side_name((side_t)which));
    if (!known)
        return;
    const given_t *capture_type = route_given(self, "capture_type");
    if (route->sides[SIDE_CAPTURE].endpoint_count)
        route->sides[SIDE_CAPTURE].type = capture_type ? (int)capture_type->value.number : ZMQ_PUB;
    if (route->sides[SIDE_INGRESS].endpoint_count && route->pattern->ingress)
        route->sides[SIDE_INGRESS].type = ZMQ_PULL;
    resolve_route_rows(self);
    for (size_t which = 0; which < SIDES; which++) {
        if (route->sides[which].type < 0) {
            check_absent_side(self, which);
            continue;
        }
        resolve_side(self, which);
        check_transports(self, which);
        check_security(self, which);
        check_combinations(self, which);
    }
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < ATTRIBUTES; i++)
            if (self->own->side[layer][i].count)
                check_fit(self, layer, i);
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
            check_unused(self, layer, needs[i].key, needs[i].mechanism);
    if (self->proxied)
        check_proxied(self);
}

static void
load_route(conf_t *conf, const raw_section_t *section, slots_t *defaults, diag_t *diag)
{
    route_conf_t *route = xcalloc(1, sizeof *route);
    snprintf(route->name, sizeof route->name, "%s", section->name + 6);
    route->place = section->place;
    for (size_t which = 0; which < SIDES; which++) {
        route->sides[which].type = -1;
        route->sides[which].linger_ms = -1;
        route->sides[which].ipc_group = (gid_t)-1;
    }
    check_t self = {
        .diag = diag, .section = section, .route = route, .own = xcalloc(1, sizeof(slots_t)), .defaults = defaults
    };
    for (size_t i = 0; i < section->count; i++)
        take_item(&self, self.own, &section->items[i]);
    const given_t *engine = route_given(&self, "engine");
    self.proxied = engine && engine->value.number == ENGINE_ZMQ_PROXY;
    check_route(&self);
    free_slots(&self.own);
    conf->routes = xrealloc(conf->routes, conf->route_count + 1, sizeof *conf->routes);
    conf->routes[conf->route_count++] = route;
}

// --- the process ---------------------------------------------------------------------

static void
split_http(conf_t *conf)
{
    if (!conf->http)
        return;
    const char *colon = strrchr(conf->http, ':');
    size_t length = (size_t)(colon - conf->http);
    bool brackets = conf->http[0] == '[';
    snprintf(conf->http_host, sizeof conf->http_host, "%.*s", (int)(length - (brackets ? 2 : 0)),
             conf->http + brackets);
    conf->http_port = atoi(colon + 1);
}

static void
load_process(conf_t *conf, const raw_section_t *section, diag_t *diag)
{
    check_t self = { .diag = diag, .section = section };
    slot_t slots[ROWS_MAX] = { 0 };
    const key_row_t *row;
    for (size_t i = 0; i < section->count; i++) {
        const raw_item_t *item = &section->items[i];
        given_t given;
        row = key_find(SCOPE_PROCESS, item->key);
        if (!row)
            unknown_key(&self, item);
        else if (((row->flags & KEY_LIST) || !is_double(&self, item, &slots[row - key_at(SCOPE_PROCESS, 0)])) &&
                 parse_row(&self, row, item, &given) == 0)
            put(&slots[row - key_at(SCOPE_PROCESS, 0)], given);
    }
    for (unsigned i = 0; (row = key_at(SCOPE_PROCESS, i)); i++) {
        key_value_t value = { 0 };
        char reason[128];
        size_t offset;
        if (row->kind == KEY_INCLUDE)
            continue;
        if (slots[i].count)
            value = slots[i].at[0].value;
        else
            key_parse(row, row->initial, "/", &value, reason, sizeof reason, &offset);
        key_store(row, &value, conf);
        add_setting(&conf->settings, "", row->key, key_print(row, &value), row->reload, !slots[i].count);
        if (!slots[i].count)
            free(value.text);
        else if (row->kind == KEY_HTTP && value.text) {
            char *url = xasprintf("tcp://%s", strncmp(value.text, "localhost:", 10) == 0 ? "127.0.0.1:1" : value.text);
            endpoint_t endpoint;
            if (endpoint_parse(url, false, &endpoint, reason, sizeof reason, &offset) == 0 && !endpoint.loopback)
                diag_warning(diag, slots[i].at[0].item->value_place, "[zbroker] http: %s is open to the network",
                             value.text);
            free(url);
        }
    }
    split_http(conf);
    for (size_t i = 0; i < ROWS_MAX; i++)
        free_slot(&slots[i]);
}

// --- all routes together ---------------------------------------------------------------

typedef struct {
    const route_conf_t *route;
    side_t side;
    const endpoint_conf_t *endpoint;
    size_t order;
} bound_t;

static int
by_order(const void *left, const void *right)
{
    const bound_t *a = left, *b = right;
    return a->order < b->order ? -1 : a->order > b->order;
}

// When the line that ENDPOINT stands in was read.
static size_t
order_of(const raw_t *raw, const endpoint_conf_t *endpoint)
{
    for (size_t i = 0; i < raw->count; i++)
        for (size_t j = 0; j < raw->sections[i].count; j++) {
            const raw_item_t *item = &raw->sections[i].items[j];
            if (item->value_place.line == endpoint->place.line && item->value_place.file == endpoint->place.file)
                return item->order;
        }
    return 0;
}

static bound_t *
collect_bound(const conf_t *conf, const raw_t *raw, size_t *count)
{
    bound_t *all = NULL;
    size_t room = 0;
    *count = 0;
    for (size_t i = 0; i < conf->route_count; i++)
        for (size_t which = 0; which < SIDES; which++)
            for (size_t j = 0; j < conf->routes[i]->sides[which].endpoint_count; j++) {
                const endpoint_conf_t *endpoint = &conf->routes[i]->sides[which].endpoints[j];
                if (endpoint->connect)
                    continue;
                mem_grow(all, *count, room);
                all[(*count)++] = (bound_t){ conf->routes[i], (side_t)which, endpoint, order_of(raw, endpoint) };
            }
    if (*count)
        qsort(all, *count, sizeof *all, by_order);
    return all;
}

static void
check_clashes(const conf_t *conf, const bound_t *bound, size_t count, diag_t *diag)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (endpoint_clash(&bound[i].endpoint->at, &bound[j].endpoint->at)) {
                diag_error(diag, bound[i].endpoint->place,
                           "[route %s] %s_bind: %s is bound already, as %s by [route %s] %s_bind in %s:%d",
                           bound[i].route->name, side_name(bound[i].side), bound[i].endpoint->at.text,
                           bound[j].endpoint->at.text, bound[j].route->name, side_name(bound[j].side),
                           bound[j].endpoint->place.file, bound[j].endpoint->place.line);
                break;
            }
    endpoint_t http = { .transport = TRANSPORT_TCP, .port = conf->http_port };
    snprintf(http.host, sizeof http.host, "%s",
             strcmp(conf->http_host, "localhost") == 0 ? "127.0.0.1" : conf->http_host);
    for (size_t i = 0; i < count; i++) {
        const endpoint_t *at = &bound[i].endpoint->at;
        if (conf->http && conf->http_port && endpoint_clash(&http, at))
            diag_error(diag, bound[i].endpoint->place, "[route %s] %s_bind: %s is taken by http = %s",
                       bound[i].route->name, side_name(bound[i].side), at->text, conf->http);
        if (conf->control && at->transport == TRANSPORT_IPC && strcmp(conf->control, at->path) == 0)
            diag_error(diag, bound[i].endpoint->place, "[route %s] %s_bind: %s is the control socket",
                       bound[i].route->name, side_name(bound[i].side), at->text);
    }
}

// An inproc name lives in this process only: somebody here has to bind it.
static void
check_inproc(const conf_t *conf, const bound_t *bound, size_t count, diag_t *diag)
{
    for (size_t i = 0; i < conf->route_count; i++)
        for (size_t which = 0; which < SIDES; which++)
            for (size_t j = 0; j < conf->routes[i]->sides[which].endpoint_count; j++) {
                const endpoint_conf_t *endpoint = &conf->routes[i]->sides[which].endpoints[j];
                bool found = !endpoint->connect || endpoint->at.transport != TRANSPORT_INPROC;
                for (size_t k = 0; k < count && !found; k++)
                    found = strcmp(bound[k].endpoint->at.text, endpoint->at.text) == 0;
                if (!found)
                    diag_warning(diag, endpoint->place, "[route %s] %s_connect: no route binds %s",
                                 conf->routes[i]->name, side_name((side_t)which), endpoint->at.text);
            }
}

static void
check_max_sockets(const conf_t *conf, diag_t *diag)
{
    int used = 0;
    for (size_t i = 0; i < conf->route_count; i++) {
        int before = used;
        for (size_t which = 0; which < SIDES; which++)
            used += conf->routes[i]->sides[which].type >= 0;
        if (before <= conf->max_sockets && used > conf->max_sockets)
            diag_error(diag, conf->routes[i]->place, "[route %s]: its sockets make %d, max_sockets is %d",
                       conf->routes[i]->name, used, conf->max_sockets);
    }
}

void
check_all(conf_t *conf, const raw_t *raw, diag_t *diag)
{
    slots_t *defaults = xcalloc(1, sizeof *defaults);
    check_t self = { .diag = diag, .section = &raw->sections[1] };
    load_process(conf, &raw->sections[0], diag);
    for (size_t i = 0; i < raw->sections[1].count; i++)
        take_item(&self, defaults, &raw->sections[1].items[i]);
    for (size_t i = 2; i < raw->count; i++)
        load_route(conf, &raw->sections[i], defaults, diag);
    free_slots(&defaults);
    size_t count;
    bound_t *bound = collect_bound(conf, raw, &count);
    check_clashes(conf, bound, count, diag);
    check_inproc(conf, bound, count, diag);
    check_max_sockets(conf, diag);
    free(bound);
    // With an error there may be one that could not be read.
    if (raw->count == 2 && diag_errors(diag) == 0)
        diag_warning(diag, (place_t){ raw->sections[0].place.file, 1, 1 },
                     "there is no [route NAME] section, nothing will be forwarded");
}
