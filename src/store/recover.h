// SPDX-License-Identifier: MPL-2.0
// recover.h - what the files of a store hold. They are read without the trees in them,
// page by page, for the heads of batches: whatever else is damaged, a batch that is
// whole is found.

#ifndef ZB_STORE_RECOVER_H
#define ZB_STORE_RECOVER_H

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
    tries_t tries;
    ids_t ids;
    bool has_key; // of the ids
    uint64_t next_sequence, next_batch;
    uint32_t next_file;
    uint64_t messages; // that are not done
    uint64_t bytes;    // of the files
    uint64_t corrupt;  // messages that were not found, or are damaged for certain
} contents_t;

// Of all files in FOLDER. -1: errno. Ids that were taken before IDS_SINCE_NS are not known any more.
int recover(const folder_t *folder, int64_t ids_since_ns, contents_t *contents);
void contents_free(contents_t *self);

void contents_locate(contents_t *self, const located_t *located);     // the last one
store_file_t *contents_file(const contents_t *self, uint32_t number); // NULL: none
void contents_add_file(contents_t *self, const file_name_t *name);
void contents_remove_file(contents_t *self, uint32_t number);

// FILE is done: the bytes of its messages go, and what it says stays. Where the file system cannot do that nothing happens.
void recover_empty(const folder_t *folder, const file_name_t *file);

// The messages of a batch, as its file has them, checked: into BATCH, which has room for them. Those that are damaged are
// marked. False: its head is not there.
bool recover_batch(int fd, const located_t *located, uint64_t salt, batch_t *batch);

#endif
