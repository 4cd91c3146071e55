// SPDX-License-Identifier: MPL-2.0
#include "base/hash.h"

#include <pthread.h>
#include <sodium.h>
#include <string.h>

static unsigned char bytes_key[crypto_shorthash_KEYBYTES];
static uint64_t number_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void
make_keys(void)
{
    randombytes_buf(bytes_key, sizeof bytes_key);
    randombytes_buf(&number_key, sizeof number_key);
}

void
hash_keys(unsigned char keys[HASH_KEYS])
{
    pthread_once(&once, make_keys);
    memcpy(keys, bytes_key, sizeof bytes_key);
    memcpy(keys + sizeof bytes_key, &number_key, sizeof number_key);
}

void
hash_use_keys(const unsigned char keys[HASH_KEYS])
{
    pthread_once(&once, make_keys);
    memcpy(bytes_key, keys, sizeof bytes_key);
    memcpy(&number_key, keys + sizeof bytes_key, sizeof number_key);
}

uint64_t
hash_bytes(const void *bytes, size_t size)
{
    uint64_t hash;
    pthread_once(&once, make_keys);
    crypto_shorthash((unsigned char *)&hash, size ? bytes : (const void *)"", size, bytes_key);
    return hash;
}

// The upper half of a product depends on every bit of its factors.
uint32_t
hash_number(uint32_t number)
{
    pthread_once(&once, make_keys);
    uint64_t mixed = (number ^ number_key) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 32) * UINT64_C(0xd6e8feb86659fd93);
    return (uint32_t)(mixed >> 32);
}
