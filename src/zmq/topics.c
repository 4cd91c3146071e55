// SPDX-License-Identifier: MPL-2.0
#include "zmq/topics.h"

#include "base/bytetree.h"
#include "base/mem.h"
#include "base/text.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    size_t size;
    char bytes[];
} counted_topic_t;

// The lock is taken for a subscription, never for a message.
struct topics {
    pthread_mutex_t lock;
    bytetree_t tree;
    size_t count;
};

static bytes_t
name_of(const void *thing)
{
    const counted_topic_t *topic = thing;
    return bytes_of(topic->bytes, topic->size);
}

topics_t *
topics_new(void)
{
    topics_t *self = xcalloc(1, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    self->tree.name = name_of;
    return self;
}

static void
remove_topic(topics_t *self, counted_topic_t *topic)
{
    bytetree_remove(&self->tree, name_of(topic));
    self->count--;
    free(topic);
}

void
topics_free(topics_t **self_p)
{
    topics_t *self = *self_p;
    counted_topic_t *topic;
    if (!self)
        return;
    while ((topic = bytetree_first(&self->tree, bytes_of("", 0))))
        remove_topic(self, topic);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

bool
topics_add(topics_t *self, const void *bytes, size_t size)
{
    pthread_mutex_lock(&self->lock);
    bool added = !bytetree_find(&self->tree, bytes_of(bytes, size));
    if (added) {
        counted_topic_t *topic = xcalloc(1, sizeof *topic + size);
        topic->size = size;
        if (size)
            memcpy(topic->bytes, bytes, size);
        bytetree_add(&self->tree, topic);
        self->count++;
    }
    pthread_mutex_unlock(&self->lock);
    return added;
}

bool
topics_remove(topics_t *self, const void *bytes, size_t size)
{
    pthread_mutex_lock(&self->lock);
    void **found = bytetree_find(&self->tree, bytes_of(bytes, size));
    if (found)
        remove_topic(self, *found);
    pthread_mutex_unlock(&self->lock);
    return found != NULL;
}

size_t
topics_count(const topics_t *self)
{
    return self->count;
}

static char *
escape(const counted_topic_t *topic)
{
    text_t text = { 0 };
    text_escaped(&text, topic->bytes, topic->size);
    return text_take(&text);
}

char **
topics_list(topics_t *self, size_t *count, size_t max)
{
    const bytes_t all = bytes_of("", 0);
    pthread_mutex_lock(&self->lock);
    char **list = xcalloc((self->count < max ? self->count : max) + 1, sizeof *list);
    *count = 0;
    for (counted_topic_t *i = bytetree_first(&self->tree, all); i && *count < max;
         i = bytetree_next(&self->tree, i, all))
        list[(*count)++] = escape(i);
    pthread_mutex_unlock(&self->lock);
    return list;
}
