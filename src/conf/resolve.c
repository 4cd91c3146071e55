// SPDX-License-Identifier: MPL-2.0
#include "conf/resolve.h"

#include "base/mem.h"
#include "base/text.h"
#include "conf/access.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

// Takes VALUE.
void
resolve_setting(settings_t *settings, const char *prefix, const char *key, char *value, reload_t reload, bool is_default)
{
    mem_grow(settings->at, settings->count, settings->room);
    settings->at[settings->count++] = (setting_t){ .key = xasprintf("%s%s%s", prefix, *prefix ? "_" : "", key),
                                                   .value = value,
                                                   .reload = reload,
                                                   .is_default = is_default };
}

reload_t
resolve_reload(const route_conf_t *route, const key_row_t *row)
{
    return route->engine == ENGINE_WIRE && row->flags & KEY_WIRE_LIVE ? RELOAD_LIVE : row->reload;
}

// --- defaults of ours ----------------------------------------------------------------

typedef enum {
    ALWAYS,
    ON_BOUND, // the side has a bind
    ON_TCP,   // the side has an endpoint over TCP
    ON_IPV6_HOST,
    ON_OWN_LOOP, // not with engine = zmq_proxy
    ON_WIRE_TCP, // engine = wire, and an endpoint over TCP
    RARE_BEATS,  // heartbeat_ivl, which is resolved before, is more than half of our heartbeat_ttl
} condition_t;

enum { RARE_BEATS_MS = 7500 };

// No heartbeats of our own with libzmq's sockets: a PING waits its turn behind messages, and so does its
// answer. A worker that is slow, and a producer that is held up, would be cut for
// it, and what is on the way would be lost without a trace. TCP finds dead peers
// instead; tcp_maxrt stays off for the same reason.
//
// heartbeat_ttl: a peer that is asked less often leaves between two questions.
//
// immediate: else a side that connects has a queue for each peer from the start, and what goes into that of a peer that
// never comes waits unseen. What a bound side does is the same without it.
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
    { "heartbeat_ivl", "5s", ON_WIRE_TCP, 0 },
    { "heartbeat_timeout", "15s", ALWAYS, 0 },
    { "heartbeat_ttl", "0", RARE_BEATS, 0 },
    { "heartbeat_ttl", "15s", ALWAYS, 0 },
    { "immediate", "yes", ALWAYS, 0 },
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
holds(condition_t condition, const check_t *self, const side_conf_t *side)
{
    if (condition == ON_IPV6_HOST)
        return host_has_ipv6();
    if (condition == RARE_BEATS)
        return side_option(side, "heartbeat_ivl", 0) > RARE_BEATS_MS;
    if (condition == ON_OWN_LOOP)
        return self->route->engine != ENGINE_ZMQ_PROXY;
    if (condition == ON_WIRE_TCP && self->route->engine != ENGINE_WIRE)
        return false;
    for (size_t i = 0; condition != ALWAYS && i < side->endpoint_count; i++)
        if (condition == ON_BOUND ? !side->endpoints[i].connect : transport_is_over_tcp(side->endpoints[i].at.transport))
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

// --- options of libzmq's -------------------------------------------------------------

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

static void
resolve_list_option(route_conf_t *route, side_conf_t *side, const char *prefix, const sockopt_t *option,
                    const assigned_slot_t *slot)
{
    for (size_t i = 0; slot && i < slot->count; i++) {
        sockopt_value_t value = { .text = xstrdup(slot->at[i].value.text) };
        add_option(side, option, value, slot->at[i].item->value_place);
        resolve_setting(&route->settings, prefix, option->key, xstrdup(value.text), RELOAD_ROUTE, false);
    }
}

static void
resolve_linger(route_conf_t *route, side_conf_t *side, const char *prefix, const sockopt_t *option,
               const assigned_slot_t *slot)
{
    side->linger_ms = slot ? slot->at[0].value.number : -1;
    char *text =
        side->linger_ms < 0 ? xstrdup("auto") : sockopt_print(option, (sockopt_value_t){ .number = side->linger_ms });
    resolve_setting(&route->settings, prefix, option->key, text, RELOAD_LIVE, side->linger_ms < 0);
}

// What only some transport or mechanism reads is left out of the dump of sides without it.
static bool
is_idle(const sockopt_t *option, const side_conf_t *side)
{
    static const char *const multicast[] = { "multicast_", "norm_", "rate", "recovery_ivl" };
    bool has_multicast = false, for_multicast = false;
    for (size_t i = 0; i < side->endpoint_count; i++)
        has_multicast |= transport_is_multicast(side->endpoints[i].at.transport);
    for (size_t i = 0; i < sizeof multicast / sizeof *multicast; i++)
        for_multicast |= strncmp(option->key, multicast[i], strlen(multicast[i])) == 0;
    bool for_gssapi = strncmp(option->key, "gssapi_", 7) == 0;
    return (for_multicast && !has_multicast) || (for_gssapi && side->security.mechanism != SECURITY_GSSAPI);
}

// How many messages of message_size make queue_bytes, where OPTION limits messages; 0: it does not, or nobody asked.
static int64_t
budget(const route_conf_t *route, const sockopt_t *option, int type)
{
    // What goes the other way there are subscriptions.
    bool sends = option->option == ZMQ_SNDHWM && type != ZMQ_XSUB && type != ZMQ_SUB;
    bool receives = option->option == ZMQ_RCVHWM && !socket_type_publishes(type);
    if ((!sends && !receives) || !route->queue_bytes || !route->message_size || route->engine == ENGINE_WIRE)
        return 0;
    int64_t messages = route->queue_bytes / route->message_size;
    return messages < 1 ? 1 : messages > INT_MAX ? INT_MAX : messages;
}

static void
resolve_option(const check_t *self, size_t which, size_t attribute)
{
    route_conf_t *route = self->route;
    side_conf_t *side = &route->sides[which];
    const sockopt_t *option = attribute_option(attribute);
    const char *prefix = side_name((side_t)which);
    if (!(option->sockets & ON(side->type)) || !sockopt_works(option))
        return;
    bool needed;
    const char *text = own_default(self, option, side, &needed);
    const assigned_slot_t *slot = assigned_written(self, which, attribute, needed);
    int64_t hwm = budget(route, option, side->type);
    if (hwm && slot && assigned_by_defaults(self, slot))
        slot = NULL; // the route says more
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
    else if (hwm)
        value.number = hwm;
    else
        sockopt_parse(option, text, &value, reason, sizeof reason);
    bool live = option->flags & (route->engine == ENGINE_WIRE ? SOCKOPT_LIVE | SOCKOPT_WIRE_LIVE : SOCKOPT_LIVE);
    reload_t reload = live ? RELOAD_LIVE : RELOAD_ROUTE;
    resolve_setting(&route->settings, prefix, option->key, sockopt_print(option, value), reload, !slot && !hwm);
    if (option->option == ZMQ_ROUTER_MANDATORY)
        side->mandatory = value.number;
    if (option->option == ZMQ_XPUB_NODROP)
        side->nodrop = value.number;
    else if (sockopt_differs(option, value)) {
        add_option(side, option, value, slot ? slot->at[0].item->value_place : (place_t){ 0 });
        return;
    }
    if (is_text(option))
        free(value.text);
}

// --- rows of ours --------------------------------------------------------------------

// allow and deny: the lines add up, and each network is a line of the dump.
static void
resolve_cidr(const check_t *self, size_t which, const key_row_t *row, const assigned_slot_t *slot)
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
        resolve_setting(&self->route->settings, side_name((side_t)which), row->key, xstrdup(one + (*one == ' ')),
                    row->reload, false);
    text_free(&all);
}

