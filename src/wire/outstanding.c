// SPDX-License-Identifier: MPL-2.0
#include "wire/outstanding.h"

#include "base/hash.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS_FIRST = 64, KEPT_MOST = 256 };

// --- lists ---------------------------------------------------------------------------

void
asked_append(asked_list_t *self, asked_t *asked)
{
    asked->next = NULL;
    asked->previous = self->last;
    *(self->last ? &self->last->next : &self->first) = asked;
    self->last = asked;
    self->count++;
}

void
asked_remove(asked_list_t *self, asked_t *asked)
{
    *(asked->previous ? &asked->previous->next : &self->first) = asked->next;
    *(asked->next ? &asked->next->previous : &self->last) = asked->previous;
    asked->next = asked->previous = NULL;
    self->count--;
}

static void
append_by_time(outstanding_t *self, asked_t *asked)
{
    asked->newer = NULL;
    asked->older = self->newest;
    *(self->newest ? &self->newest->newer : &self->oldest) = asked;
    self->newest = asked;
}

static void
remove_by_time(outstanding_t *self, asked_t *asked)
{
    *(asked->older ? &asked->older->newer : &self->oldest) = asked->newer;
    *(asked->newer ? &asked->newer->older : &self->newest) = asked->older;
    asked->newer = asked->older = NULL;
}

// --- slots, for those that go out under a number ---------------------------------------

static void
take_slot(outstanding_t *self, asked_t *asked)
{
    if (self->unused_count > 0)
        asked->slot = self->unused[--self->unused_count];
    else {
        mem_grow(self->slots, self->count, self->room);
        asked->slot = self->count++;
    }
    self->slots[asked->slot] = asked;
}

// Those before it are not used.
static bool
take_that_slot(outstanding_t *self, asked_t *asked, uint32_t slot)
{
    while (self->count <= slot) {
        mem_grow(self->slots, self->count, self->room);
        mem_grow(self->unused, self->unused_count, self->unused_room);
        self->unused[self->unused_count++] = self->count;
        self->slots[self->count++] = NULL;
    }
    for (uint32_t i = self->unused_count; i-- > 0;)
        if (self->unused[i] == slot) {
            self->unused[i] = self->unused[--self->unused_count];
            asked->slot = slot;
            self->slots[slot] = asked;
            return true;
        }
    return false;
}

static void
leave_slot(outstanding_t *self, asked_t *asked)
{
    self->slots[asked->slot] = NULL;
    mem_grow(self->unused, self->unused_count, self->unused_room);
    self->unused[self->unused_count++] = asked->slot;
}

// --- buckets, for those that their clients named -----------------------------------------

static asked_bucket_t *
bucket_of(const outstanding_t *self, uint64_t hash)
{
    return &self->buckets[hash & (self->bucket_count - 1)];
}

static void
append_to_bucket(outstanding_t *self, asked_t *asked)
{
    asked_bucket_t *bucket = bucket_of(self, asked->hash);
    asked->after = NULL;
    asked->before = bucket->last;
    *(bucket->last ? &bucket->last->after : &bucket->first) = asked;
    bucket->last = asked;
}

static void
more_buckets(outstanding_t *self)
{
    uint32_t had = self->bucket_count;
    asked_bucket_t *old = self->buckets;
    self->bucket_count = had ? had * 2 : BUCKETS_FIRST;
    self->buckets = xcalloc(self->bucket_count, sizeof *self->buckets);
    for (uint32_t i = 0; i < had; i++)
        for (asked_t *asked = old[i].first, *after; asked; asked = after) {
            after = asked->after;
            append_to_bucket(self, asked);
        }
    free(old);
}

static void
enter_bucket(outstanding_t *self, asked_t *asked)
{
    if (self->named >= self->bucket_count)
        more_buckets(self);
    append_to_bucket(self, asked);
    self->named++;
}

static void
leave_bucket(outstanding_t *self, asked_t *asked)
{
    asked_bucket_t *bucket = bucket_of(self, asked->hash);
    *(asked->before ? &asked->before->after : &bucket->first) = asked->after;
    *(asked->after ? &asked->after->before : &bucket->last) = asked->before;
    asked->after = asked->before = NULL;
    self->named--;
}

// MARK comes where ASKED is.
static void
stand_in(outstanding_t *self, asked_t *asked, asked_t *mark)
{
    asked_bucket_t *bucket = bucket_of(self, asked->hash);
    mark->before = asked->before;
    mark->after = asked->after;
    *(mark->before ? &mark->before->after : &bucket->first) = mark;
    *(mark->after ? &mark->after->before : &bucket->last) = mark;
    asked->after = asked->before = NULL;
}

// --- one request -------------------------------------------------------------------------

static asked_t *
blank(outstanding_t *self, size_t size)
{
    asked_t *kept = self->kept;
    if (!kept || size != OUTSTANDING_NAME)
        return xcalloc(1, sizeof *kept + size);
    self->kept = kept->next;
    self->kept_count--;
    *kept = (asked_t){ 0 };
    return kept;
}

static void
give_back(outstanding_t *self, asked_t *asked)
{
    if (asked->client_size != OUTSTANDING_NAME || self->kept_count >= KEPT_MOST) {
        free(asked);
        return;
    }
    asked->next = self->kept;
    self->kept = asked;
    self->kept_count++;
}

static asked_t *
make(outstanding_t *self, const uint8_t *client, size_t size)
{
    asked_t *asked = blank(self, size);
    self->pool->bytes += sizeof *asked + size;
    asked->client_size = (uint8_t)size;
    memcpy(asked->client, client, size);
    asked->named = size != OUTSTANDING_NAME || client[0] != 0;
    return asked;
}

