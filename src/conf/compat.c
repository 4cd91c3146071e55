// SPDX-License-Identifier: MPL-2.0
#include "conf/compat.h"

#include "base/mem.h"
#include "base/text.h"
#include "conf/endpoints.h"

#include <string.h>

static void
list_types(uint32_t sockets, text_t *out)
{
    for (int type = 0; type <= 20; type++)
        if (sockets & ON(type))
            text_add(out, "%s%s", out->size ? " or " : "", socket_type_name(type));
}

// Of the sides that a key of LAYER is for.
static uint32_t
types_of(const check_t *self, size_t layer)
{
    uint32_t types = 0;
    for (size_t i = 0; i < SIDES; i++)
        if ((layer == ANY_SIDE || layer == i) && self->route->sides[i].type >= 0)
            types |= ON(self->route->sides[i].type);
    return types;
}

static bool
fits_a_side(const check_t *self, size_t layer, size_t attribute)
{
    for (size_t i = 0; i < SIDES; i++)
        if ((layer == ANY_SIDE || layer == i) && self->route->sides[i].type >= 0 &&
            attribute_fits(attribute, self->route, i))
            return true;
    return false;
}

// A SIDE_key has to fit that side; a key without a side has to fit one at least.
static void
fit_key(const check_t *self, size_t layer, size_t attribute)
{
    const assigned_slot_t *slot = &self->own->side[layer][attribute];
    uint32_t fits = attribute_sockets(attribute, self->route->engine), have = types_of(self, layer);
    if (!slot->count || !have || fits_a_side(self, layer, attribute))
        return;
    text_t wanted = { 0 }, present = { 0 };
    list_types(fits, &wanted);
    list_types(have, &present);
    for (size_t i = 0; i < slot->count; i++)
        complain_key(self, slot->at[i].item, "applies only to %s, not to %s", wanted.data, present.data);
    text_free(&wanted);
    text_free(&present);
}

void
compat_keys(const check_t *self)
{
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < ATTRIBUTES; i++)
            if (self->own->side[layer][i].count)
                fit_key(self, layer, i);
}

// A backend of DEALER is a queue's only where the frontend keeps the clients apart.
bool
compat_route_row(const route_conf_t *route, const key_row_t *row)
{
    int frontend = route->sides[SIDE_FRONTEND].type, backend = route->sides[SIDE_BACKEND].type;
    return !row->sockets || (row->sockets & ON(backend) && (backend != ZMQ_DEALER || frontend == ZMQ_ROUTER));
}

// Which routes have a backend that ROW is for, in words.
static const char *
kinds_of(const key_row_t *row)
{
    if (row->sockets & ON(ZMQ_XPUB))
        return "a streamer or a forwarder";
    if (!(row->sockets & ON(ZMQ_PUSH)))
        return "a queue";
    return row->sockets & ON(ZMQ_DEALER) ? "a queue or a streamer" : "a streamer";
}

void
compat_route_rows(const check_t *self)
{
    const key_row_t *row;
    for (unsigned i = 0; (row = key_at(SCOPE_ROUTE, i)); i++)
        if (self->own->route[i].count && !compat_route_row(self->route, row))
            complain_key(self, self->own->route[i].at[0].item, "is for %s", kinds_of(row));
    const assigned_t *dispatch = assigned_for_route(self, "dispatch");
    if (dispatch && dispatch->value.number == DISPATCH_READY && self->route->sides[SIDE_BACKEND].type == ZMQ_PUSH)
        complain_value(self, dispatch->item, "is for a queue: the workers of a streamer say nothing");
}

// Keys of a side that is not there.
void
compat_absent_side(const check_t *self, size_t which)
{
    const route_conf_t *route = self->route;
    static const char *const only[SIDES] = {
        [SIDE_INGRESS] = "only a forwarder has an ingress",
        [SIDE_ACK] = "only a streamer has acknowledged producers",
        [SIDE_WORKER_ACK] = "only a streamer has acknowledged workers",
    };
    bool possible = pattern_may_have(route->pattern, (side_t)which);
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        const assigned_slot_t *slot = &self->own->side[which][i];
        for (size_t j = 0; j < slot->count; j++) {
            if (!possible)
                complain_key(self, slot->at[j].item, "%s, this is a %s", only[which], route->pattern->name);
            else if (!endpoints_given(self, which))
                complain_key(self, slot->at[j].item, "the route has no %s_bind or %s_connect", side_name((side_t)which),
                             side_name((side_t)which));
        }
    }
}

