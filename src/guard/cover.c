// SPDX-License-Identifier: MPL-2.0
// cover.c - acl_cover of acl.h: rights, which are about levels, as the prefixes
// that ZeroMQ subscribes to.

#include "base/mem.h"
#include "guard/rule.h"

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

static void
emit(acl_cover_t *cover, const char *bytes, size_t size, bool checked)
{
    mem_grow(cover->at, cover->count, cover->room);
    acl_prefix_t *to = &cover->at[cover->count++];
    *to = (acl_prefix_t){ .bytes = xcalloc(1, size + 1), .size = size, .checked = checked };
    if (size)
        memcpy(to->bytes, bytes, size);
}

static void
shorten(acl_cover_t *cover, size_t count)
{
    while (cover->count > count)
        free(cover->at[--cover->count].bytes);
}

// The denying lines that touch what starts with the prefix in hand.
typedef struct {
    shape_t *at;
    size_t count;
} denials_t;

typedef struct {
    acl_cover_t *cover;
    size_t limit;
    shape_t path; // the prefix in hand
} carving_t;

static bool
touches(const shape_t *denial, const shape_t *path)
{
    return starts_with(denial->head, denial->size, path->head, path->size)
           || (denial->kind == SHAPE_TREE && starts_with(path->head, path->size, denial->head, denial->size));
}

// All that starts with the path but what DENIALS take away. A topic that is
// itself the start of a denied one cannot be told from it and is left out.
static bool
carve(carving_t *self, const denials_t *denials)
{
    shape_t *left = xcalloc(denials->count + 1, sizeof *left);
    size_t count = 0;
    bool gone = false, well = true;
    for (size_t i = 0; i < denials->count; i++) {
        if (!touches(&denials->at[i], &self->path))
            continue;
        gone = gone || (denials->at[i].kind == SHAPE_TREE && denials->at[i].size <= self->path.size);
        left[count++] = denials->at[i];
    }
    if (!gone && count == 0) {
        emit(self->cover, self->path.head, self->path.size, false);
        well = self->cover->count <= self->limit;
    }
    for (int byte = 0; byte < 256 && !gone && count > 0 && well; byte++) {
        char next = (char)byte;
        append(&self->path, &next, 1);
        well = carve(self, &(denials_t){ left, count });
        self->path.size--;
    }
    free(left);
    return well;
}

static void
cover_tree(const acl_view_t *self, const char *bytes, size_t size, acl_cover_t *cover)
{
    denials_t denials = { xcalloc(self->rules.count + 1, sizeof *denials.at), 0 };
    size_t before = cover->count;
    bool open = false, gone = false;
    for (size_t i = 0; i < self->rules.count; i++) {
        shape_t *shape = &denials.at[denials.count];
        if (self->rules.at[i].access != ACL_DENY)
            continue;
        shape_of(&self->rules.at[i], bytes, size, shape);
        gone = gone || (shape->kind == SHAPE_TREE && shape->size <= size);
        open = open || shape->kind == SHAPE_SOME;
        denials.count += shape->kind == SHAPE_TREE || shape->kind == SHAPE_ONE;
    }
    carving_t carving = { .cover = cover, .limit = ACL_COVER_MAX };
    append(&carving.path, bytes, size);
    if (!gone && !open && !carve(&carving, &denials))
        open = true;
    if (open) {
        shorten(cover, before);
        if (!gone)
            emit(cover, bytes, size, true);
    }
    for (size_t i = 0; i <= self->rules.count; i++)
        free(denials.at[i].head);
    free(denials.at);
    free(carving.path.head);
}

static bool
is_covered(const acl_cover_t *cover, const acl_prefix_t *prefix)
{
    for (size_t i = 0; i < cover->count; i++)
        if (!cover->at[i].checked
            && starts_with((char *)prefix->bytes, prefix->size, (char *)cover->at[i].bytes, cover->at[i].size))
            return true;
    return false;
}

// A checked prefix costs a look per message: only where no other has it.
static void
drop_needless(acl_cover_t *cover)
{
    size_t kept = 0;
    for (size_t i = 0; i < cover->count; i++) {
        if (cover->at[i].checked && is_covered(cover, &cover->at[i]))
            free(cover->at[i].bytes);
        else
            cover->at[kept++] = cover->at[i];
    }
    cover->count = kept;
}

void
acl_cover(const acl_view_t *self, const void *prefix, size_t size, acl_cover_t *cover)
{
    shape_t shape = { 0 };
    const char *text = size ? prefix : "";
    for (size_t i = 0; i < self->rules.count; i++) {
        const rule_t *rule = &self->rules.at[i];
        if (!(rule->access & ACL_READ))
            continue;
        shape_of(rule, text, size, &shape);
        const char *bytes = shape.size > size ? shape.head : text;
        size_t length = shape.size > size ? shape.size : size;
        if (shape.kind == SHAPE_TREE)
            cover_tree(self, bytes, length, cover);
        else if (shape.kind == SHAPE_SOME)
            emit(cover, bytes, length, true);
        else if (shape.kind == SHAPE_ONE && acl_may(self, ACL_READ, shape.head, shape.size))
            emit(cover, shape.head, shape.size, true);
        if (cover->count > ACL_COVER_MAX) {
            acl_cover_free(cover);
            emit(cover, text, size, true);
            break;
        }
    }
    free(shape.head);
    drop_needless(cover);
}

void
acl_cover_free(acl_cover_t *cover)
{
    shorten(cover, 0);
    free(cover->at);
    *cover = (acl_cover_t){ 0 };
}
