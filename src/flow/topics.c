// SPDX-License-Identifier: MPL-2.0
//
// Linear hashing with chains: with each topic that comes the table grows by no
// more than one bucket, so no subscriber ever waits for a big table to be made
// anew, and there is never a second one in memory. Neither hash nor pointer is
// kept: a topic costs its bytes and about 12 more, and what splits a bucket
// hashes again. The hash only says where to look; bytes decide.
//
// The lock is taken a few times a subscription, never for a message.
#include "flow/topics.h"

#include "base/hash.h"
#include "base/mem.h"
#include "base/slab.h"
#include "base/text.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS_MIN = 16, FEW = (1 << 14) - 1 };

typedef struct {
    uint32_t next;        // number of the next in the bucket, 0: the last; a crowd's if it has one
    uint32_t listed : 1;
    uint32_t slack : 2;   // bytes that rounding up has added
    uint32_t crowded : 1;
    uint32_t holders : 14; // of no meaning if crowded
    uint32_t asked : 14;
    char bytes[];
} topic_t;

// What has no room in a topic: most have few subscribers, so the others pay for large counts.
typedef struct {
    uint32_t next, holders, asked;
} crowd_t;

struct topics {
    pthread_mutex_t lock;
    atomic_uint owners;
    slab_t slab;
    uint32_t *bucket;        // number of the first in each, 0: empty
    uint32_t buckets, room;
    uint32_t base;           // the power of two with base <= buckets < 2 * base
    uint32_t last;           // found last: whoever counts a topic has it listed next
    size_t count, listed;
};

