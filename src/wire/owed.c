// SPDX-License-Identifier: MPL-2.0
#include "wire/owed.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void
owed_free(owed_t *self)
{
    free(self->runs);
    free(self->bytes);
    *self = (owed_t){ 0 };
}

// What has been said is forgotten when it is most of what is there.
uint8_t *
owed_place(owed_t *self, size_t most)
{
    if (self->start > self->size / 2) {
        memmove(self->bytes, self->bytes + self->start, self->size - self->start);
        self->size -= self->start;
        self->start = 0;
    }
    if (self->bytes_room - self->size < most) {
        self->bytes_room = 2 * self->bytes_room + most;
        self->bytes = xrealloc(self->bytes, self->bytes_room, 1);
    }
    return self->bytes + self->size;
}

static bool
goes_on(const owed_run_t *last, const owed_run_t *with)
{
    return last->to == with->to && last->heir == with->heir && last->sequence + last->answers == with->sequence &&
           last->size == with->size && last->payload == with->payload;
}

static void
add_run(owed_t *self, const owed_run_t *run)
{
    self->size += (size_t)run->answers * run->size;
    if (owed_any(self) && goes_on(&self->runs[self->count - 1], run)) {
        self->runs[self->count - 1].answers += run->answers;
        return;
    }
    if (self->first > self->count / 2) {
        memmove(self->runs, self->runs + self->first, (self->count - self->first) * sizeof *self->runs);
        self->count -= self->first;
        self->first = 0;
    }
    mem_grow(self->runs, self->count, self->room);
    self->runs[self->count++] = *run;
}

void
owed_add(owed_t *self, void *to, uint64_t sequence, uint32_t answers, size_t size, size_t payload)
{
    const owed_run_t run = {
        .to = to, .sequence = sequence, .answers = answers, .size = (uint32_t)size, .payload = (uint32_t)payload
    };
    add_run(self, &run);
}

bool
owed_take(owed_t *self, uint64_t safe, size_t most, owed_run_t *run, const uint8_t **at)
{
    if (!owed_any(self) || self->runs[self->first].sequence >= safe)
        return false;
    owed_run_t *first = &self->runs[self->first];
    uint64_t answers = safe - first->sequence, enough = 1 + most / first->size;
    answers = answers < first->answers ? answers : first->answers;
    *run = *first;
    *at = self->bytes + self->start;
    run->answers = (uint32_t)(answers < enough ? answers : enough);
    self->start += (size_t)run->answers * run->size;
    first->sequence += run->answers;
    first->answers -= run->answers;
    self->first += first->answers == 0;
    return true;
}

uint64_t
owed_forget(owed_t *self, const void *to)
{
    uint64_t answers = 0;
    for (size_t i = self->first; i < self->count; i++)
        if (self->runs[i].to == to) {
            answers += self->runs[i].answers;
            self->runs[i].to = NULL;
        }
    return answers;
}

// --- handing over ----------------------------------------------------------------------

void
owed_each(const owed_t *self, void (*fn)(void *arg, const owed_run_t *run, const uint8_t *at), void *arg)
{
    const uint8_t *at = self->bytes + self->start;
    for (size_t i = self->first; i < self->count; i++) {
        fn(arg, &self->runs[i], at);
        at += (size_t)self->runs[i].answers * self->runs[i].size;
    }
}

void
owed_again(owed_t *self, const owed_run_t *run, const uint8_t *at)
{
    size_t size = (size_t)run->answers * run->size;
    memcpy(owed_place(self, size), at, size);
    add_run(self, run);
}

void
owed_inherit(owed_t *self, uint64_t heir, void *to)
{
    for (size_t i = self->first; i < self->count; i++)
        if (self->runs[i].heir == heir) {
            self->runs[i].to = to;
            self->runs[i].heir = 0;
        }
}
