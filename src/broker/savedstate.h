// SPDX-License-Identifier: MPL-2.0
// savedstate.h - what this program leaves to the one that replaces it: a record, and the
// descriptors in it, which are all that the other one keeps.

#ifndef ZB_SAVEDSTATE_H
#define ZB_SAVEDSTATE_H

#include "base/record.h"

#include <stdbool.h>
#include <stddef.h>

// Fields of the whole. Never used for anything else again; whoever changes what one means makes another format.
enum { SAVEDSTATE_FORMAT_NOW = 1 };
enum {
    SAVEDSTATE_FORMAT = 1,
    SAVEDSTATE_FDS, // all of them; of every format
    SAVEDSTATE_VERSION,
    SAVEDSTATE_HASH_KEYS,
    SAVEDSTATE_CLIENT_ID,
    SAVEDSTATE_STARTED,
    SAVEDSTATE_RELOADS,
    SAVEDSTATE_RELOADS_FAILED,
    SAVEDSTATE_LISTENER,
    SAVEDSTATE_CONTROL,
    SAVEDSTATE_HTTP,
    SAVEDSTATE_ROUTE,
};

// All zeros is an empty one.
typedef struct {
    record_t record;
    int *fds;
    size_t count, room;
} savedstate_t;

void savedstate_keep(savedstate_t *self, int fd);             // it is in the record already
void savedstate_fd(savedstate_t *self, unsigned tag, int fd); // as a field too; -1: no field
void savedstate_seal(savedstate_t *self);                     // nothing is added any more
void savedstate_forget(savedstate_t *self);

// Reading it: -1 where there is none.
int savedstate_find_fd(record_fields_t from, unsigned tag);
bool savedstate_is_known(const record_t *record);  // of our format
size_t savedstate_discard(const record_t *record); // close what is in it. Returns how many connections those were

#endif