static void
scrap(outstanding_t *self, asked_t *asked)
{
    if (asked->chunk)
        chunk_drop(asked->chunk);
    self->pool->bytes -= sizeof *asked + asked->client_size;
    give_back(self, asked);
}

asked_t *
outstanding_add(outstanding_t *self, const uint8_t *client, size_t size)
{
    asked_t *asked = make(self, client, size);
    if (asked->named)
        asked->hash = hash_bytes(client, size);
    else
        take_slot(self, asked);
    return asked;
}

asked_t *
outstanding_add_at(outstanding_t *self, const uint8_t *client, size_t size, uint32_t slot)
{
    asked_t *asked = make(self, client, size);
    if (asked->named)
        asked->hash = hash_bytes(client, size);
    else if (!take_that_slot(self, asked, slot)) {
        scrap(self, asked);
        return NULL;
    }
    return asked;
}

void
outstanding_mark(outstanding_t *self, const uint8_t *client, size_t size, inhand_t *at, uint64_t nth)
{
    asked_t *mark = make(self, client, size);
    if (!mark->named) {
        scrap(self, mark);
        return;
    }
    mark->late = true;
    mark->hash = hash_bytes(client, size);
    mark->at = at;
    mark->nth = nth;
    enter_bucket(self, mark);
    asked_append(&at->late, mark);
}

void
outstanding_give(outstanding_t *self, asked_t *asked, inhand_t *to, uint64_t number, int64_t now_ns)
{
    asked->at = to;
    asked->nth = ++to->given;
    asked->number = number;
    asked->since_ns = now_ns;
    asked_append(&to->unanswered, asked);
    append_by_time(self, asked);
    if (asked->named)
        enter_bucket(self, asked);
}

size_t
outstanding_name(const asked_t *asked, uint8_t *at)
{
    if (asked->named) {
        memcpy(at, asked->client, asked->client_size);
        return asked->client_size;
    }
    at[0] = 0;
    memcpy(at + 1, &asked->slot, sizeof asked->slot);
    memcpy(at + 1 + sizeof asked->slot, &asked->number, sizeof asked->number);
    return OUTSTANDING_NAME;
}

static asked_t *
by_number(const outstanding_t *self, const inhand_t *at, const uint8_t *id)
{
    uint32_t slot;
    uint64_t number;
    memcpy(&slot, id + 1, sizeof slot);
    memcpy(&number, id + 1 + sizeof slot, sizeof number);
    asked_t *asked = slot < self->count ? self->slots[slot] : NULL;
    return asked && asked->at == at && asked->number == number ? asked : NULL;
}

asked_t *
outstanding_find(const outstanding_t *self, const inhand_t *at, const uint8_t *id, size_t size)
{
    if (size == OUTSTANDING_NAME && id[0] == 0)
        return by_number(self, at, id);
    if (self->bucket_count == 0)
        return NULL;
    uint64_t hash = hash_bytes(id, size);
    asked_t *asked = bucket_of(self, hash)->first;
    while (asked && (asked->at != at || asked->hash != hash || asked->client_size != size ||
                     memcmp(asked->client, id, size) != 0))
        asked = asked->after;
    return asked;
}

void
outstanding_take(outstanding_t *self, asked_t *asked)
{
    asked_remove(&asked->at->unanswered, asked);
    remove_by_time(self, asked);
    if (asked->named)
        leave_bucket(self, asked);
    asked->at = NULL;
}

void
outstanding_give_up(outstanding_t *self, asked_t *asked)
{
    inhand_t *at = asked->at;
    if (!asked->named) {
        outstanding_take(self, asked);
        return;
    }
    asked_t *mark = make(self, asked->client, asked->client_size);
    mark->late = true;
    mark->hash = asked->hash;
    mark->at = at;
    mark->nth = asked->nth;
    asked_remove(&at->unanswered, asked);
    remove_by_time(self, asked);
    stand_in(self, asked, mark);
    asked->at = NULL;
    asked_append(&at->late, mark);
    if (at->late.count > OUTSTANDING_LATE)
        outstanding_forget(self, at->late.first);
}

void
outstanding_passed(outstanding_t *self, inhand_t *at, uint64_t nth)
{
    while (at->late.first && at->late.first->nth < nth)
        outstanding_forget(self, at->late.first);
}

void
outstanding_forget(outstanding_t *self, asked_t *asked)
{
    if (asked->late) {
        asked_remove(&asked->at->late, asked);
        leave_bucket(self, asked);
    } else if (!asked->named)
        leave_slot(self, asked);
    scrap(self, asked);
}

void
outstanding_forget_late(outstanding_t *self, inhand_t *at)
{
    while (at->late.first)
        outstanding_forget(self, at->late.first);
}

void
outstanding_free(outstanding_t *self)
{
    for (asked_t *asked = self->kept, *next; asked; asked = next) {
        next = asked->next;
        free(asked);
    }
    free(self->slots);
    free(self->unused);
    free(self->buckets);
    *self = (outstanding_t){ .pool = self->pool };
}

// --- who failed ----------------------------------------------------------------------------

void
asked_fails_at(asked_t *self, uint64_t service)
{
    memmove(self->failed + 1, self->failed, (OUTSTANDING_FAILED - 1) * sizeof *self->failed);
    self->failed[0] = service;
}

bool
asked_failed_at(const asked_t *self, uint64_t service)
{
    for (unsigned i = 0; i < OUTSTANDING_FAILED; i++)
        if (self->failed[i] == service)
            return true;
    return false;
}
