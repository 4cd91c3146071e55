// SPDX-License-Identifier: MPL-2.0
#include "base/bytetree.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

// Names part at a bit of a byte, or where one of them ends: that counts as the highest bit of the byte that it lacks.
enum { IS_THERE = 256 };

// A child is a node, which is marked in the lowest bit of its address, or a thing.
typedef struct {
    void *child[2];
    uint32_t at;
    uint16_t bit;
} byte_node_t;

_Static_assert(sizeof(byte_node_t) == BYTETREE_NODE, "what the header says");

static byte_node_t *
node_at(const void *child)
{
    return (uintptr_t)child & 1 ? (byte_node_t *)((uintptr_t)child - 1) : NULL;
}

static void *
marked(byte_node_t *node)
{
    return (void *)((uintptr_t)node + 1);
}

static unsigned
way(const byte_node_t *node, bytes_t name)
{
    if (node->at >= name.size)
        return 0;
    return node->bit == IS_THERE || (name.at[node->at] & node->bit) != 0;
}

bool
bytes_begin(bytes_t self, bytes_t prefix)
{
    return self.size >= prefix.size && (prefix.size == 0 || memcmp(self.at, prefix.at, prefix.size) == 0);
}

void **
bytetree_find(bytetree_t *self, bytes_t name)
{
    void **place = &self->root;
    if (!self->root)
        return NULL;
    for (byte_node_t *node; (node = node_at(*place));)
        place = &node->child[way(node, name)];
    bytes_t found = self->name(*place);
    return found.size == name.size && bytes_begin(found, name) ? place : NULL;
}

static byte_node_t *
parting(bytes_t name, bytes_t other)
{
    byte_node_t *node = xcalloc(1, sizeof *node);
    size_t least = name.size < other.size ? name.size : other.size, at = 0;
    while (at < least && name.at[at] == other.at[at])
        at++;
    node->at = (uint32_t)at;
    node->bit = IS_THERE;
    if (at < least)
        node->bit = (uint16_t)(1u << (31 - __builtin_clz((unsigned)(name.at[at] ^ other.at[at]))));
    return node;
}

static bool
is_before(const byte_node_t *self, const byte_node_t *other)
{
    return self->at < other->at || (self->at == other->at && self->bit > other->bit);
}

void
bytetree_add(bytetree_t *self, void *thing)
{
    bytes_t name = self->name(thing);
    void *like = self->root, **place = &self->root;
    if (!like) {
        self->root = thing;
        return;
    }
    for (byte_node_t *node; (node = node_at(like));)
        like = node->child[way(node, name)];
    byte_node_t *added = parting(name, self->name(like));
    for (byte_node_t *node; (node = node_at(*place)) && is_before(node, added);)
        place = &node->child[way(node, name)];
    unsigned side = way(added, name);
    added->child[side] = thing;
    added->child[!side] = *place;
    *place = marked(added);
}

void
bytetree_remove(bytetree_t *self, bytes_t name)
{
    void **place = &self->root, **above = NULL;
    unsigned side = 0;
    for (byte_node_t *node; (node = node_at(*place)); place = &node->child[side]) {
        above = place;
        side = way(node, name);
    }
    if (!above) {
        self->root = NULL;
        return;
    }
    byte_node_t *node = node_at(*above);
    *above = node->child[!side];
    free(node);
}

// Nodes are turned around on the way, so that it takes no memory however deep they lie.
void
bytetree_clear(bytetree_t *self)
{
    byte_node_t *node = node_at(self->root);
    self->root = NULL;
    while (node) {
        byte_node_t *left = node_at(node->child[0]);
        if (left) { // which takes its place, with NODE below it on the right
            node->child[0] = left->child[1];
            left->child[1] = marked(node);
            node = left;
        } else {
            byte_node_t *right = node_at(node->child[1]);
            free(node);
            node = right;
        }
    }
}

static void *
leftmost(void *child)
{
    for (byte_node_t *node; (node = node_at(child));)
        child = node->child[0];
    return child;
}

static void *
if_begins(const bytetree_t *self, void *thing, bytes_t prefix)
{
    return thing && bytes_begin(self->name(thing), prefix) ? thing : NULL;
}

void *
bytetree_first(const bytetree_t *self, bytes_t prefix)
{
    void *child = self->root;
    for (byte_node_t *node; (node = node_at(child)) && node->at < prefix.size;)
        child = node->child[way(node, prefix)];
    return if_begins(self, leftmost(child), prefix);
}

void *
bytetree_next(const bytetree_t *self, const void *thing, bytes_t prefix)
{
    bytes_t name = self->name(thing);
    void *child = self->root, *after = NULL;
    for (byte_node_t *node; (node = node_at(child));) {
        unsigned side = way(node, name);
        if (side == 0)
            after = node->child[1];
        child = node->child[side];
    }
    return if_begins(self, leftmost(after), prefix);
}
