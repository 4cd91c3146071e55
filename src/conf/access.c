// SPDX-License-Identifier: MPL-2.0
#include "conf/access.h"

#include "base/mem.h"
#include "base/text.h"
#include "conf/endpoints.h"

#include <stdio.h>
#include <string.h>

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
    { "users", SECURITY_PLAIN, true, offsetof(security_conf_t, users), "a file of NAME:HASH lines, made by zbroker-keygen password" },
    { "plain_username", SECURITY_PLAIN, false, offsetof(security_conf_t, plain_username), "the broker's name at the server" },
    { "plain_password_file", SECURITY_PLAIN, false, offsetof(security_conf_t, plain_password),
      "the file with the broker's password" },
    { "server_cert", SECURITY_CURVE, true, offsetof(security_conf_t, server_cert),
      "the broker's certificate, made by zbroker-keygen cert" },
    { "client_certs", SECURITY_CURVE, true, offsetof(security_conf_t, client_certs),
      "the folder of the accepted certificates, or any" },
    { "client_cert", SECURITY_CURVE, false, offsetof(security_conf_t, client_cert),
      "the broker's certificate, made by zbroker-keygen cert" },
    { "peer_cert", SECURITY_CURVE, false, offsetof(security_conf_t, peer_cert), "the certificate of the server" },
    { "gssapi_principal", SECURITY_GSSAPI, true, offsetof(security_conf_t, gssapi_principal), "the broker's principal" },
    { "gssapi_service_principal", SECURITY_GSSAPI, false, offsetof(security_conf_t, gssapi_service_principal),
      "the server's principal" },
};

bool
access_is_foreign(const char *key, security_t mechanism)
{
    for (size_t i = 0; i < COUNT(needs); i++)
        if (strcmp(needs[i].key, key) == 0 && needs[i].mechanism != mechanism)
            return true;
    return false;
}

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
        if (needs[i].mechanism != side->security.mechanism || !endpoints_count(side, !needs[i].bound))
            continue;
        // A line that is there but wrong has been reported.
        const char *text = security_text(side, needs[i].offset);
        char key[64];
        snprintf(key, sizeof key, "%s_%s", side_name((side_t)which), needs[i].key);
        bool is_written = assigned_may_have(self, key);
        for (size_t j = 0; j < self->section->count; j++) {
            const char *base;
            size_t layer = attribute_side(self->section->items[j].key, &base);
            is_written |= (layer == which || layer == ANY_SIDE) && *self->section->items[j].value &&
                          (strcmp(base, needs[i].key) == 0 ||
                           (strcmp(base, "plain_password") == 0 && strcmp(needs[i].key, "plain_password_file") == 0));
        }
        if (text_given(text) || (is_written && !assigned_row(self, which, needs[i].key)))
            continue;
        diag_error(self->diag, self->section->kind == RAW_ROUTE ? self->route->place : security->value_place,
                   "[%s] %s: is missing for the %s, security = %s needs %s", self->section->name, needs[i].key,
                   side_name((side_t)which), mechanism_name(side->security.mechanism), needs[i].use);
    }
}

// Was a line there that could not be read, and may have been that of the security? Then nothing follows from its absence.
static bool
security_is_wrong(const check_t *self, size_t which)
{
    const raw_section_t *section = self->section;
    char key[32];
    snprintf(key, sizeof key, "%s_security", side_name((side_t)which));
    if (self->route->sides[which].security.mechanism == SECURITY_UNSET && assigned_may_have(self, key))
        return true;
    for (size_t i = 0; i < section->count; i++) {
        const char *base;
        size_t layer = attribute_side(section->items[i].key, &base);
        if ((layer == which || layer == ANY_SIDE) && strcmp(base, "security") == 0)
            return self->route->sides[which].security.mechanism == SECURITY_UNSET;
    }
    return false;
}

// Keys that only one mechanism reads are a false sense of safety with another.
static void
check_unused(const check_t *self, size_t layer, const char *key, security_t mechanism)
{
    const assigned_slot_t *slot = &self->own->side[layer][attribute_find(key)];
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

void
access_check_unused(const check_t *self)
{
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < COUNT(needs); i++)
            check_unused(self, layer, needs[i].key, needs[i].mechanism);
}

static void
check_open_bind(const check_t *self, size_t which, const endpoint_conf_t *endpoint)
{
    const raw_item_t *item = endpoints_item(self, which, endpoint);
    security_t mechanism = self->route->sides[which].security.mechanism;
    if (endpoint->at.loopback || (endpoint->connect && !transport_is_multicast(endpoint->at.transport)))
        return;
    if (transport_is_multicast(endpoint->at.transport) && !(SUBSCRIBING & ON(self->route->sides[which].type)))
        return;
    if (transport_is_multicast(endpoint->at.transport) && mechanism > SECURITY_NONE)
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

void
access_check(const check_t *self, size_t which)
{
    const side_conf_t *side = &self->route->sides[which];
    const raw_item_t *security = assigned_item(self, which, "security");
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
    else if (self->route->engine == ENGINE_ZMQ_PROXY)
        complain_value(self, security, "engine = zmq_proxy cannot ask who comes in; only none goes with it");
    else if (mechanism != SECURITY_PLAIN && self->route->engine != ENGINE_WIRE && !zmq_has(name))
        complain_value(self, security, "this libzmq was built without %s", name);
    else
        check_needs(self, which, security);
}

// --- what cannot be kept -----------------------------------------------------------------

// Without a side, acl is for frontend, backend and ingress, and each has to keep it. Where none does compat_keys tells of it,
// if it is not of [defaults].
static bool
is_acl_left_out(const check_t *self, size_t which, const assigned_slot_t *slot)
{
    size_t acl = attribute_find("acl");
    bool ours_to_tell = assigned_by_defaults(self, slot);
    if (which == SIDE_CAPTURE || attribute_fits(acl, self->route, which) ||
        slot == assigned_written(self, which, acl, true))
        return false;
    for (size_t i = 0; i < SIDES; i++)
        ours_to_tell |= self->route->sides[i].type >= 0 && attribute_fits(acl, self->route, i);
    return ours_to_tell;
}

// A capture is there to show all that passes.
static void
warn_of_what_is_not_shown(const check_t *self, const raw_item_t *item)
{
    diag_warning(self->diag, item->value_place,
                 "[%s] %s: its readers do not see all that passes, only what they may read", self->section->name,
                 item->key);
}

void
access_check_kept(const check_t *self, size_t which)
{
    const side_conf_t *side = &self->route->sides[which];
    const assigned_slot_t *slot = assigned_row(self, which, "acl");
    if (!slot || !text_given(slot->at[0].value.text))
        return;
    if (self->route->engine == ENGINE_ZMQ_PROXY)
        complain_key(self, slot->at[0].item, "not supported with engine = zmq_proxy");
    else if (self->route->engine == ENGINE_ZMQ && text_given(side->security.acl) && socket_type_publishes(side->type))
        complain_key(self, slot->at[0].item,
                     "engine = zmq cannot keep what the subscribers of the %s may read; engine = wire can",
                     side_name((side_t)which));
    else if (is_acl_left_out(self, which, slot))
        complain_key(self, slot->at[0].item, "the %s is a %s, which knows no topics; name the side that it is for",
                     side_name((side_t)which), socket_type_name(side->type));
    else if (text_given(side->security.acl) && which == SIDE_CAPTURE)
        warn_of_what_is_not_shown(self, slot->at[0].item);
}
