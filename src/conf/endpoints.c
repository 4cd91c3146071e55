// SPDX-License-Identifier: MPL-2.0
#include "conf/endpoints.h"

#include "base/mem.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

static void
add_endpoint(side_conf_t *side, const endpoint_t *at, bool connect, place_t place)
{
    side->endpoints = xrealloc(side->endpoints, side->endpoint_count + 1, sizeof *side->endpoints);
    side->endpoints[side->endpoint_count++] = (endpoint_conf_t){ .at = *at, .connect = connect, .place = place };
}

// What can be bound or connected to, but hardly is what was meant.
static void
warn_of_place(const check_t *self, const raw_item_t *item, const endpoint_t *endpoint, bool connect)
{
    bool is_relative = endpoint->transport == TRANSPORT_IPC && !endpoint->wildcard && !strchr("/@", *endpoint->path);
    if (!connect && endpoint_names_interface(endpoint) && !if_nametoindex(endpoint->host))
        diag_warning(self->diag, item->value_place,
                     "[%s] %s: this host has no interface \"%s\"; a host name cannot be bound, an address or * can",
                     self->section->name, item->key, endpoint->host);
    else if (is_relative)
        diag_warning(self->diag, item->value_place,
                     "[%s] %s: \"%s\" is relative to the folder that zbroker is started in; a path begins with /",
                     self->section->name, item->key, endpoint->path);
}

static void
take_endpoint(const check_t *self, side_conf_t *side, const assigned_t *given, bool connect)
{
    const raw_item_t *item = given->item;
    endpoint_t endpoint;
    char reason[512];
    size_t offset;
    if (!*item->value && item->override)
        return;
    if (endpoint_parse(item->value, connect, &endpoint, reason, sizeof reason, &offset) == -1)
        complain(self, item, place_moved(item->value_place, offset), "%s", reason);
    else if (!connect && transport_bind_refusal(endpoint.transport))
        complain_value(self, item, "%s", transport_bind_refusal(endpoint.transport));
    else if (!transport_works(endpoint.transport))
        complain_value(self, item, "this libzmq was built without %s", transport_name(endpoint.transport));
    else {
        add_endpoint(side, &endpoint, connect, item->value_place);
        warn_of_place(self, item, &endpoint, connect);
    }
}

void
endpoints_take(const check_t *self, size_t which)
{
    side_conf_t *side = &self->route->sides[which];
    const assigned_slot_t *binds = &self->own->side[which][attribute_find("bind")];
    const assigned_slot_t *connects = &self->own->side[which][attribute_find("connect")];
    for (size_t i = 0; i < binds->count; i++)
        take_endpoint(self, side, &binds->at[i], false);
    for (size_t i = 0; i < connects->count; i++)
        take_endpoint(self, side, &connects->at[i], true);
}

// Also true of a line whose endpoint is wrong, or whose key: that has been reported. -o with an empty value takes lines away.
bool
endpoints_given(const check_t *self, size_t which)
{
    static const char *const keys[] = { "bind", "connect" };
    for (size_t i = 0; i < 2; i++) {
        char key[32];
        snprintf(key, sizeof key, "%s_%s", side_name((side_t)which), keys[i]);
        if (assigned_may_have(self, key))
            return true;
        const assigned_slot_t *slot = &self->own->side[which][attribute_find(keys[i])];
        for (size_t j = 0; j < slot->count; j++)
            if (*slot->at[j].item->value || !slot->at[j].item->override)
                return true;
    }
    return false;
}

size_t
endpoints_count(const side_conf_t *side, bool connect)
{
    size_t count = 0;
    for (size_t i = 0; i < side->endpoint_count; i++)
        count += side->endpoints[i].connect == connect;
    return count;
}

// The line that an endpoint came from, to name its key.
const raw_item_t *
endpoints_item(const check_t *self, size_t which, const endpoint_conf_t *endpoint)
{
    const assigned_slot_t *slot = &self->own->side[which][attribute_find(endpoint->connect ? "connect" : "bind")];
    for (size_t i = 0; i < slot->count; i++)
        if (slot->at[i].item->value_place.line == endpoint->place.line &&
            slot->at[i].item->value_place.file == endpoint->place.file)
            return slot->at[i].item;
    return slot->at[0].item;
}

void
endpoints_check(const check_t *self, size_t which)
{
    const side_conf_t *side = &self->route->sides[which];
    for (size_t i = 0; i < side->endpoint_count; i++) {
        const endpoint_conf_t *endpoint = &side->endpoints[i];
        const raw_item_t *item = endpoints_item(self, which, endpoint);
        const char *transport = transport_name(endpoint->at.transport);
        if (transport_is_multicast(endpoint->at.transport) && !(SUBSCRIBING & ON(side->type)))
            complain_value(self, item, "%s carries PUB, SUB, XPUB and XSUB only, this is a %s socket", transport,
                           socket_type_name(side->type));
        else if (side->type == ZMQ_STREAM && endpoint->at.transport != TRANSPORT_TCP)
            complain_value(self, item, "a STREAM socket has tcp endpoints only");
        else if (self->route->engine == ENGINE_ZMQ_PROXY && endpoint->at.transport == TRANSPORT_INPROC)
            complain_value(self, item,
                           "engine = zmq_proxy runs in a context of its own, where no other route's inproc is");
        for (size_t j = 0; j < i && endpoint->connect; j++)
            if (side->endpoints[j].connect && strcmp(side->endpoints[j].at.text, endpoint->at.text) == 0)
                diag_warning(self->diag, endpoint->place, "[%s] %s: %s is connected twice", self->section->name,
                             item->key, endpoint->at.text);
    }
}
