// SPDX-License-Identifier: MPL-2.0
// acl_internal.h - the lines of an acl file as they were read. For acl.c and acl_see.c only.

#ifndef ZB_ACL_INTERNAL_H
#define ZB_ACL_INTERNAL_H

#include "guard/acl.h"

typedef enum { LEVEL_TEXT, LEVEL_ANY, LEVEL_REST, LEVEL_USER, LEVEL_CLIENT } level_kind_t;

typedef struct {
    level_kind_t kind;
    char *text; // of LEVEL_TEXT, owned
    size_t size;
} level_t;

typedef struct {
    unsigned access;
    level_t *levels;
    size_t count;
} rule_t;

typedef struct {
    rule_t *at;
    size_t count, room;
} rules_t;

// What one client may do: %u and %c are filled in.
struct acl_view {
    rules_t rules;
};

#endif
