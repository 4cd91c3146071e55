// SPDX-License-Identifier: MPL-2.0
// committer_internal.h - what a committer is made of. For committer.c and committing.c only.

#ifndef ZB_STORE_COMMITTER_INTERNAL_H
#define ZB_STORE_COMMITTER_INTERNAL_H

#include "store/committer.h"
#include "store/idreader.h"
#include "store/writer.h"

#include <pthread.h>

typedef struct {
    batch_t *first, **end;
} queue_t;

typedef struct retiring {
    struct retiring *next;
    file_name_t file;
    bool keep;
    uint64_t end; // it goes if nothing from here on has been committed
    batch_t *notes;
} retiring_t;

typedef struct reading {
    struct reading *next;
    batch_t *batch;
    located_t located;
    file_name_t file;
} reading_t;

typedef struct {
    file_name_t *at;
    size_t count, room;
} names_t;

struct committer {
    folder_t *folder;
    pthread_t thread;
    bool started;
    int bell;
    char name[16];

    pthread_mutex_t lock; // over all that follows, up to the next line
    pthread_cond_t work;
    queue_t given, committed, read;
    reading_t *readings, **readings_end;
    retiring_t *retiring, **retiring_end;
    names_t made, gone;
    contents_t contents;
    bool has_contents;
    ids_t ids;
    bool wants_ids, has_ids;
    int64_t ids_since_ns;
    committer_news_t news;
    bool stops;
    int64_t deadline_ms;
    _Atomic bool given_up;
    _Atomic uint64_t max_bytes;

    // The thread's own.
    batch_t *stuck; // does not fit
    batch_t *owed;  // was said, and does not fit either
    writer_t writer;
    idreader_t *idreader; // ids that are not read yet
    bool again; // a file could not be retired
    int read_fd;
    uint32_t read_file;
};

void queue_put(queue_t *self, batch_t *batch);
batch_t *queue_take(queue_t *self);
void names_add(names_t *self, const file_name_t *name);

void *committing_run(void *committer); // the thread

#endif
