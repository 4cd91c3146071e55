// SPDX-License-Identifier: MPL-2.0
// recover.h - what the files of a store hold. They are read without the trees in them,
// page by page, for the heads of batches: whatever else is damaged, a batch that is
// whole is found.

#ifndef ZB_STORE_RECOVER_H
#define ZB_STORE_RECOVER_H

#include "store/contents.h"

// Of all files in FOLDER. -1: errno. Of ids it is noted only where they are, those that were taken since IDS_SINCE_NS.
int recover(const folder_t *folder, int64_t ids_since_ns, contents_t *contents);

// What a batch says, COUNT records that the caller frees. NULL: it is damaged.
said_t *recover_said(int fd, const located_t *located, uint64_t salt, uint32_t *count);

// When the id was taken that SAID in that batch is about, by the wall clock.
static inline int64_t
recover_taken_ns(const said_t *said, const located_t *located)
{
    return located->wall_ns - (int64_t)said->number * 1000000;
}

// FILE is done: the bytes of its messages go, and what it says stays. Where the file system cannot do that nothing happens.
void recover_empty(const folder_t *folder, const file_name_t *file);

// The messages of a batch, as its file has them, checked: into BATCH, which has room for them. Those that are damaged are
// marked. False: its head is not there.
bool recover_batch(int fd, const located_t *located, uint64_t salt, batch_t *batch);

#endif
