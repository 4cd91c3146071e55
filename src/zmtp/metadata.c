// SPDX-License-Identifier: MPL-2.0
#include "zmtp/metadata.h"

#include "base/mem.h"
#include "zmtp/peertype.h"

#include <endian.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

enum { LENGTH = 4 }; // octets of a value's length

typedef struct {
    const uint8_t *name;
    size_t name_size;
    metadata_value_t value;
} property_t;

// Those that are kept: where, and how long they may be.
static const struct {
    const char *name;
    size_t offset;
    size_t max;
} kept[] = {
    { "Socket-Type", offsetof(metadata_t, socket_type), 255 },
    { "Identity", offsetof(metadata_t, identity), METADATA_IDENTITY_MAX },
    { "X-Durable", offsetof(metadata_t, durable), METADATA_DURABLE_MAX },
};

static bool
is_called(const property_t *property, const void *name, size_t size)
{
    return property->name_size == size && strncasecmp((const char *)property->name, name, size) == 0;
}

// The octets that the first property of SIZE octets takes; 0: it is cut short.
static size_t
read_property(property_t *property, const uint8_t *at, size_t size)
{
    uint32_t length;
    size_t head = 1 + (size_t)at[0] + LENGTH;
    if (at[0] == 0 || size < head)
        return 0;
    memcpy(&length, at + head - LENGTH, sizeof length);
    length = be32toh(length);
    if (length > size - head)
        return 0;
    *property = (property_t){ at + 1, at[0], { at + head, length } };
    return head + length;
}

static const char *
keep(metadata_t *self, const property_t *property)
{
    for (size_t i = 0; i < COUNT(kept); i++) {
        if (!is_called(property, kept[i].name, strlen(kept[i].name)))
            continue;
        if (property->value.size > kept[i].max)
            return "a property is too long";
        *(metadata_value_t *)((char *)self + kept[i].offset) = property->value;
    }
    return NULL;
}

const char *
metadata_read(metadata_t *self, const uint8_t *at, size_t size)
{
    property_t seen[METADATA_PROPERTIES_MAX];
    size_t count = 0;
    *self = (metadata_t){ 0 };
    while (size) {
        if (count == COUNT(seen))
            return "too many properties";
        size_t taken = read_property(&seen[count], at, size);
        if (taken == 0)
            return "the properties are cut short";
        for (size_t i = 0; i < count; i++)
            if (is_called(&seen[i], seen[count].name, seen[count].name_size))
                return "a property comes twice";
        const char *fault = keep(self, &seen[count++]);
        if (fault)
            return fault;
        at += taken;
        size -= taken;
    }
    return NULL;
}

static size_t
write_property(uint8_t *at, const char *name, const void *value, size_t size)
{
    size_t name_size = strlen(name);
    uint32_t length = htobe32((uint32_t)size);
    at[0] = (uint8_t)name_size;
    memcpy(at + 1, name, name_size);
    memcpy(at + 1 + name_size, &length, LENGTH);
    if (size)
        memcpy(at + 1 + name_size + LENGTH, value, size);
    return 1 + name_size + LENGTH + size;
}

size_t
metadata_write(uint8_t *at, int type, const uint8_t *identity, size_t identity_size)
{
    const peertype_t *ours = peertype_at(type);
    size_t size = write_property(at, "Socket-Type", ours->name, strlen(ours->name));
    if (ours->sends_identity)
        size += write_property(at + size, "Identity", identity, identity_size);
    return size;
}
