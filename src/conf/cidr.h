// SPDX-License-Identifier: MPL-2.0
// cidr.h - addresses and networks of allow and deny: 10.0.0.0/8, 192.168.1.7,
// fd00::/8, [::1]. An IPv4-mapped IPv6 address (::ffff:10.0.0.1) is the IPv4
// address it stands for, on both sides of a comparison.

#ifndef ZB_CIDR_H
#define ZB_CIDR_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint8_t address[16]; // IPv4 as mapped
    unsigned bits;       // 0 to 128
} cidr_t;

typedef struct {
    cidr_t *at;
    size_t count, room;
} cidrs_t;

// Append the comma-separated networks of TEXT. Returns 0, or -1 with the REASON
// and the OFFSET in TEXT of the bad one; what came before it stays appended.
int cidr_parse(cidrs_t *self, const char *text, char *reason, size_t size, size_t *offset);

bool cidr_is_address(const char *text);

// Is ADDRESS ("10.0.0.1", "::1", "[::1]", "fe80::1%eth0") in one of them? What is no address is in none.
bool cidr_match(const cidrs_t *self, const char *address);

// Canonical, comma and blank between, host bits as written cleared, a single address without its /32.
void cidr_print(const cidrs_t *self, text_t *out);
void cidr_free(cidrs_t *self);

#endif
