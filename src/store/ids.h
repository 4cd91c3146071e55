// SPDX-License-Identifier: MPL-2.0
// ids.h - the ids that were taken within a time, so that none is taken twice. Only
// their hashes are kept, under a key that stays with the store; each is its sender's,
// whoever else uses it. There are at most IDS_MOST.

#ifndef ZB_STORE_IDS_H
#define ZB_STORE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IDS_MOST = 2000000, IDS_KEY = 16, IDS_HASH = 16 };

typedef struct {
    uint8_t hash[IDS_HASH];
    int64_t wall_ns;   // when it was taken
    uint64_t sequence; // of its message; 0: it is on the disk
    uint64_t batch;    // in which it is written down
} taken_id_t;

// Where an id is, with as much of its hash as tells it from most others without a look there.
typedef struct {
    uint32_t at; // in the ring, and 1 more; 0: none
    uint32_t hash;
} id_place_t;

// All zeros but the key is one without ids.
typedef struct {
    uint8_t key[IDS_KEY];
    taken_id_t *ring; // oldest first
    size_t head, count, room;
    id_place_t *places; // by hash
    size_t place_room;
} ids_t;

void ids_free(ids_t *self);
void ids_hash(const ids_t *self, const void *who, size_t who_size, const void *id, size_t id_size,
              uint8_t hash[IDS_HASH]);
taken_id_t *ids_find(const ids_t *self, const uint8_t hash[IDS_HASH]);
void ids_expect(const ids_t *self, const uint8_t hash[IDS_HASH]); // it will be asked for soon: places are far apart in memory
void ids_reserve(ids_t *self, uint64_t count); // so many will be added
void ids_add(ids_t *self, const taken_id_t *id);              // it is not there
void ids_expire(ids_t *self, int64_t before_ns, size_t most); // what is older, or more than MOST, goes

static inline taken_id_t *
ids_at(const ids_t *self, size_t i)
{
    return &self->ring[(self->head + i) & (self->room - 1)];
}

#endif
