// SPDX-License-Identifier: MPL-2.0
#include "conf/engine.h"

#include "base/mem.h"
#include "conf/endpoints.h"

#include <string.h>

const char *
engine_name(engine_t engine)
{
    for (const key_word_t *word = key_find(SCOPE_ROUTE, "engine")->words; word->name; word++)
        if (word->number == (int64_t)engine)
            return word->name;
    return "";
}

engine_t
engine_auto(void)
{
    return ENGINE_WIRE;
}

// --- what engine wire cannot do ------------------------------------------------------
//
// Each function judges one kind of thing on one side, and tells of it if TELL.

static bool
refuses_endpoints(const check_t *self, size_t which, bool tell)
{
    const side_conf_t *side = &self->route->sides[which];
    bool refused = false;
    for (size_t i = 0; i < side->endpoint_count; i++) {
        transport_t transport = side->endpoints[i].at.transport;
        if (transport == TRANSPORT_TCP || transport == TRANSPORT_IPC)
            continue;
        refused = true;
        if (tell)
            complain_value(self, endpoints_item(self, which, &side->endpoints[i]),
                           "engine = wire has tcp and ipc endpoints only; %s needs engine = zmq",
                           transport_name(transport));
    }
    return refused;
}

static bool
refuses_type(const check_t *self, size_t which, bool tell)
{
    static const char *const keys[SIDES] = { [SIDE_FRONTEND] = "frontend_type", [SIDE_BACKEND] = "backend_type" };
    int type = self->route->sides[which].type;
    if (socket_type_is_wire(type))
        return false;
    if (tell)
        complain_value(self, assigned_for_route(self, keys[which])->item, "engine = wire has no %s sockets",
                       socket_type_name(type));
    return true;
}

// Subscriptions are no messages there: those of an XPUB go to an XSUB and nowhere else, and an XSUB hears of no others.
static bool
refuses_partner(const check_t *self, size_t which, bool tell)
{
    static const int partners[][2] = { { ZMQ_XSUB, ZMQ_XPUB }, { ZMQ_XPUB, ZMQ_XSUB } };
    static const char *const keys[] = { [SIDE_FRONTEND] = "frontend_type", [SIDE_BACKEND] = "backend_type" };
    for (size_t i = 0; which < COUNT(keys) && i < COUNT(partners); i++) {
        if (self->route->sides[which].type != partners[i][0] || self->route->sides[!which].type == partners[i][1])
            continue;
        if (tell)
            complain_value(self, assigned_for_route(self, keys[which])->item, "engine = wire joins %s with %s only",
                           socket_type_name(partners[i][0]), socket_type_name(partners[i][1]));
        return true;
    }
    return false;
}

// A line that holds for two sides is told of once.
static bool
told(const check_t *self, size_t which, size_t attribute)
{
    const assigned_slot_t *slot = assigned_written(self, which, attribute, false);
    for (size_t i = 0; i < which; i++)
        if (self->route->sides[i].type >= 0 && assigned_written(self, i, attribute, false) == slot)
            return true;
    return false;
}

static bool
refuses_mechanism(const check_t *self, size_t which, bool tell)
{
    const assigned_slot_t *security = assigned_row(self, which, "security");
    if (!security || security->at[0].value.number != SECURITY_GSSAPI)
        return false;
    if (tell && !told(self, which, attribute_find("security")))
        complain_value(self, security->at[0].item, "engine = wire has none, plain and curve");
    return true;
}

static bool
refuses_option(const check_t *self, size_t which, size_t attribute, bool tell)
{
    const sockopt_t *option = attribute_option(attribute);
    const assigned_slot_t *slot = assigned_written(self, which, attribute, false);
    if (option->wire != WIRE_REFUSES || !slot || !(option->sockets & ON(self->route->sides[which].type)))
        return false;
    const key_value_t *given = &slot->at[0].value;
    sockopt_value_t value = { .number = given->number };
    if (given->text)
        value.text = given->text;
    if (!sockopt_differs(option, value))
        return false;
    if (tell && !told(self, which, attribute))
        complain_key(self, slot->at[0].item, "not supported with engine = wire");
    return true;
}

static bool
refuses_options(const check_t *self, size_t which, bool tell)
{
    bool refused = false;
    for (size_t i = ROWS_MAX; attribute_option(i); i++)
        refused |= refuses_option(self, which, i, tell);
    return refused;
}

static bool (*const refusals[])(const check_t *self, size_t which, bool tell) = {
    refuses_endpoints,
    refuses_type,
    refuses_partner,
    refuses_mechanism,
    refuses_options,
};

bool
engine_wire_refuses(const check_t *self, bool tell)
{
    bool refused = false;
    for (size_t which = 0; which < SIDES; which++)
        for (size_t i = 0; self->route->sides[which].type >= 0 && i < COUNT(refusals); i++)
            refused |= refusals[i](self, which, tell);
    return refused;
}

// --- which one it is -----------------------------------------------------------------

void
engine_resolve(const check_t *self)
{
    const assigned_t *given = assigned_for_route(self, "engine");
    engine_t asked = given ? (engine_t)given->value.number : ENGINE_AUTO;
    bool refused = engine_wire_refuses(self, asked == ENGINE_WIRE);
    if (asked == ENGINE_AUTO)
        asked = refused ? ENGINE_ZMQ : engine_auto();
    self->route->engine = asked;
}
