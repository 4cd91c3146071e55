// SPDX-License-Identifier: MPL-2.0
// acl.h - who may publish and read which topics, in the grammar of mosquitto's
// acl_file:
//
//   topic [read|write|readwrite|deny] PATTERN     before any user line: for those without a name
//   user NAME                                     topic lines up to the next user line are NAME's
//   pattern [read|write|readwrite|deny] PATTERN   for everybody; %u is the user
//   pattern deny PATTERN                          in it %c is the routing id that the client claims
//
// A topic is the first frame of a message, its levels are parted by '/'. In a
// PATTERN + is one level and # the rest, the parent included. What nothing
// allows is denied; deny wins. A name that is itself +, # or holds a / never
// fits an allowing pattern with %u.

#ifndef ZB_ACL_H
#define ZB_ACL_H

#include "base/diag.h"

#include <stdbool.h>
#include <stddef.h>

#define ACL_FILE_MAX (16 * 1024 * 1024)

typedef enum { ACL_READ = 1, ACL_WRITE = 2, ACL_DENY = 4 } acl_access_t;

typedef struct acl acl_t;

// Every problem of the text goes to DIAG, at FILE. NULL if there was an error.
acl_t *acl_parse(const char *file, const char *text, size_t size, diag_t *diag);
acl_t *acl_load(const char *file, diag_t *diag);

// Held once more, in any thread; the last acl_free frees it.
acl_t *acl_share(acl_t *self);
void acl_free(acl_t **self_p);
bool acl_same(const acl_t *a, const acl_t *b); // made of the same text

// What one client may do: a copy, the acl may go. USER and CLIENT "" where there is none.
typedef struct acl_view acl_view_t;
acl_view_t *acl_view(const acl_t *self, const char *user, const char *client);
bool acl_view_same(const acl_view_t *a, const acl_view_t *b);
void acl_view_free(acl_view_t **self_p);

// May it ACCESS (ACL_READ or ACL_WRITE) TOPIC?
bool acl_may(const acl_view_t *self, acl_access_t access, const void *topic, size_t size);

// Is there anything to read among the topics that start with PREFIX? Costs a look at each rule, however they are made.
bool acl_may_see(const acl_view_t *self, const void *prefix, size_t size);

#endif
