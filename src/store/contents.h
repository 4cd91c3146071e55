// SPDX-License-Identifier: MPL-2.0
// contents.h - what is known of the files of a store: where its messages are, which of
// them are done, and what was said of them.

#ifndef ZB_STORE_CONTENTS_H
#define ZB_STORE_CONTENTS_H

#include "store/batch.h"
#include "store/folder.h"
#include "store/ids.h"
#include "store/seqset.h"
#include "store/tries.h"

// Where a batch with messages is.
typedef struct {
    uint64_t first, offset, data, number;
    int64_t wall_ns;
    uint32_t messages;
    uint32_t file; // number
} located_t;

typedef struct {
    file_name_t name;
    uint64_t last_batch; // in it
    bool damaged;
} store_file_t;

// All zeros is that of an empty store.
typedef struct {
    located_t *located; // in order of their messages
    size_t located_from, located_count, located_room;
    store_file_t *files; // by number
    size_t file_count, file_room;
    seqset_t done;
    early_t early; // as they come
    tries_t tries;
    ids_t ids;
    bool has_key;     // of the ids
    bool ids_later;   // they are not there yet
    located_t *noted; // batches that speak of ids, as they were written
    size_t noted_count, noted_room;
    uint64_t noted_ids; // in all of them
    uint64_t next_sequence, next_batch;
    uint32_t next_file;
    uint64_t messages; // that are not done
    uint64_t bytes;    // of the files
    uint64_t corrupt;  // messages that were not found, or are damaged for certain
} contents_t;

void contents_free(contents_t *self);

void contents_locate(contents_t *self, const located_t *located);     // the last one
store_file_t *contents_file(const contents_t *self, uint32_t number); // NULL: none
void contents_add_file(contents_t *self, const file_name_t *name);
void contents_remove_file(contents_t *self, uint32_t number);

#endif
