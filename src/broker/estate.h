// SPDX-License-Identifier: MPL-2.0
// estate.h - what this program leaves to the one that replaces it: a record, and the
// descriptors in it, which are all that the other one keeps.

#ifndef ZB_ESTATE_H
#define ZB_ESTATE_H

#include "base/record.h"

#include <stdbool.h>
#include <stddef.h>

// Fields of the whole. Never used for anything else again; whoever changes what one means makes another format.
enum { ESTATE_FORMAT_NOW = 1 };
enum {
    ESTATE_FORMAT = 1,
    ESTATE_FDS, // all of them; of every format
    ESTATE_VERSION,
    ESTATE_HASH_KEYS,
    ESTATE_CLIENT_ID,
    ESTATE_STARTED,
    ESTATE_RELOADS,
    ESTATE_RELOADS_FAILED,
    ESTATE_LISTENER,
    ESTATE_CONTROL,
    ESTATE_HTTP,
    ESTATE_ROUTE,
};

// All zeros is an empty one.
typedef struct {
    record_t record;
    int *fds;
    size_t count, room;
} estate_t;

void estate_keep(estate_t *self, int fd);             // it is in the record already
void estate_fd(estate_t *self, unsigned tag, int fd); // as a field too; -1: no field
void estate_seal(estate_t *self);                     // nothing is added any more
void estate_forget(estate_t *self);

// Reading it: -1 where there is none.
int estate_find_fd(record_fields_t from, unsigned tag);
bool estate_is_known(const record_t *record);  // of our format
size_t estate_discard(const record_t *record); // close what is in it. Returns how many connections those were

#endif
