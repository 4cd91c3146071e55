// SPDX-License-Identifier: MPL-2.0
#include "wire/topictree.h"

#include "base/mem.h"

enum { END = 1 }; // the symbol of a topic's end

// A topic that has as much in topic_common with BYTES as any; there is one.
static uint32_t
closest(const topictree_t *self, const void *bytes, size_t size)
{
    const node_t *node = &self->root;
    while (!node_is_leaf(node)) {
        const node_t *child = topictree_child(self, node, bytes, size);
        node = child ? child : topictree_children(self, node);
    }
    return node->number;
}

// 0: it is not there.
uint32_t
topictree_find(const topictree_t *self, const void *bytes, size_t size)
{
    uint32_t number = self->root.number ? closest(self, bytes, size) : 0;
    const topic_t *topic = number ? topictree_at(self, number) : NULL;
    return topic && topic_size(topic) == size && topic_begins(topic, bytes, size) ? number : 0;
}

// Where BYTES and a topic, which is another one, part.
static uint32_t
first_difference(const topic_t *topic, const unsigned char *bytes, size_t size)
{
    size_t byte = topic_common(topic, bytes, size);
    bool both = byte < size && byte < topic_size(topic);
    return (uint32_t)byte << 1 | (both && topic->bytes[byte] >> 4 == bytes[byte] >> 4);
}

static uint32_t
new_topic(topictree_t *self, const void *bytes, size_t size, uint32_t who)
{
    uint32_t number = slab_take(&self->slab, sizeof(topic_t) + size);
    topic_t *topic = topictree_at(self, number);
    *topic = (topic_t){ .size = (uint32_t)size, .who = who };
    if (size)
        memcpy(topic->bytes, bytes, size);
    self->count++;
    return number;
}

static uint32_t
symbol_at(uint32_t at, const unsigned char *bytes, size_t size)
{
    uint32_t byte = at >> 1;
    if (byte >= size)
        return END;
    return 2u << (at & 1 ? bytes[byte] & 15 : bytes[byte] >> 4);
}

static void
set_symbols(node_t *branch, uint32_t symbols)
{
    uint64_t places = 0, place = 0;
    for (unsigned half = 0; half < 16; half++)
        if (symbols & 2u << half)
            places |= place++ << half * 4;
    memcpy(branch->places, &places, sizeof places);
    branch->symbols = symbols;
    branch->at = (branch->at & ~ENDED) | (symbols & END ? ENDED : 0);
}

static uint32_t
count_of(uint32_t symbols)
{
    return (uint32_t)__builtin_popcount(symbols);
}

// Among the children of BRANCH, which become more by one.
static void
put_child(topictree_t *self, node_t *branch, uint32_t symbol, node_t child)
{
    uint32_t count = count_of(branch->symbols), place = count_of(branch->symbols & (symbol - 1));
    uint32_t number = slab_take(&self->slab, (count + 1) * sizeof child);
    node_t *to = slab_at(&self->slab, number);
    if (count > 0) {
        const node_t *from = topictree_children(self, branch);
        memcpy(to, from, place * sizeof child);
        memcpy(to + place + 1, from + place, (count - place) * sizeof child);
        slab_give(&self->slab, branch->number);
    }
    to[place] = child;
    branch->number = number;
    set_symbols(branch, branch->symbols | symbol);
}

// A branch with one child left becomes that child.
static void
drop_child(topictree_t *self, node_t *branch, uint32_t symbol)
{
    uint32_t left = count_of(branch->symbols) - 1, place = count_of(branch->symbols & (symbol - 1));
    uint32_t old = branch->number;
    const node_t *from = topictree_children(self, branch);
    if (left == 1) {
        *branch = from[!place];
    } else {
        branch->number = slab_take(&self->slab, left * sizeof *from);
        node_t *to = topictree_children(self, branch);
        memcpy(to, from, place * sizeof *from);
        memcpy(to + place, from + place + 1, (left - place) * sizeof *from);
        set_symbols(branch, branch->symbols & ~symbol);
    }
    slab_give(&self->slab, old);
}

static node_t *
find_node(topictree_t *self, uint32_t until, const unsigned char *bytes, size_t size)
{
    node_t *node = &self->root;
    while ((node->at & ~ENDED) < until) // LEAF is beyond all
        node = topictree_child(self, node, bytes, size);
    return node;
}

// It is not there yet.
uint32_t
topictree_enter(topictree_t *self, const void *bytes, size_t size, uint32_t who)
{
    node_t fresh = { .at = LEAF, .number = new_topic(self, bytes, size, who) };
    if (!self->root.number) {
        self->root = fresh;
        return fresh.number;
    }
    const topic_t *near = topictree_at(self, closest(self, bytes, size));
    uint32_t at = first_difference(near, bytes, size);
    node_t *node = find_node(self, at, bytes, size);
    if ((node->at & ~ENDED) != at) {
        node_t below = *node;
        *node = (node_t){ .at = at };
        put_child(self, node, symbol_at(at, near->bytes, topic_size(near)), below);
    }
    put_child(self, node, symbol_at(at, bytes, size), fresh);
    return fresh.number;
}

void
topictree_erase(topictree_t *self, uint32_t number)
{
    const topic_t *topic = topictree_at(self, number);
    node_t *node = &self->root, *above = NULL;
    for (; !node_is_leaf(node); node = topictree_child(self, node, topic->bytes, topic_size(topic)))
        above = node;
    if (above)
        drop_child(self, above, symbol_at(above->at & ~ENDED, topic->bytes, topic_size(topic)));
    else
        self->root = (node_t){ 0 };
    slab_give(&self->slab, number);
    self->count--;
}

static void
open_node(topictree_walk_t *self, const node_t *node)
{
    mem_grow(self->open, self->count, self->room);
    self->open[self->count++] = node;
}

topictree_walk_t
topictree_walk(const topictree_t *tree)
{
    topictree_walk_t walk = { .tree = tree };
    if (tree->root.number)
        open_node(&walk, &tree->root);
    return walk;
}

const topic_t *
topictree_next(topictree_walk_t *self)
{
    while (self->count > 0) {
        const node_t *node = self->open[--self->count];
        if (node_is_leaf(node))
            return topictree_at(self->tree, node->number);
        const node_t *children = topictree_children(self->tree, node);
        for (uint32_t i = count_of(node->symbols); i-- > 0;)
            open_node(self, &children[i]);
    }
    return NULL;
}
