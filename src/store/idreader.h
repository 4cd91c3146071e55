// SPDX-License-Identifier: MPL-2.0
// idreader.h - the ids that the files of a store speak of, a few thousand at a time. There
// may be millions of them, and no delivery needs one: so they are read between deliveries.

#ifndef ZB_STORE_IDREADER_H
#define ZB_STORE_IDREADER_H

#include "store/recover.h"

typedef struct idreader idreader_t;

// Of what CONTENTS has noted, which it takes. NULL: it has nothing.
idreader_t *idreader_new(const folder_t *folder, int64_t since_ns, contents_t *contents);
void idreader_free(idreader_t **self_p); // *SELF_P may be NULL

uint64_t idreader_count(const idreader_t *self); // ids at most

bool idreader_go_on(idreader_t *self);            // with a few more. False: that was all
void idreader_take(idreader_t *self, ids_t *ids); // what was read; it had none

#endif
