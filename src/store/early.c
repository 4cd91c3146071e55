// SPDX-License-Identifier: MPL-2.0
#include "store/early.h"

#include "base/mem.h"

#include <stdlib.h>

void
early_free(early_t *self)
{
    free(self->runs);
    *self = (early_t){ 0 };
}

void
early_add(early_t *self, const early_run_t *run)
{
    const early_run_t *last = self->count > 0 ? &self->runs[self->count - 1] : NULL;
    if (run->first >= run->end || (last && (run->first < last->end || run->group < last->group)))
        return;
    mem_grow(self->runs, self->count, self->room);
    self->runs[self->count++] = *run;
}

static int
compare(const void *a, const void *b)
{
    const early_run_t *one = a, *other = b;
    if (one->group != other->group)
        return one->group > other->group ? -1 : 1;
    return one->first < other->first ? -1 : one->first > other->first;
}

void
early_arrange(early_t *self, uint64_t done_before)
{
    size_t kept = 0;
    for (size_t i = 0; i < self->count; i++)
        if (self->runs[i].end > done_before)
            self->runs[kept++] = self->runs[i];
    self->count = kept;
    if (kept > 0)
        qsort(self->runs, kept, sizeof *self->runs, compare);
}

bool
early_has(const early_t *self, uint64_t sequence)
{
    for (size_t i = 0; i < self->count; i++)
        if (sequence >= self->runs[i].first && sequence < self->runs[i].end)
            return true;
    return false;
}