void
compat_combinations(const check_t *self, size_t which)
{
    const side_conf_t *side = &self->route->sides[which];
    const raw_item_t *item;
    size_t connects = endpoints_count(side, true), tcp_binds = 0;
    for (size_t i = 0; i < side->endpoint_count; i++)
        tcp_binds += !side->endpoints[i].connect && side->endpoints[i].at.transport == TRANSPORT_TCP;
    const assigned_slot_t *slot = assigned_row(self, which, "handshake_ivl");
    if (slot && slot->at[0].value.number == 0 && tcp_binds && side->type != ZMQ_STREAM)
        complain_value(self, slot->at[0].item,
                       "0 would let strangers hold connections for ever; a bound tcp endpoint needs a limit");
    slot = assigned_row(self, which, "heartbeat_ivl");
    if (self->route->engine != ENGINE_WIRE && slot && slot->at[0].value.number &&
        (ON(side->type) & sockopt_find("heartbeat_ivl")->sockets))
        diag_warning(
            self->diag, slot->at[0].item->value_place,
            "[%s] %s: a peer that is held up for longer than heartbeat_timeout is cut, and what is on its way is "
            "lost, uncounted",
            self->section->name, slot->at[0].item->key);
    slot = assigned_row(self, which, "heartbeat_ttl");
    int64_t interval = side_option(side, "heartbeat_ivl", 0), ttl = side_option(side, "heartbeat_ttl", 0);
    if (slot && ttl > 0 && ttl <= interval)
        diag_warning(self->diag, slot->at[0].item->value_place,
                     "[%s] %s: silent peers disconnect before the next heartbeat, which comes after heartbeat_ivl",
                     self->section->name, slot->at[0].item->key);
    item = assigned_item(self, which, "connect_routing_id");
    if (item && *item->value && (ON(side->type) & sockopt_find("connect_routing_id")->sockets) && connects != 1)
        complain_key(self, item, "names the peer of one connect, and the %s has %zu", side_name((side_t)which),
                     connects);
    if (side->type == ZMQ_SUB && !assigned_item(self, which, "subscribe"))
        diag_warning(self->diag, self->route->place, "[%s]: a SUB socket without %s_subscribe receives nothing",
                     self->section->name, side_name((side_t)which));
}

// --- transports ----------------------------------------------------------------------

static bool
is_websocket(const endpoint_conf_t *endpoint)
{
    return endpoint->at.transport == TRANSPORT_WS || endpoint->at.transport == TRANSPORT_WSS;
}

// Whichever side connects, either may choose to go without a mechanism (ZWS2.0), and libzmq asserts that there is one.
static void
fit_websocket(const check_t *self, size_t which, const char *transport)
{
    const side_conf_t *side = &self->route->sides[which];
    security_t mechanism = side->security.mechanism;
    const assigned_slot_t *heartbeat = assigned_row(self, which, "heartbeat_ivl");
    const raw_item_t *security = assigned_item(self, which, "security");
    if (mechanism <= SECURITY_NONE && heartbeat && heartbeat->at[0].value.number)
        complain_value(
            self, heartbeat->at[0].item,
            "not supported over %s without security, where a heartbeat ends the process, a fault of libzmq; say "
            "%s_heartbeat_ivl = 0",
            transport, side_name((side_t)which));
    if (mechanism == SECURITY_GSSAPI)
        complain_value(self, security, "libzmq has no gssapi over %s", transport);
    if (mechanism == SECURITY_CURVE && (SUBSCRIBING & ON(side->type)))
        diag_warning(
            self->diag, security->value_place,
            "[%s] %s: subscriptions do not arrive over %s with curve, a fault of libzmq; plain there, or curve "
            "over tcp, works",
            self->section->name, security->key, transport);
}

// Why the peer of an endpoint is not known by ADDRESS, or by name; NULL: it is.
static const char *
unknown_peer(const check_t *self, size_t which, const endpoint_conf_t *endpoint, bool by_address)
{
    bool is_known = self->route->engine == ENGINE_WIRE || self->route->sides[which].security.mechanism <= SECURITY_NONE;
    if (transport_is_multicast(endpoint->at.transport))
        return "the peers of a group are unknown";
    if (endpoint->at.transport == TRANSPORT_TIPC)
        return "a tipc peer has no IP address, so that all look like one";
    if (by_address && endpoint->connect && (is_websocket(endpoint) || (endpoint->at.transport == TRANSPORT_TCP && !is_known)))
        return "libzmq does not ask about the server there";
    return NULL;
}

