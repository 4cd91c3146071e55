// SPDX-License-Identifier: MPL-2.0
#include "store/ids.h"

#include "base/mem.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void
ids_free(ids_t *self)
{
    free(self->ring);
    free(self->places);
    *self = (ids_t){ 0 };
}

// Two hashes of 64 bits, under the key and under its complement. Where the sender ends and its id begins is part of them.
void
ids_hash(const ids_t *self, const void *who, size_t who_size, const void *id, size_t id_size, uint8_t hash[IDS_HASH])
{
    uint8_t few[512], *bytes = few, key[IDS_KEY];
    size_t size = sizeof who_size + who_size + id_size;
    if (size > sizeof few)
        bytes = xcalloc(1, size);
    memcpy(bytes, &who_size, sizeof who_size);
    memcpy(bytes + sizeof who_size, who_size ? who : "", who_size);
    memcpy(bytes + sizeof who_size + who_size, id_size ? id : "", id_size);
    for (size_t i = 0; i < IDS_KEY; i++)
        key[i] = (uint8_t)~self->key[i];
    crypto_shorthash(hash, bytes, size, self->key);
    crypto_shorthash(hash + crypto_shorthash_BYTES, bytes, size, key);
    if (bytes != few)
        free(bytes);
}

static uint32_t *
place_of(const ids_t *self, const uint8_t hash[IDS_HASH])
{
    uint64_t start;
    memcpy(&start, hash, sizeof start);
    size_t i = start & (self->place_room - 1);
    while (self->places[i] && memcmp(self->ring[self->places[i] - 1].hash, hash, IDS_HASH) != 0)
        i = (i + 1) & (self->place_room - 1);
    return &self->places[i];
}

taken_id_t *
ids_find(const ids_t *self, const uint8_t hash[IDS_HASH])
{
    uint32_t place = self->count > 0 ? *place_of(self, hash) : 0;
    return place ? &self->ring[place - 1] : NULL;
}

static void
grow(ids_t *self)
{
    size_t old = self->room;
    self->room = old ? 2 * old : 64;
    self->place_room = 4 * self->room;
    taken_id_t *ring = xcalloc(self->room, sizeof *ring);
    for (size_t i = 0; i < self->count; i++)
        ring[i] = self->ring[(self->head + i) & (old - 1)];
    free(self->ring);
    free(self->places);
    self->ring = ring;
    self->head = 0;
    self->places = xcalloc(self->place_room, sizeof *self->places);
    for (size_t i = 0; i < self->count; i++)
        *place_of(self, ring[i].hash) = (uint32_t)i + 1;
}

// The places behind a free one move up, as far as they would not be found any more.
static void
free_place(ids_t *self, size_t free)
{
    size_t mask = self->place_room - 1;
    self->places[free] = 0;
    for (size_t i = (free + 1) & mask; self->places[i]; i = (i + 1) & mask) {
        uint64_t start;
        memcpy(&start, self->ring[self->places[i] - 1].hash, sizeof start);
        if (((i - start) & mask) >= ((i - free) & mask)) {
            self->places[free] = self->places[i];
            self->places[i] = 0;
            free = i;
        }
    }
}

static void
forget_oldest(ids_t *self)
{
    free_place(self, (size_t)(place_of(self, self->ring[self->head].hash) - self->places));
    self->head = (self->head + 1) & (self->room - 1);
    self->count--;
}

void
ids_add(ids_t *self, const taken_id_t *id)
{
    if (self->count >= IDS_MOST)
        forget_oldest(self);
    if (self->count == self->room)
        grow(self);
    size_t i = (self->head + self->count++) & (self->room - 1);
    self->ring[i] = *id;
    *place_of(self, id->hash) = (uint32_t)i + 1;
}

void
ids_expire(ids_t *self, int64_t before_ns, size_t most)
{
    while (self->count > 0 && (self->count > most || self->ring[self->head].wall_ns < before_ns))
        forget_oldest(self);
}
