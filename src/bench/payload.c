// SPDX-License-Identifier: MPL-2.0

#include "bench/payload.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

// The filling is a window into one block of random bytes that moves with the
// number of the message: writing is a memcpy, checking a memcmp.
enum { WINDOWS = 4096 };

struct payload {
    size_t size;
    unsigned parts;
    bool empty;
    const char *prefix;
    size_t prefix_size;
    unsigned char *filling; // WINDOWS + size bytes
};

payload_t *
payload_new(size_t size, unsigned parts, bool empty, const char *prefix)
{
    payload_t *self = xcalloc(1, sizeof *self);
    self->size = size;
    self->parts = parts;
    self->empty = empty;
    self->prefix = prefix;
    self->prefix_size = strlen(prefix);
    self->filling = xcalloc(WINDOWS + size, 1);
    uint64_t state = 0x9e3779b97f4a7c15u;
    for (size_t i = 0; i < WINDOWS + size; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17; // xorshift64
        self->filling[i] = (unsigned char)(state >> 32);
    }
    return self;
}

size_t
payload_size(const payload_t *self, unsigned part)
{
    return self->empty && part % 2 == 1 ? 0 : self->size;
}

size_t
payload_bytes(const payload_t *self)
{
    return self->size * (self->empty ? (self->parts + 1) / 2 : self->parts);
}

static const unsigned char *
window(const payload_t *self, unsigned part, const stamp_t *stamp)
{
    uint32_t mixed = (stamp->number + 1) * 2654435761u + stamp->producer * 40503u + part * 977u;
    return self->filling + (mixed >> 8) % WINDOWS;
}

static unsigned char *
put(unsigned char *to, uint64_t value, unsigned bytes)
{
    while (bytes--)
        *to++ = (unsigned char)(value >> (8 * bytes));
    return to;
}

static uint64_t
get(const unsigned char *from, unsigned bytes)
{
    uint64_t value = 0;
    while (bytes--)
        value = value << 8 | *from++;
    return value;
}

void
payload_write(const payload_t *self, unsigned part, const stamp_t *stamp, void *data)
{
    size_t size = payload_size(self, part);
    unsigned char *at = data;
    if (part == 0) {
        memcpy(at, self->prefix, self->prefix_size);
        at = put(at + self->prefix_size, stamp->tag, 2);
        at = put(at, (uint64_t)stamp->kind << 12 | stamp->producer, 2);
        at = put(at, stamp->number, 4);
        at = put(at, (uint64_t)stamp->time_ns, 8);
        size -= self->prefix_size + PAYLOAD_STAMP;
    }
    memcpy(at, window(self, part, stamp), size);
}

bool
payload_read(const payload_t *self, const void *data, size_t size, stamp_t *stamp)
{
    if (size != self->size || memcmp(data, self->prefix, self->prefix_size) != 0)
        return false;
    const unsigned char *at = (const unsigned char *)data + self->prefix_size;
    stamp->tag = (unsigned)get(at, 2);
    uint64_t who = get(at + 2, 2);
    stamp->kind = (payload_kind_t)(who >> 12);
    stamp->producer = (unsigned)(who & 0xfff);
    stamp->number = (uint32_t)get(at + 4, 4);
    stamp->time_ns = (int64_t)get(at + 8, 8);
    return stamp->kind >= PAYLOAD_SYNC && stamp->kind <= PAYLOAD_DATA;
}

bool
payload_check(const payload_t *self, unsigned part, const stamp_t *stamp, const void *data, size_t size)
{
    if (part >= self->parts || size != payload_size(self, part))
        return false;
    size_t skip = part == 0 ? self->prefix_size + PAYLOAD_STAMP : 0;
    return memcmp((const unsigned char *)data + skip, window(self, part, stamp), size - skip) == 0;
}

size_t
payload_topic(const payload_t *self, unsigned tag, void *data, size_t room)
{
    if (self->prefix_size + 2 > room)
        return 0;
    memcpy(data, self->prefix, self->prefix_size);
    put((unsigned char *)data + self->prefix_size, tag, 2);
    return self->prefix_size + 2;
}

void
payload_destroy(payload_t **self_p)
{
    if (!*self_p)
        return;
    free((*self_p)->filling);
    free(*self_p);
    *self_p = NULL;
}
