// SPDX-License-Identifier: MPL-2.0
// storedledger.c - the store, for acknowledged producers and workers; see ledger.h and stored_internal.h. What is said goes
// to the disk in this round.

#include "wire/stored_internal.h"

static store_t *
store_of(const wire_t *wire)
{
    return wire->stored->store;
}

static store_put_t
put(wire_t *wire, const store_put_in_t *message, uint64_t *sequence)
{
    stored_t *self = wire->stored;
    store_put_t result = store_put(self->store, message, sequence);
    self->waiting += result == STORE_TAKEN;
    if (result != STORE_NO_ROOM)
        wire->made_room = true;
    return result;
}

static uint32_t
put_each(wire_t *wire, const void *who, size_t who_size, const store_put_in_t *messages, uint32_t count, store_was_put_t *put)
{
    stored_t *self = wire->stored;
    uint32_t done = store_put_each(self->store, who, who_size, messages, count, put);
    for (uint32_t i = 0; i < done; i++)
        self->waiting += put[i].result == STORE_TAKEN;
    wire->made_room |= done > 0;
    return done;
}

static uint64_t
safe(const wire_t *wire)
{
    return store_committed(store_of(wire));
}

static void
done(wire_t *wire, uint64_t number)
{
    wire->made_room = true;
    store_done(store_of(wire), number);
}

static void
try(wire_t *wire, uint64_t number, uint32_t tries)
{
    wire->made_room = true;
    store_try(store_of(wire), number, tries);
}

static uint64_t
said(const wire_t *wire)
{
    return store_said(store_of(wire));
}

static uint64_t
reached(const wire_t *wire)
{
    return store_reached(store_of(wire));
}

static bool
gives_again(wire_t *wire, uint64_t number)
{
    (void)wire;
    (void)number;
    return false;
}

static void
untry(wire_t *wire, uint64_t number, uint32_t tries)
{
    store_try(store_of(wire), number, tries);
}

static void
undo(wire_t *wire, uint64_t number)
{
    store_undo(store_of(wire), number);
}

static letterbox_t *
letters(const wire_t *wire)
{
    deadletters_t *self = wire->stored->deadletters;
    return self ? deadletters_box(self) : NULL;
}

const ledger_t stored_ledger = {
    .store = store_of,
    .put = put,
    .put_each = put_each,
    .safe = safe,
    .done = done,
    .try = try,
    .said = said,
    .reached = reached,
    .gives_again = gives_again,
    .untry = untry,
    .undo = undo,
    .letters = letters,
};
