// SPDX-License-Identifier: MPL-2.0
// hash.h - hashes under a key that each process draws for itself: nobody on the
// network can choose what collides.

#ifndef ZB_HASH_H
#define ZB_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_bytes(const void *bytes, size_t size); // SipHash
uint32_t hash_number(uint32_t number);               // much cheaper; only for numbers that we have given ourselves

// The keys, for a program that replaces this one: what is known by its hash stays so. USE before there is a thread.
enum { HASH_KEYS = 24 };
void hash_keys(unsigned char keys[HASH_KEYS]);
void hash_use_keys(const unsigned char keys[HASH_KEYS]);

#endif