// Is a row worth a line? Only what this side can use.
static bool
is_of_use(const check_t *self, const key_row_t *row, const side_conf_t *side, const assigned_slot_t *slot)
{
    // Topics are what only our own loop looks at.
    if (self->route->engine == ENGINE_ZMQ_PROXY && row->sockets)
        return false;
    if (self->route->engine != ENGINE_WIRE && row->flags & KEY_WIRE)
        return false;
    bool ipc = false;
    for (size_t i = 0; i < side->endpoint_count; i++)
        ipc |= !side->endpoints[i].connect && side->endpoints[i].at.transport == TRANSPORT_IPC;
    if (strncmp(row->key, "ipc_", 4) == 0)
        return ipc;
    if (strncmp(row->key, "gssapi_", 7) == 0 && side->security.mechanism != SECURITY_GSSAPI)
        return false;
    if (access_is_foreign(row->key, side->security.mechanism))
        return false;
    return !(row->flags & KEY_UNSET_OK) || slot;
}

// The setting that was added last comes from the line of ITEM.
static void
note_line(settings_t *settings, const char *key, const raw_item_t *item)
{
    setting_t *setting = &settings->at[settings->count - 1];
    bool sided = strcmp(item->key, key) != 0;
    setting->place = item->value_place;
    setting->written = sided ? setting->key : setting->key + strlen(setting->key) - strlen(key);
}

static void
resolve_row(const check_t *self, size_t which, size_t attribute)
{
    route_conf_t *route = self->route;
    side_conf_t *side = &route->sides[which];
    const key_row_t *row = attribute_row(attribute);
    if (!row || row->kind == KEY_ENDPOINT || !attribute_fits(attribute, route, which))
        return;
    const assigned_slot_t *slot =
        assigned_written(self, which, attribute, which == SIDE_CAPTURE && row->flags & KEY_NOT_CAPTURE);
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
        resolve_setting(&route->settings, side_name((side_t)which), row->key, key_print(row, &value), resolve_reload(route, row), !slot);
    if (of_use && slot)
        note_line(&route->settings, row->key, slot->at[0].item);
    if (!slot)
        free(value.text);
}

// --- a side --------------------------------------------------------------------------

void
resolve_side(const check_t *self, size_t which)
{
    route_conf_t *route = self->route;
    side_conf_t *side = &route->sides[which];
    static const char *const keys[] = { "bind", "connect" };
    for (size_t connect = 0; connect < 2; connect++)
        for (size_t i = 0; i < side->endpoint_count; i++)
            if (side->endpoints[i].connect == connect)
                resolve_setting(&route->settings, side_name((side_t)which), keys[connect],
                            xstrdup(side->endpoints[i].at.text), RELOAD_LIVE, false);
    // Security first: what other rows are worth depends on it.
    for (size_t i = 0; i < ROWS_MAX; i++)
        resolve_row(self, which, i);
    for (size_t i = ROWS_MAX; i < ATTRIBUTES && attribute_option(i); i++)
        resolve_option(self, which, i);
}
