// SPDX-License-Identifier: MPL-2.0
// bytetree.h - things that are named by bytes, in ascending order of their names: found
// one by one, or all whose names begin alike. A crit-bit tree: no operation takes longer
// than the name is long, however many things there are.
//
// The things are the caller's, and hold their names themselves, which must not change.

#ifndef ZB_BYTETREE_H
#define ZB_BYTETREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BYTETREE_NODE = 24 }; // bytes that it takes for each thing

typedef struct {
    const uint8_t *at;
    size_t size;
} bytes_t;

static inline bytes_t
bytes_of(const void *at, size_t size)
{
    return (bytes_t){ at, size };
}

bool bytes_begin(bytes_t self, bytes_t prefix);

typedef bytes_t bytetree_name_fn(const void *thing);

typedef struct {
    bytetree_name_fn *name;
    void *root;
} bytetree_t;

void **bytetree_find(bytetree_t *self,
                     bytes_t name); // where the thing is named, or NULL: one of the same name may take its place
void bytetree_add(bytetree_t *self, void *thing);     // whose name is not there
void bytetree_remove(bytetree_t *self, bytes_t name); // which is there
void bytetree_clear(bytetree_t *self);                // of all things, which may be gone already

// The first whose name begins with PREFIX, and the one that follows THING; NULL: none.
void *bytetree_first(const bytetree_t *self, bytes_t prefix);
void *bytetree_next(const bytetree_t *self, const void *thing, bytes_t prefix);

#endif
