// SPDX-License-Identifier: MPL-2.0
#include "wire/ranks.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

static void
make_room(ranks_t *self, uint32_t weight)
{
    uint32_t room = self->room ? self->room : 8;
    while (room <= weight)
        room *= 2;
    self->rows = xrealloc(self->rows, room, sizeof *self->rows);
    memset(self->rows + self->room, 0, (room - self->room) * sizeof *self->rows);
    self->room = room;
}

void
ranks_take(ranks_t *self, rank_t *rank)
{
    if (!rank->there)
        return;
    rank_row_t *row = &self->rows[rank->weight];
    *(rank->previous ? &rank->previous->next : &row->first) = rank->next;
    *(rank->next ? &rank->next->previous : &row->last) = rank->previous;
    *rank = (rank_t){ 0 };
    self->count--;
}

void
ranks_put(ranks_t *self, rank_t *rank, uint32_t weight)
{
    if (weight >= RANKS_MOST)
        weight = RANKS_MOST - 1;
    ranks_take(self, rank);
    if (weight >= self->room)
        make_room(self, weight);
    rank_row_t *row = &self->rows[weight];
    *rank = (rank_t){ .previous = row->last, .weight = weight, .there = true };
    *(row->last ? &row->last->next : &row->first) = rank;
    row->last = rank;
    if (self->count++ == 0 || weight < self->lowest)
        self->lowest = weight;
}

static rank_t *
first_from(const ranks_t *self, uint32_t weight)
{
    while (weight < self->room && !self->rows[weight].first)
        weight++;
    return weight < self->room ? self->rows[weight].first : NULL;
}

rank_t *
ranks_first(ranks_t *self)
{
    if (self->count == 0)
        return NULL;
    rank_t *rank = first_from(self, self->lowest);
    self->lowest = rank->weight;
    return rank;
}

rank_t *
ranks_next(const ranks_t *self, const rank_t *rank)
{
    return rank->next ? rank->next : first_from(self, rank->weight + 1);
}

void
ranks_free(ranks_t *self)
{
    free(self->rows);
    *self = (ranks_t){ 0 };
}
