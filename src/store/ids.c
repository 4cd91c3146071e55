// SPDX-License-Identifier: MPL-2.0
#include "store/ids.h"

#include "base/mem.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { SOON = 8 }; // ids later

void
ids_free(ids_t *self)
{
    free(self->ring);
    free(self->places);
    *self = (ids_t){ 0 };
}

// Where the sender ends and its id begins is part of it.
void
ids_hash(const ids_t *self, const void *who, size_t who_size, const void *id, size_t id_size, uint8_t hash[IDS_HASH])
{
    uint8_t few[512], *bytes = few;
    size_t size = sizeof who_size + who_size + id_size;
    if (size > sizeof few)
        bytes = xcalloc(1, size);
    memcpy(bytes, &who_size, sizeof who_size);
    memcpy(bytes + sizeof who_size, who_size ? who : "", who_size);
    memcpy(bytes + sizeof who_size + who_size, id_size ? id : "", id_size);
    crypto_shorthash_siphashx24(hash, bytes, size, self->key);
    if (bytes != few)
        free(bytes);
}

_Static_assert(crypto_shorthash_siphashx24_BYTES == IDS_HASH, "a hash is what the function makes");
_Static_assert(crypto_shorthash_siphashx24_KEYBYTES == IDS_KEY, "and so is its key");

static uint32_t
short_hash(const uint8_t hash[IDS_HASH])
{
    uint32_t bytes;
    memcpy(&bytes, hash, sizeof bytes);
    return bytes;
}

static id_place_t *
place_of(const ids_t *self, const uint8_t hash[IDS_HASH])
{
    uint32_t wanted = short_hash(hash);
    size_t mask = self->place_room - 1, i = wanted & mask;
    for (;; i = (i + 1) & mask) {
        id_place_t *place = &self->places[i];
        bool is_it = place->hash == wanted && place->at && memcmp(self->ring[place->at - 1].hash, hash, IDS_HASH) == 0;
        if (is_it || !place->at)
            return place;
    }
}

void
ids_expect(const ids_t *self, const uint8_t hash[IDS_HASH])
{
    if (self->place_room > 0)
        __builtin_prefetch(&self->places[short_hash(hash) & (self->place_room - 1)]);
}

taken_id_t *
ids_find(const ids_t *self, const uint8_t hash[IDS_HASH])
{
    const id_place_t *place = self->count > 0 ? place_of(self, hash) : NULL;
    return place && place->at ? &self->ring[place->at - 1] : NULL;
}

static void
put_at(ids_t *self, size_t at)
{
    *place_of(self, self->ring[at].hash) = (id_place_t){ (uint32_t)at + 1, short_hash(self->ring[at].hash) };
}

// The ring stays where it is, if there is room behind it: what was [0, head) comes behind the rest.
static void
grow(ids_t *self, size_t room)
{
    size_t old = self->room;
    self->room = room;
    self->place_room = 2 * self->room;
    self->ring = xrealloc(self->ring, self->room, sizeof *self->ring);
    memcpy(self->ring + old, self->ring, self->head * sizeof *self->ring);
    free(self->places);
    self->places = xcalloc(self->place_room, sizeof *self->places);
    mem_spread(self->places, self->place_room * sizeof *self->places);
    for (size_t i = 0; i < self->count; i++) {
        if (i + SOON < self->count)
            ids_expect(self, ids_at(self, i + SOON)->hash);
        put_at(self, (self->head + i) & (self->room - 1));
    }
}

// The places behind a free one move up, as far as they would not be found any more.
static void
free_place(ids_t *self, size_t free)
{
    size_t mask = self->place_room - 1;
    self->places[free] = (id_place_t){ 0 };
    for (size_t i = (free + 1) & mask; self->places[i].at; i = (i + 1) & mask)
        if (((i - self->places[i].hash) & mask) >= ((i - free) & mask)) {
            self->places[free] = self->places[i];
            self->places[i] = (id_place_t){ 0 };
            free = i;
        }
}

static void
forget_oldest(ids_t *self)
{
    free_place(self, (size_t)(place_of(self, self->ring[self->head].hash) - self->places));
    ids_expect(self, self->ring[(self->head + SOON) & (self->room - 1)].hash);
    self->head = (self->head + 1) & (self->room - 1);
    self->count--;
}

void
ids_reserve(ids_t *self, uint64_t count)
{
    size_t room = 64;
    while (room < count && room < IDS_MOST)
        room *= 2;
    if (room > self->room)
        grow(self, room);
}

void
ids_add(ids_t *self, const taken_id_t *id)
{
    if (self->count >= IDS_MOST)
        forget_oldest(self);
    if (self->count == self->room)
        grow(self, self->room ? 2 * self->room : 64);
    size_t i = (self->head + self->count++) & (self->room - 1);
    self->ring[i] = *id;
    put_at(self, i);
}

void
ids_expire(ids_t *self, int64_t before_ns, size_t most)
{
    while (self->count > 0 && (self->count > most || self->ring[self->head].wall_ns < before_ns))
        forget_oldest(self);
}
