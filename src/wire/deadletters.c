// SPDX-License-Identifier: MPL-2.0
#include "wire/deadletters.h"

#include "base/mem.h"
#include "flow/letters.h"
#include "wire/ledger.h"
#include "wire/port.h"

#include <stdlib.h>

struct deadletters {
    wire_t *wire;
    letterbox_t *box;
    letter_t *held; // it has no room
    struct put {
        letter_t *letter;
        uint64_t sequence;
    } * put; // [first, count): on their way to the disk
    size_t first, count, room;
};

deadletters_t *
deadletters_new(wire_t *wire)
{
    if (!wire->resources->letters)
        return NULL;
    deadletters_t *self = xcalloc(1, sizeof *self);
    self->wire = wire;
    self->box = letterbox_open(wire->resources->letters, wire->name, wire->base.thread.bell);
    return self;
}

static void
give_back(deadletters_t *self, letter_t *letter)
{
    letterbox_answer(self->box, letter, false);
    free(letter);
}

void
deadletters_free(deadletters_t **self_p)
{
    deadletters_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = self->first; i < self->count; i++)
        give_back(self, self->put[i].letter);
    if (self->held)
        give_back(self, self->held);
    letterbox_close(&self->box);
    free(self->put);
    free(self);
    *self_p = NULL;
}

letterbox_t *
deadletters_box(deadletters_t *self)
{
    return self->box;
}

static void
wait_for_disk(deadletters_t *self, letter_t *letter, uint64_t sequence)
{
    if (self->first == self->count)
        self->first = self->count = 0;
    mem_grow(self->put, self->count, self->room);
    self->put[self->count++] = (struct put){ letter, sequence };
}

// False: it has no room.
static bool
put(deadletters_t *self, letter_t *letter)
{
    static const char who[] = "dead letters";
    store_put_in_t message = { .data = letter->data,
                               .size = letter->size,
                               .payload = letter->payload,
                               .who = who,
                               .who_size = sizeof who,
                               .id = letter->id,
                               .id_size = sizeof letter->id };
    uint64_t sequence;
    store_put_t result = self->wire->ledger->put(self->wire, &message, &sequence);
    if (result == STORE_NO_ROOM)
        return false;
    if (result != STORE_TOO_LARGE) {
        wait_for_disk(self, letter, sequence);
        return true;
    }
    port_drop(&self->wire->ports[SIDE_BACKEND], DROP_EXPIRED, 1);
    letterbox_answer(self->box, letter, true);
    free(letter);
    return true;
}

void
deadletters_take(deadletters_t *self)
{
    while (self->held || (self->held = letterbox_take(self->box))) {
        if (!put(self, self->held))
            return;
        self->held = NULL;
    }
    deadletters_committed(self); // one that is known may be on the disk already
}

bool
deadletters_wait(const deadletters_t *self)
{
    return self && (self->held || self->first < self->count);
}

bool
deadletters_hear(deadletters_t *self)
{
    if (!self->held)
        self->held = letterbox_take(self->box);
    return deadletters_wait(self);
}

void
deadletters_committed(deadletters_t *self)
{
    uint64_t safe = self->wire->ledger->safe(self->wire);
    while (self->first < self->count && self->put[self->first].sequence < safe) {
        letter_t *letter = self->put[self->first++].letter;
        letterbox_answer(self->box, letter, true);
        free(letter);
    }
}
