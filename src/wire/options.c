// SPDX-License-Identifier: MPL-2.0
#include "wire/options.h"

#include <string.h>

const char *
options_text(const side_conf_t *side, const char *key)
{
    for (size_t i = 0; i < side->option_count; i++)
        if (strcmp(side->options[i].option->key, key) == 0)
            return side->options[i].value.text;
    return NULL;
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
    int64_t max = side_option(side, "maxmsgsize", -1);
    port->sndhwm = limit(side_option(side, "sndhwm", 1000));
    port->rcvhwm = limit(side_option(side, "rcvhwm", 1000));
    port->queue_bytes = limit(port->wire->conf->queue_bytes);
    port->maxmsgsize = max >= 0 ? (uint64_t)max : UINT64_MAX;
    port->max_parts = (uint32_t)side->max_parts;
    port->handshake_ms = side_option(side, "handshake_ivl", 30000);
    port->heartbeat_ms = side_option(side, "heartbeat_ivl", 0);
    port->heartbeat_timeout_ms = side_option(side, "heartbeat_timeout", -1);
    if (port->heartbeat_timeout_ms < 0)
        port->heartbeat_timeout_ms = port->heartbeat_ms;
    port->heartbeat_ttl_ms = side_option(side, "heartbeat_ttl", 0);
    port->lossy = !side->nodrop;
}