topics_t *
topics_new(void)
{
    topics_t *self = xcalloc(1, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    atomic_init(&self->owners, 1);
    return self;
}

topics_t *
topics_share(topics_t *self)
{
    atomic_fetch_add(&self->owners, 1);
    return self;
}

void
topics_free(topics_t **self_p)
{
    topics_t *self = *self_p;
    *self_p = NULL;
    if (!self || atomic_fetch_sub(&self->owners, 1) > 1)
        return;
    slab_free(&self->slab);
    free(self->bucket);
    pthread_mutex_destroy(&self->lock);
    free(self);
}

// --- the table --------------------------------------------------------------------

static topic_t *
at(const topics_t *self, uint32_t number)
{
    return slab_at(&self->slab, number);
}

static crowd_t *
crowd_of(const topics_t *self, const topic_t *topic)
{
    return slab_at(&self->slab, topic->next);
}

// Where the number of the next one in the bucket is.
static uint32_t *
next_of(const topics_t *self, uint32_t number)
{
    topic_t *topic = at(self, number);
    return topic->crowded ? &crowd_of(self, topic)->next : &topic->next;
}

static size_t
size_of(const topics_t *self, uint32_t number)
{
    return slab_size(&self->slab, number) - sizeof(topic_t) - at(self, number)->slack;
}

static uint32_t
bucket_for(const topics_t *self, uint64_t hash)
{
    uint32_t i = (uint32_t)hash & (2 * self->base - 1);
    return i < self->buckets ? i : i - self->base;
}

static uint32_t
bucket_of(const topics_t *self, uint32_t number)
{
    return bucket_for(self, hash_bytes(at(self, number)->bytes, size_of(self, number)));
}

static void
set_room(topics_t *self, uint32_t room)
{
    self->bucket = xrealloc(self->bucket, room, sizeof *self->bucket);
    self->room = room;
}

static void
open_table(topics_t *self)
{
    set_room(self, BUCKETS_MIN);
    memset(self->bucket, 0, BUCKETS_MIN * sizeof *self->bucket);
    self->buckets = self->base = BUCKETS_MIN;
}

// One more bucket: it takes its share of the one that stood for both so far.
static void
split(topics_t *self)
{
    if (self->buckets == self->room)
        set_room(self, self->room + self->room / 4);
    uint32_t fresh = self->buckets++, *stay = &self->bucket[fresh - self->base], *leave = &self->bucket[fresh];
    if (self->buckets == 2 * self->base)
        self->base *= 2;
    *leave = 0;
    while (*stay) {
        uint32_t number = *stay;
        if (bucket_of(self, number) != fresh) {
            stay = next_of(self, number);
            continue;
        }
        *stay = *next_of(self, number);
        *next_of(self, number) = *leave;
        *leave = number;
    }
}

static void
merge(topics_t *self)
{
    uint32_t last = --self->buckets;
    if (last < self->base)
        self->base /= 2;
    uint32_t *end = &self->bucket[last - self->base];
    while (*end)
        end = next_of(self, *end);
    *end = self->bucket[last];
}

// Between one and two topics a bucket.
static void
grow(topics_t *self)
{
    if (self->buckets == 0)
        open_table(self);
    if (self->count > 2 * (size_t)self->buckets)
        split(self);
}

static void
shrink(topics_t *self)
{
    while (self->count < self->buckets && self->buckets > BUCKETS_MIN)
        merge(self);
    if (self->room > 2 * self->buckets)
        set_room(self, self->buckets + self->buckets / 4);
}

static bool
is(const topics_t *self, uint32_t number, const void *bytes, size_t size)
{
    return size_of(self, number) == size && (size == 0 || memcmp(at(self, number)->bytes, bytes, size) == 0);
}

// HASH is set if it is not there.
static uint32_t
find(topics_t *self, const void *bytes, size_t size, uint64_t *hash)
{
    if (self->last && is(self, self->last, bytes, size))
        return self->last;
    *hash = hash_bytes(bytes, size);
    uint32_t number = self->buckets ? self->bucket[bucket_for(self, *hash)] : 0;
    while (number && !is(self, number, bytes, size))
        number = *next_of(self, number);
    return self->last = number;
}

static uint32_t
find_or_enter(topics_t *self, const void *bytes, size_t size)
{
    uint64_t hash = 0;
    uint32_t number = find(self, bytes, size, &hash);
    if (number)
        return number;
    self->count++;
    grow(self);
    number = slab_take(&self->slab, sizeof(topic_t) + size);
    uint32_t *first = &self->bucket[bucket_for(self, hash)];
    *at(self, number) = (topic_t){ .next = *first, .slack = -(uint32_t)size & (SLAB_UNIT - 1) };
    if (size)
        memcpy(at(self, number)->bytes, bytes, size);
    *first = number;
    return self->last = number;
}

// Once crowded it stays so, until it goes.
static void
make_crowd(topics_t *self, uint32_t number)
{
    uint32_t place = slab_take(&self->slab, sizeof(crowd_t));
    topic_t *topic = at(self, number);
    *(crowd_t *)slab_at(&self->slab, place) = (crowd_t){ topic->next, topic->holders, topic->asked };
    topic->next = place;
    topic->crowded = true;
}

static uint32_t
holders_of(const topics_t *self, uint32_t number)
{
    const topic_t *topic = at(self, number);
    return topic->crowded ? crowd_of(self, topic)->holders : topic->holders;
}

static uint32_t
asked_of(const topics_t *self, uint32_t number)
{
    const topic_t *topic = at(self, number);
    return topic->crowded ? crowd_of(self, topic)->asked : topic->asked;
}

static void
set_counts(topics_t *self, uint32_t number, uint32_t held, uint32_t wanted)
{
    topic_t *topic = at(self, number);
    if (!topic->crowded && (held > FEW || wanted > FEW))
        make_crowd(self, number);
    if (topic->crowded) {
        crowd_of(self, topic)->holders = held;
        crowd_of(self, topic)->asked = wanted;
    } else {
        topic->holders = held & FEW;
        topic->asked = wanted & FEW;
    }
}

static bool
in_use(const topics_t *self, uint32_t number)
{
    return at(self, number)->listed || holders_of(self, number) || asked_of(self, number);
}

static void
unlink_topic(topics_t *self, uint32_t *link)
{
    uint32_t number = *link;
    *link = *next_of(self, number);
    if (self->last == number)
        self->last = 0;
    if (at(self, number)->crowded)
        slab_give(&self->slab, at(self, number)->next);
    slab_give(&self->slab, number);
    self->count--;
}

static void
remove_unused(topics_t *self, uint32_t number)
{
    if (in_use(self, number))
        return;
    uint32_t *link = &self->bucket[bucket_of(self, number)];
    while (*link != number)
        link = next_of(self, *link);
    unlink_topic(self, link);
    shrink(self);
}

// --- the list ---------------------------------------------------------------------

bool
topics_add(topics_t *self, const void *bytes, size_t size)
{
    pthread_mutex_lock(&self->lock);
    topic_t *topic = at(self, find_or_enter(self, bytes, size));
    bool added = !topic->listed;
    topic->listed = true;
    self->listed += added;
    pthread_mutex_unlock(&self->lock);
    return added;
}

bool
topics_remove(topics_t *self, const void *bytes, size_t size)
{
    uint64_t hash;
    pthread_mutex_lock(&self->lock);
    uint32_t number = find(self, bytes, size, &hash);
    bool removed = number && at(self, number)->listed;
    if (removed) {
        at(self, number)->listed = false;
        self->listed--;
        remove_unused(self, number);
    }
    pthread_mutex_unlock(&self->lock);
    return removed;
}

size_t
topics_count(const topics_t *self)
{
    return self->listed;
}

static char *
escape(const char *bytes, size_t size)
{
    text_t text = { 0 };
    text_escaped(&text, bytes, size);
    return text_take(&text);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
topics_list(topics_t *self, size_t *count, size_t max)
{
    pthread_mutex_lock(&self->lock);
    char **list = xcalloc((self->listed < max ? self->listed : max) + 1, sizeof *list);
    *count = 0;
    for (uint32_t i = 0; i < self->buckets && *count < max; i++)
        for (uint32_t number = self->bucket[i]; number && *count < max; number = *next_of(self, number))
            if (at(self, number)->listed)
                list[(*count)++] = escape(at(self, number)->bytes, size_of(self, number));
    pthread_mutex_unlock(&self->lock);
    qsort(list, *count, sizeof *list, by_name);
    return list;
}

// --- who asks ---------------------------------------------------------------------

uint32_t
topics_hold(topics_t *self, const void *bytes, size_t size)
{
    pthread_mutex_lock(&self->lock);
    uint32_t number = find_or_enter(self, bytes, size);
    set_counts(self, number, holders_of(self, number) + 1, asked_of(self, number));
    pthread_mutex_unlock(&self->lock);
    return number;
}

uint32_t
topics_find(topics_t *self, const void *bytes, size_t size)
{
    uint64_t hash;
    pthread_mutex_lock(&self->lock);
    uint32_t number = self->count > 0 ? find(self, bytes, size, &hash) : 0;
    pthread_mutex_unlock(&self->lock);
    return number;
}

void
topics_drop(topics_t *self, uint32_t number)
{
    pthread_mutex_lock(&self->lock);
    set_counts(self, number, holders_of(self, number) - 1, asked_of(self, number));
    remove_unused(self, number);
    pthread_mutex_unlock(&self->lock);
}

uint32_t
topics_asked(topics_t *self, uint32_t number)
{
    pthread_mutex_lock(&self->lock);
    uint32_t count = asked_of(self, number);
    pthread_mutex_unlock(&self->lock);
    return count;
}

uint32_t
topics_ask(topics_t *self, uint32_t number)
{
    pthread_mutex_lock(&self->lock);
    uint32_t count = asked_of(self, number) + 1;
    set_counts(self, number, holders_of(self, number), count);
    pthread_mutex_unlock(&self->lock);
    return count;
}

uint32_t
topics_unask(topics_t *self, uint32_t number)
{
    pthread_mutex_lock(&self->lock);
    uint32_t count = asked_of(self, number);
    if (count > 0)
        set_counts(self, number, holders_of(self, number), --count);
    remove_unused(self, number);
    pthread_mutex_unlock(&self->lock);
    return count;
}

void
topics_forget(topics_t *self)
{
    pthread_mutex_lock(&self->lock);
    for (uint32_t i = 0; i < self->buckets; i++)
        for (uint32_t *link = &self->bucket[i]; *link;) {
            set_counts(self, *link, 0, 0);
            if (in_use(self, *link))
                link = next_of(self, *link);
            else
                unlink_topic(self, link);
        }
    shrink(self);
    pthread_mutex_unlock(&self->lock);
}
