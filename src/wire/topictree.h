// SPDX-License-Identifier: MPL-2.0
// topictree.h - a tree of topics, which are strings of bytes. What is done for each
// message is written here, so that it becomes one loop with what its caller does.
//
// A qp trie: a tree whose leaves are topics, and whose branches part them by the half
// byte in which they differ first. A branch keeps a bitmap of the halves that there
// are, and only those children. Nothing is ever made anew or balanced: a topic that
// comes or goes changes one branch of at most 17 children. A message is followed down
// to one topic, and whoever has a beginning of it has a leaf beside that way. No way
// is longer than what a message and a topic have in common, so what one subscriber
// asks for costs the messages of others next to nothing, and there is no hash to
// collide.
//
// That a topic ends counts as a half byte of its own, so that it can be the beginning
// of another one.

#ifndef ZB_TOPICTREE_H
#define ZB_TOPICTREE_H

#include "base/slab.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LEAF (1u << 31)
#define ENDED_BIT 30
#define ENDED (1u << ENDED_BIT)
#define CROWDED (1u << 31) // of a topic's size: the caller's

// A leaf, or a branch whose children differ in what is at one place.
typedef struct {
    uint32_t at;        // LEAF; or the byte, times 2, and 1 for its lower half; ENDED: END is among the symbols
    uint32_t number;    // of the topic, or of the children
    uint32_t symbols;   // which there are: END, and 2 << each half byte; the children are in this order
    uint32_t places[2]; // 4 bits for each half byte: which child is its, that of END not counted
} node_t;

typedef struct {
    uint32_t size; // and CROWDED
    uint32_t who;  // asks for it: the caller's
    unsigned char bytes[];
} topic_t;

// All zeros is an empty one.
typedef struct {
    slab_t slab; // also for what the caller keeps with a topic
    node_t root; // its number is 0: there is no topic
    size_t count;
} topictree_t;

static inline topic_t *
topictree_at(const topictree_t *self, uint32_t number)
{
    return slab_at(&self->slab, number);
}

static inline size_t
topic_size(const topic_t *topic)
{
    return topic->size & ~CROWDED;
}

static inline node_t *
topictree_children(const topictree_t *self, const node_t *branch)
{
    return slab_at(&self->slab, branch->number);
}

static inline bool
node_is_leaf(const node_t *node)
{
    return node->at & LEAF;
}

// The child that BYTES go to, NULL: none.
static inline node_t *
topictree_child(const topictree_t *self, const node_t *branch, const unsigned char *bytes, size_t size)
{
    uint32_t byte = (branch->at & ~ENDED) >> 1;
    if (byte >= size)
        return branch->at & ENDED ? topictree_children(self, branch) : NULL;
    unsigned half = bytes[byte] >> (~branch->at & 1) * 4 & 15;
    if (!(branch->symbols & 2u << half))
        return NULL;
    uint64_t places;
    memcpy(&places, branch->places, sizeof places);
    return topictree_children(self, branch) + (branch->at >> ENDED_BIT) + (places >> half * 4 & 15);
}

static inline bool
topic_begins(const topic_t *topic, const void *bytes, size_t size)
{
    return topic_size(topic) <= size && (topic_size(topic) == 0 || memcmp(topic->bytes, bytes, topic_size(topic)) == 0);
}

static inline size_t
topic_common(const topic_t *topic, const unsigned char *bytes, size_t size)
{
    size_t i = 0, most = topic_size(topic) < size ? topic_size(topic) : size;
    while (i < most && topic->bytes[i] == bytes[i])
        i++;
    return i;
}

// The number of a topic, 0: it is not there.
uint32_t topictree_find(const topictree_t *self, const void *bytes, size_t size);

// It is not there yet; is there.
uint32_t topictree_enter(topictree_t *self, const void *bytes, size_t size, uint32_t who);
void topictree_erase(topictree_t *self, uint32_t number);

// A way through all topics, in order: what is still to be looked at.
typedef struct {
    const topictree_t *tree;
    const node_t **open;
    size_t count, room;
} topictree_walk_t;

// The caller frees OPEN at the end. NULL: that was the last.
topictree_walk_t topictree_walk(const topictree_t *tree);
const topic_t *topictree_next(topictree_walk_t *self);

#endif
