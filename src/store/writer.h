// SPDX-License-Identifier: MPL-2.0
// writer.h - the file that batches go to, and the next one when that is full. It knows
// how much the store may have on the disk, and leaves room for what will be said.

#ifndef ZB_STORE_WRITER_H
#define ZB_STORE_WRITER_H

#include "store/batch.h"
#include "store/figures.h"
#include "store/folder.h"
#include "store/ids.h"
#include "store/lmdbfile.h"

typedef struct {
    const folder_t *folder;
    uint64_t bytes;        // of all files
    uint64_t committed_to; // the sequence that comes next
    uint32_t next_file;
    uint8_t key[IDS_KEY]; // of ids: in the first batch of each file
    int64_t commit_ns;    // how long the last commit took

    // Its own.
    lmdbfile_t *file;
    file_name_t name; // of it; number 0: it has made none
    uint64_t file_bytes;
} writer_t;

// STORE_READY: BATCH is on the disk. Else why not, and nothing of it is: with *ERROR, 0 or what lmdbfile_error knows.
store_state_t writer_write(writer_t *self, batch_t *batch, uint64_t max_bytes, int *error);

// FILE goes, or is KEPT as damaged. It is not written to any more from writer_leave on.
void writer_leave(writer_t *self, const file_name_t *file);
void writer_remove(writer_t *self, const file_name_t *file, bool keep);
void writer_close(writer_t *self);

// How large a file may become, and one batch, for so many bytes in all.
uint64_t writer_file_bytes(uint64_t max_bytes);
uint64_t writer_batch_bytes(uint64_t max_bytes);

#endif
