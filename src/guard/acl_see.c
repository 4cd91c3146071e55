// SPDX-License-Identifier: MPL-2.0
// acl_see.c - acl_may_see of acl.h: rights, which are about levels, beside the prefixes that ZeroMQ subscribes to.

#include "base/mem.h"
#include "guard/acl_internal.h"

#include <stdlib.h>
#include <string.h>

// What a rule says about the topics that start with a prefix.
typedef enum {
    SHAPE_NONE, // nothing: it is about others
    SHAPE_TREE, // all that start with head
    SHAPE_ONE,  // head alone
    SHAPE_SOME, // some of those that start with head: a + is open
} shape_kind_t;

typedef struct {
    shape_kind_t kind;
    char *head;
    size_t size, room;
} shape_t;

static void
append(shape_t *shape, const char *text, size_t size)
{
    if (shape->size + size > shape->room) {
        shape->room = (shape->size + size) * 2 + 16;
        shape->head = xrealloc(shape->head, shape->room, 1);
    }
    if (size)
        memcpy(shape->head + shape->size, text, size);
    shape->size += size;
}

static bool
starts_with(const char *text, size_t size, const char *start, size_t start_size)
{
    return start_size <= size && (start_size == 0 || memcmp(text, start, start_size) == 0);
}

// Is the level of a + that begins at SHAPE's end told by PREFIX? Then append it.
static bool
append_told(shape_t *shape, const char *prefix, size_t size)
{
    if (!starts_with(prefix, size, shape->head, shape->size))
        return false;
    const char *at = prefix + shape->size;
    const char *slash = memchr(at, '/', size - shape->size);
    if (slash)
        append(shape, at, (size_t)(slash - at));
    return slash != NULL;
}

static void
shape_of(const rule_t *rule, const char *prefix, size_t size, shape_t *shape)
{
    shape->kind = SHAPE_ONE;
    shape->size = 0;
    for (size_t i = 0; i < rule->count && shape->kind == SHAPE_ONE; i++) {
        const level_t *level = &rule->levels[i];
        if (level->kind == LEVEL_REST)
            shape->kind = SHAPE_TREE;
        else if (level->kind == LEVEL_TEXT)
            append(shape, level->text, level->size);
        else if (i + 1 == rule->count || !append_told(shape, prefix, size))
            shape->kind = SHAPE_SOME;
        if (shape->kind == SHAPE_ONE && i + 1 < rule->count)
            append(shape, "/", 1);
    }
    // One is a start of the other, or they have nothing in common.
    bool within = starts_with(prefix, size, shape->head, shape->size);
    bool around = starts_with(shape->head, shape->size, prefix, size);
    if (!around && (!within || shape->kind == SHAPE_ONE))
        shape->kind = SHAPE_NONE;
}

bool
acl_may_see(const acl_view_t *self, const void *prefix, size_t size)
{
    shape_t shape = { 0 };
    bool seen = false, hidden = false;
    for (size_t i = 0; i < self->rules.count && !hidden; i++) {
        const rule_t *rule = &self->rules.at[i];
        shape_of(rule, size ? prefix : "", size, &shape);
        if (rule->access == ACL_DENY)
            hidden = shape.kind == SHAPE_TREE && starts_with(size ? prefix : "", size, shape.head, shape.size);
        else if (rule->access & ACL_READ)
            seen |= shape.kind != SHAPE_NONE;
    }
    free(shape.head);
    return seen && !hidden;
}
