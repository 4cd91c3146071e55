// SPDX-License-Identifier: MPL-2.0
//
// An open-addressing hash table of packed strings: a subscription costs its
// bytes and about 24 more. The lock is taken once a subscription, never once a
// message.
#include "flow/topics.h"

#include "base/mem.h"
#include "base/text.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    uint32_t size;
    char bytes[];
} topic_t;

struct topics {
    pthread_mutex_t lock;
    topic_t **slot; // NULL: free. Deletion moves the followers back, so there are no tombstones.
    size_t room;    // a power of two
    size_t count;
};

topics_t *
topics_new(void)
{
    topics_t *self = xcalloc(1, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    return self;
}

// FNV-1a
static size_t
hash(const void *bytes, size_t size)
{
    const unsigned char *byte = bytes;
    uint64_t value = UINT64_C(0xcbf29ce484222325);
    while (size--)
        value = (value ^ *byte++) * UINT64_C(0x100000001b3);
    return (size_t) (value ^ value >> 32);
}

static size_t
find(const topics_t *self, const void *bytes, size_t size)
{
    size_t i = hash(bytes, size) & (self->room - 1);
    while (self->slot[i] && (self->slot[i]->size != size || memcmp(self->slot[i]->bytes, bytes, size) != 0))
        i = (i + 1) & (self->room - 1);
    return i;
}

static void
grow(topics_t *self)
{
    topic_t **old = self->slot;
    size_t old_room = self->room;
    self->room = old_room ? old_room * 2 : 16;
    self->slot = xcalloc(self->room, sizeof *self->slot);
    for (size_t i = 0; i < old_room; i++)
        if (old[i])
            self->slot[find(self, old[i]->bytes, old[i]->size)] = old[i];
    free(old);
}

bool
topics_add(topics_t *self, const void *bytes, size_t size)
{
    bool added = false;
    pthread_mutex_lock(&self->lock);
    if (4 * (self->count + 1) > 3 * self->room)
        grow(self);
    size_t i = find(self, bytes, size);
    if (!self->slot[i]) {
        topic_t *topic = xcalloc(1, sizeof *topic + size);
        topic->size = (uint32_t) size;
        if (size)
            memcpy(topic->bytes, bytes, size);
        self->slot[i] = topic;
        self->count++;
        added = true;
    }
    pthread_mutex_unlock(&self->lock);
    return added;
}

// Knuth's algorithm R (6.4): close the gap, so that no search stops short.
static void
close_gap(topics_t *self, size_t gap)
{
    for (size_t i = (gap + 1) & (self->room - 1); self->slot[i]; i = (i + 1) & (self->room - 1)) {
        size_t home = hash(self->slot[i]->bytes, self->slot[i]->size) & (self->room - 1);
        if (((i - home) & (self->room - 1)) >= ((i - gap) & (self->room - 1))) {
            self->slot[gap] = self->slot[i];
            gap = i;
        }
    }
    self->slot[gap] = NULL;
}

bool
topics_remove(topics_t *self, const void *bytes, size_t size)
{
    bool removed = false;
    pthread_mutex_lock(&self->lock);
    if (self->count > 0) {
        size_t i = find(self, bytes, size);
        if (self->slot[i]) {
            free(self->slot[i]);
            close_gap(self, i);
            self->count--;
            removed = true;
        }
    }
    pthread_mutex_unlock(&self->lock);
    return removed;
}

size_t
topics_count(const topics_t *self)
{
    return self->count;
}

static char *
escape(const topic_t *topic)
{
    text_t text = { 0 };
    text_add(&text, "%s", "");
    for (size_t i = 0; i < topic->size; i++) {
        unsigned char byte = (unsigned char) topic->bytes[i];
        if (byte < 0x20 || byte >= 0x7f || byte == '\\' || byte == '"')
            text_add(&text, "\\x%02x", byte);
        else
            text_char(&text, (char) byte);
    }
    return text_take(&text);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *) a, *(char *const *) b);
}

char **
topics_list(topics_t *self, size_t *count, size_t max)
{
    pthread_mutex_lock(&self->lock);
    char **list = xcalloc(self->count + 1, sizeof *list);
    *count = 0;
    for (size_t i = 0; i < self->room && *count < max; i++)
        if (self->slot[i])
            list[(*count)++] = escape(self->slot[i]);
    pthread_mutex_unlock(&self->lock);
    qsort(list, *count, sizeof *list, by_name);
    return list;
}

void
topics_free(topics_t **self_p)
{
    topics_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->room; i++)
        free(self->slot[i]);
    free(self->slot);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
