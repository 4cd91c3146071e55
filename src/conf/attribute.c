// SPDX-License-Identifier: MPL-2.0
#include "conf/attribute.h"

#include "base/mem.h"

#include <string.h>
#include <zmq.h>

// By number, see socket_types in pattern.c.
#define ON_GATHER ON(16)

const sockopt_t *
attribute_option(size_t attribute)
{
    return attribute < ROWS_MAX ? NULL : sockopt_at((unsigned)(attribute - ROWS_MAX));
}

const key_row_t *
attribute_row(size_t attribute)
{
    return attribute < ROWS_MAX ? key_at(SCOPE_SIDE, (unsigned)attribute) : NULL;
}

const char *
attribute_key(size_t attribute)
{
    return attribute < ROWS_MAX ? attribute_row(attribute)->key : attribute_option(attribute)->key;
}

// Engine wire asks before each message that it takes or gives.
static const struct {
    const char *key;
    uint32_t sockets;
} more_with_wire[] = {
    { "acl", ON(ZMQ_PUB) | ON_GATHER },
};

uint32_t
attribute_sockets(size_t attribute, engine_t engine)
{
    uint32_t sockets = attribute < ROWS_MAX ? attribute_row(attribute)->sockets : attribute_option(attribute)->sockets;
    if (!sockets)
        return UINT32_MAX;
    for (size_t i = 0; engine == ENGINE_WIRE && i < COUNT(more_with_wire); i++)
        if (strcmp(attribute_key(attribute), more_with_wire[i].key) == 0)
            sockets |= more_with_wire[i].sockets;
    return sockets;
}

// What goes through an acknowledged side has topics, though its socket is a ROUTER.
bool
attribute_fits(size_t attribute, const route_conf_t *route, size_t side)
{
    uint32_t sockets = attribute_sockets(attribute, route->engine);
    bool is_acked = side == SIDE_ACK || side == SIDE_WORKER_ACK;
    return sockets & ON(route->sides[side].type) || (is_acked && attribute == attribute_find("acl"));
}

bool
attribute_is_list(size_t attribute)
{
    return attribute < ROWS_MAX ? attribute_row(attribute)->flags & KEY_LIST : attribute_option(attribute)->flags & SOCKOPT_LIST;
}

size_t
attribute_find(const char *key)
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

size_t
attribute_side(const char *key, const char **base)
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
