// SPDX-License-Identifier: MPL-2.0
// store_internal.h - what a store is made of. For store.c, filling.c, loading.c and tidying.c only.

#ifndef ZB_STORE_INTERNAL_H
#define ZB_STORE_INTERNAL_H

#include "store/committer.h"
#include "store/store.h"

enum {
    LOADED_BYTES = 16 * 1024 * 1024, // of messages that wait in memory
    IDS_PART = 256,                  // of max_bytes, that an id counts for
};

struct store {
    char *owner;
    store_conf_t conf; // without its folder
    store_memory_t memory;
    committer_t *committer;
    committer_news_t news;
    int bell, timer;
    int64_t timer_ms; // when it is due; 0: it is not set
    bool opened;      // the disk was read
    uint64_t inherited; // messages below it were there then
    contents_t contents;
    uint64_t corrupt, expired;

    // On the way to the disk.
    batch_t *fill;  // messages, and their ids
    uint64_t filled_before; // bytes of messages in the one before
    batch_t *words; // what was said of others
    uint64_t said, committed;
    unsigned commits, words_given; // that the thread has: with messages, without
    uint64_t early_group;          // of those that come early, 0: there were none
    uint64_t *later;               // messages that are done and not committed
    size_t later_count, later_room;

    // On the way back.
    batch_t *loaded, **loaded_end;
    uint64_t loaded_bytes;
    uint32_t at;     // next one in the first of them
    uint64_t cursor; // all below are loaded, or being read
    size_t early;    // runs that are; while there are more the cursor is in the next one
    unsigned reads;         // batches that are being read
    uint64_t reading_bytes; // of their messages
    uint32_t retiring; // file that is about to go, 0: none
    uint64_t notes;    // batch that is written before
    bool undone;       // something was: no file goes any more
};

void store_set_timer(store_t *self, int64_t ms); // then store_hear is called
void store_release(store_t *self, batch_t *batch);

// --- filling.c: on the way to the disk ------------------------------------------------

void filling_number(store_t *self, batch_t *batch);
void filling_submit(store_t *self);       // the messages, and what was said
void filling_submit_words(store_t *self); // only what was said

// --- loading.c: on the way back -------------------------------------------------------

void loading_begin(store_t *self); // what comes early first
bool loading_is_at(const store_t *self, uint64_t sequence); // all before it is loaded, and nothing is being read
void loading_add(store_t *self, batch_t *batch);
void loading_read_ahead(store_t *self);
void loading_take_read(store_t *self);

static inline uint64_t
located_end(const located_t *located)
{
    return located->first + located->messages;
}

// --- tidying.c: files that are not needed any more --------------------------------------

void tidying_look(store_t *self);
void tidying_drop_oldest(store_t *self);
void tidying_take_files(store_t *self); // those that the thread has made, and removed

#endif
