// SPDX-License-Identifier: MPL-2.0
#include "zmtp/traffic.h"

#include "base/mem.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>

static const char *const names[] = {
    [TRAFFIC_UNKNOWN] = "",      [TRAFFIC_PING] = "PING",   [TRAFFIC_PONG] = "PONG", [TRAFFIC_SUBSCRIBE] = "SUBSCRIBE",
    [TRAFFIC_CANCEL] = "CANCEL", [TRAFFIC_ERROR] = "ERROR",
};

static traffic_kind_t
find(const uint8_t *name, size_t size)
{
    for (size_t kind = TRAFFIC_UNKNOWN + 1; kind < COUNT(names); kind++)
        if (strlen(names[kind]) == size && memcmp(names[kind], name, size) == 0)
            return (traffic_kind_t)kind;
    return TRAFFIC_UNKNOWN;
}

static size_t
write_name(uint8_t *at, traffic_kind_t kind)
{
    size_t size = strlen(names[kind]);
    at[0] = (uint8_t)size;
    memcpy(at + 1, names[kind], size);
    return size + 1;
}

static size_t
write_context(uint8_t *at, const uint8_t *context, size_t size)
{
    if (size > TRAFFIC_CONTEXT_MAX)
        size = TRAFFIC_CONTEXT_MAX;
    if (size)
        memcpy(at, context, size);
    return size;
}

// PING: two octets before the context.
static bool
read_ttl(traffic_t *self)
{
    uint16_t ttl;
    if (self->size < sizeof ttl)
        return false;
    memcpy(&ttl, self->data, sizeof ttl);
    self->ttl = be16toh(ttl);
    self->data += sizeof ttl;
    self->size -= sizeof ttl;
    return true;
}

// ERROR: the reason has a length of its own.
static bool
read_reason(traffic_t *self)
{
    if (self->size == 0 || self->data[0] != self->size - 1)
        return false;
    self->data++;
    self->size--;
    return true;
}

int
traffic_read(traffic_t *self, const uint8_t *body, size_t size)
{
    if (size == 0 || body[0] == 0 || body[0] > size - 1)
        return -1;
    size_t head = 1 + (size_t)body[0];
    *self = (traffic_t){ .kind = find(body + 1, body[0]), .data = body + head, .size = size - head };
    if (self->kind == TRAFFIC_PING)
        return read_ttl(self) ? 0 : -1;
    if (self->kind == TRAFFIC_ERROR)
        return read_reason(self) ? 0 : -1;
    return 0;
}

size_t
traffic_ping(uint8_t *at, uint16_t ttl, const uint8_t *context, size_t size)
{
    size_t head = write_name(at, TRAFFIC_PING);
    ttl = htobe16(ttl);
    memcpy(at + head, &ttl, sizeof ttl);
    head += sizeof ttl;
    return head + write_context(at + head, context, size);
}

size_t
traffic_pong(uint8_t *at, const uint8_t *context, size_t size)
{
    size_t head = write_name(at, TRAFFIC_PONG);
    return head + write_context(at + head, context, size);
}

size_t
traffic_topic_head(uint8_t *at, traffic_kind_t kind)
{
    return write_name(at, kind);
}
