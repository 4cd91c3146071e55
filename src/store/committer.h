// SPDX-License-Identifier: MPL-2.0
// committer.h - the thread of a store: it alone touches the disk. What it is given comes
// back when it was done, and its bell rings. All functions are its owner's.
//
// What does not fit on the disk waits here, and so does what comes after it; but what
// was said of messages goes on being written, for that is what makes room.

#ifndef ZB_STORE_COMMITTER_H
#define ZB_STORE_COMMITTER_H

#include "store/batch.h"
#include "store/figures.h"
#include "store/folder.h"
#include "store/recover.h"

typedef struct committer committer_t;

committer_t *committer_new(folder_t **folder_p); // takes it over
// The thread may run: it waits for the folder, and reads it. 0, or -1 with errno.
int committer_start(committer_t *self, const char *name, int bell, uint64_t max_bytes, int64_t dedupe_ms);
void committer_change(committer_t *self, uint64_t max_bytes);

// The end: what was given is done first, for WAIT_MS at most. Batches that were not written come back by committer_lost.
void committer_stop(committer_t *self, int64_t wait_ms);
batch_t *committer_lost(committer_t *self);
void committer_free(committer_t **self_p);

// What was found on the disk, once. False: not yet. If its IDS_LATER are true they are read from committer_want_ids on, beside
// what is wanted first, and come by committer_ids, once.
bool committer_contents(committer_t *self, contents_t *contents);
void committer_want_ids(committer_t *self);
bool committer_ids(committer_t *self, ids_t *ids);

void committer_commit(committer_t *self, batch_t *batch);
batch_t *committer_committed(committer_t *self); // in the order given, NULL: none. Its HEAD.MESSAGES are on the disk

// BATCH has room for the messages at LOCATED, in a file with SALT. One that is not READABLE comes back without entries.
void committer_read(committer_t *self, batch_t *batch, const located_t *located, const file_name_t *file);
batch_t *committer_was_read(committer_t *self);

// A file is not needed any more, unless messages from END on have been committed meanwhile: when NOTES (may be NULL) are on
// the disk it goes, or is kept as damaged.
void committer_retire(committer_t *self, const file_name_t *file, bool keep, uint64_t end, batch_t *notes);

// A file that it has made, or that has gone; 0: one has not, for it is needed. False: none.
bool committer_made(committer_t *self, file_name_t *file);
bool committer_retired(committer_t *self, uint32_t *number);

typedef struct {
    store_state_t state;
    int error;
    uint64_t said; // up to which what was said holds
    uint64_t bytes;
    uint64_t commits[STORE_BUCKETS], commit_ns;
} committer_news_t;

void committer_news(committer_t *self, committer_news_t *news);

#endif
