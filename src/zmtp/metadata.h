// SPDX-License-Identifier: MPL-2.0
// metadata.h - the properties that peers tell each other in the handshake (RFC 23):
// a name of 1 to 255 octets, and a value after its length in 4 octets. Only what
// zbroker has a use for is kept.

#ifndef ZB_ZMTP_METADATA_H
#define ZB_ZMTP_METADATA_H

#include <stddef.h>
#include <stdint.h>

enum {
    METADATA_PROPERTIES_MAX = 32,
    METADATA_IDENTITY_MAX = 255,
    METADATA_DURABLE_MAX = 128,
    METADATA_WRITE_MAX = 512, // of what metadata_write writes
};

typedef struct {
    const uint8_t *at; // NULL: the peer did not send it
    size_t size;
} metadata_value_t;

// Points into the bytes that it was read from.
typedef struct {
    metadata_value_t socket_type, identity, durable;
} metadata_t;

// Read SIZE octets. Names are compared without case. NULL, or what is wrong with
// them in words: cut short, too many, twice the same name, a value too long.
const char *metadata_read(metadata_t *self, const uint8_t *at, size_t size);

// Write the properties of a socket of TYPE (peertype.h): Socket-Type, and Identity if
// the type sends one. Returns the octets written, at most METADATA_WRITE_MAX.
size_t metadata_write(uint8_t *at, int type, const uint8_t *identity, size_t identity_size);

#endif
