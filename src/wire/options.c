// SPDX-License-Identifier: MPL-2.0
#include "wire/options.h"

#include <stdlib.h>
#include <zmq.h>

static const option_conf_t *
find(const side_conf_t *side, int number)
{
    for (size_t i = 0; i < side->option_count; i++)
        if (side->options[i].option->option == number)
            return &side->options[i];
    return NULL;
}

int64_t
options_number(const side_conf_t *side, int number, int64_t otherwise)
{
    const option_conf_t *option = find(side, number);
    return option ? option->value.number : otherwise;
}

const char *
options_text(const side_conf_t *side, int number)
{
    const option_conf_t *option = find(side, number);
    return option ? option->value.text : NULL;
}

// 0 or less: no limit.
static uint64_t
limit(int64_t value)
{
    return value > 0 ? (uint64_t)value : UINT64_MAX;
}

void
options_read(wport_t *port)
{
    const side_conf_t *side = port->conf;
    int64_t max = options_number(side, ZMQ_MAXMSGSIZE, -1);
    port->sndhwm = limit(options_number(side, ZMQ_SNDHWM, 1000));
    port->rcvhwm = limit(options_number(side, ZMQ_RCVHWM, 1000));
    port->queue_bytes = limit(port->wire->conf->queue_bytes);
    port->maxmsgsize = max >= 0 ? (uint64_t)max : UINT64_MAX;
    port->max_parts = (uint32_t)side->max_parts;
    port->handshake_ms = options_number(side, ZMQ_HANDSHAKE_IVL, 30000);
    port->heartbeat_ms = options_number(side, ZMQ_HEARTBEAT_IVL, 0);
    port->heartbeat_timeout_ms = options_number(side, ZMQ_HEARTBEAT_TIMEOUT, -1);
    if (port->heartbeat_timeout_ms < 0)
        port->heartbeat_timeout_ms = port->heartbeat_ms;
    port->heartbeat_ttl_ms = options_number(side, ZMQ_HEARTBEAT_TTL, 0);
    port->conflate = options_number(side, ZMQ_CONFLATE, 0);
    port->lossy = !side->nodrop;
}