// Keys that admit or refuse peers which are unknown there: they would have no effect.
static void
fit_peers(const check_t *self, size_t which)
{
    static const struct {
        const char *key;
        bool by_address;
    } rows[] = { { "allow", true }, { "deny", true }, { "acl", false } };
    const side_conf_t *side = &self->route->sides[which];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const assigned_slot_t *slot = assigned_row(self, which, rows[i].key);
        for (size_t j = 0; slot && slot->at[0].value.text && j < side->endpoint_count; j++) {
            const char *reason = unknown_peer(self, which, &side->endpoints[j], rows[i].by_address);
            if (reason)
                complain_key(self, slot->at[0].item, "has no effect on %s: %s", side->endpoints[j].at.text, reason);
        }
    }
}

void
compat_transports(const check_t *self, size_t which)
{
    const side_conf_t *side = &self->route->sides[which];
    size_t i = 0;
    while (i < side->endpoint_count && !is_websocket(&side->endpoints[i]))
        i++;
    if (i < side->endpoint_count)
        fit_websocket(self, which, transport_name(side->endpoints[i].at.transport));
    fit_peers(self, which);
}

static void
needs_wire(const check_t *self, const key_row_t *row, const assigned_slot_t *slot)
{
    bool is_number = row->kind == KEY_NUMBER || row->kind == KEY_SIZE;
    bool is_off = is_number && row->min == 0 && slot->count && slot->at[0].value.number == 0;
    if (row->flags & KEY_WIRE && slot->count && !is_off)
        complain_key(self, slot->at[0].item, "needs engine = wire");
}

// [defaults] is for every route; who set a limit there should know which route does not keep it.
static void
warn_of_default(const check_t *self, const key_row_t *row, const assigned_slot_t *slot)
{
    if (row->flags & KEY_WIRE && slot->count)
        diag_warning(self->diag, slot->at[0].item->key_place, "[%s] does not keep %s: it needs engine = wire",
                     self->section->name, row->key);
}

void
compat_without_wire(const check_t *self)
{
    for (unsigned i = 0; key_at(SCOPE_ROUTE, i); i++)
        needs_wire(self, key_at(SCOPE_ROUTE, i), &self->own->route[i]);
    for (size_t i = 0; attribute_row(i); i++) {
        const key_row_t *row = attribute_row(i);
        uint32_t fits = attribute_sockets(i, self->route->engine);
        for (size_t layer = 0; layer < LAYERS; layer++)
            if (types_of(self, layer) & fits)
                needs_wire(self, row, &self->own->side[layer][i]);
        if (types_of(self, ANY_SIDE) & fits)
            warn_of_default(self, row, &self->defaults->side[ANY_SIDE][i]);
    }
}

// What libzmq's own loop cannot do.
void
compat_proxied(const check_t *self)
{
    static const char *const rows_refused[] = { "allow", "deny", "max_clients", "stall_timeout" };
    static const char *const route_refused[] = { "batch_us", "batch_min", "capture_envelope" };
    for (size_t i = 0; i < sizeof route_refused / sizeof *route_refused; i++) {
        const assigned_slot_t *slot =
            &self->own->route[key_find(SCOPE_ROUTE, route_refused[i]) - key_at(SCOPE_ROUTE, 0)];
        if (slot->count && slot->at[0].value.number)
            complain_key(self, slot->at[0].item, "not supported with engine = zmq_proxy");
    }
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < sizeof rows_refused / sizeof *rows_refused; i++) {
            const assigned_slot_t *slot = &self->own->side[layer][attribute_find(rows_refused[i])];
            if (slot->count && (slot->at[0].value.text || slot->at[0].value.number))
                complain_key(self, slot->at[0].item, "not supported with engine = zmq_proxy");
        }
    for (size_t which = 0; which < SIDES; which++) {
        const raw_item_t *item = assigned_item(self, which, "router_mandatory");
        if (item && self->route->sides[which].mandatory)
            complain_value(self, item, "engine = zmq_proxy ends at the first reply without a client");
    }
    const assigned_slot_t *capture = &self->own->route[key_find(SCOPE_ROUTE, "capture_type") - key_at(SCOPE_ROUTE, 0)];
    if (capture->count && capture->at[0].value.number == ZMQ_PUSH)
        complain_value(self, capture->at[0].item,
                       "engine = zmq_proxy stops for good at a full PUSH; only pub goes with it");
    for (size_t i = 0; i < self->route->sides[SIDE_INGRESS].endpoint_count; i++)
        complain_key(self, endpoints_item(self, SIDE_INGRESS, &self->route->sides[SIDE_INGRESS].endpoints[i]),
                     "engine = zmq_proxy has two sides only");
}
