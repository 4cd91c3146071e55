// SPDX-License-Identifier: MPL-2.0
// store.h - messages on disk, of one route: put in, committed, read in order, done.
//
// A thread of the store does all that touches the disk. Whoever owns a store calls
// it from one thread, never waits, and hears of what was finished by a bell. A commit
// takes what was put and said since the one before, all or nothing, and syncs it.
//
// A message has a sequence: the next number, never used again. It is read in that order
// when it is committed, and is gone when it is done. What is said of a message (done,
// tried) goes with the next commit:
//
//     store_put ... committed ... store_next, store_pass ... store_done
//
// A worker that must never get a message twice gets it when the commit that says "done"
// is on the disk; one that says itself when it is done gets it when the commit that
// counts the try is: when store_reached is what store_said was after saying so.
//
// All files are trusted for nothing: what is damaged is skipped, counted and kept aside.

#ifndef ZB_STORE_H
#define ZB_STORE_H

#include "base/diag.h"
#include "store/figures.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct store store_t;

// --- opening and closing -----------------------------------------------------------

typedef struct {
    const char *folder; // made if it is missing
    uint64_t max_bytes; // of its files
    bool drop_oldest;   // when they are full; else nothing is taken
    int64_t commit_ms;  // how long what was put may wait for more
    int64_t dedupe_ms;  // how long an id is known; 0: ids are not kept
} store_conf_t;

// Where the bytes of messages lie. All are called in the owner's thread; a block that it holds stays where it is.
typedef struct {
    void *arg;
    void *(*take)(void *arg, size_t size, uint8_t **data); // a block with one holder
    void (*drop)(void *block);
} store_memory_t;

// Is there a library for it in this build?
bool store_is_built(void);

// OWNER is the route's name. NULL, with DIAG: the folder is not ours alone, or in use. The folder of a store that this
// owner has still open in this process goes over to this one when the other is closed.
store_t *store_open(const char *owner, const store_conf_t *conf, diag_t *diag, place_t place);

// Would that work with this folder? 0, or -1 with DIAG.
int store_could_open(const char *owner, const char *folder, diag_t *diag, place_t place);

// From now on its owner is the thread that calls: the disk is read, and the bell rings when it was.
void store_begin(store_t *self, const store_memory_t *memory);

// What was put and said is committed first, for at most WAIT_MS. Returns how many messages that were put are lost, because
// the disk takes none. Also for one that was not begun. *SELF_P may be NULL.
uint64_t store_close(store_t **self_p, int64_t wait_ms);

// Limits may change while it runs: max_bytes, drop_oldest, commit_ms, dedupe_ms.
void store_change(store_t *self, const store_conf_t *conf);

// --- news --------------------------------------------------------------------------

// Two descriptors to wait for input on. Whichever it is: store_hear.
enum { STORE_FDS = 2 };
int store_fd(const store_t *self, unsigned i);

// Take over what the thread has finished, and give it what is due. There may be more to read (store_next) and room
// (store_put) after it.
void store_hear(store_t *self);

// The owner has put and said what it had for now: what is due goes to the disk.
void store_turn(store_t *self);
void store_hurry(store_t *self); // the same, without waiting for more

// --- putting in --------------------------------------------------------------------

typedef enum {
    STORE_TAKEN,     // it will be committed
    STORE_KNOWN,     // its id was taken before: it is on the disk when *SEQUENCE is
    STORE_NO_ROOM,   // not now: later, when the bell has rung
    STORE_TOO_LARGE, // never
} store_put_t;

typedef struct {
    const uint8_t *data; // its frames, as ZMTP 2.0 has them: as bytes they are the store's, their sense is not
    size_t size;
    uint64_t payload; // bytes without the frames' heads, which come back
    const void *who;  // whose ID it is, of WHO_SIZE bytes
    size_t who_size;
    const void *id; // of the message; ID_SIZE 0: none
    size_t id_size;
    bool done; // with the same commit, if nothing waits before it: see store_message_t
    bool must; // it is taken though there is no room, as the end of a route does
    bool early; // at the end: after the next opening it comes before all others, behind those that were put so before
} store_put_in_t;

store_put_t store_put(store_t *self, const store_put_in_t *message, uint64_t *sequence);

typedef struct {
    uint32_t size, payload;
} store_part_t;

// Many that lie behind each other and have no id: as many of PARTS at DATA as there is room for now. Returns how many;
// of the next one store_put says why.
uint32_t store_put_many(store_t *self, const uint8_t *data, const store_part_t *parts, uint32_t count, bool done);

// Many, which are WHO's and may have ids: as many of MESSAGES, STORE_AT_ONCE at most, as there is certainly room for. Returns
// how many, each STORE_TAKEN or STORE_KNOWN; of the next one store_put says why.
enum { STORE_AT_ONCE = 64 };

typedef struct {
    store_put_t result;
    uint64_t sequence;
} store_was_put_t;

uint32_t store_put_each(store_t *self, const void *who, size_t who_size, const store_put_in_t *messages, uint32_t count,
                        store_was_put_t *put);

// Every message below this sequence is on the disk; the one that the next message gets.
uint64_t store_committed(const store_t *self);
uint64_t store_next_sequence(const store_t *self);
bool store_had(const store_t *self, uint64_t sequence); // when it was opened

// --- taking out --------------------------------------------------------------------

typedef struct {
    uint64_t sequence;
    uint32_t tries; // that were counted before
    bool done;      // it was put as done, in this process: it is given out now, or lost
    const uint8_t *data;
    size_t size;
    uint64_t payload;
    int64_t wall_ns; // when it was committed, about
    void *block;     // where DATA lies; whoever wants to keep it beyond store_pass holds it
} store_message_t;

// The next one that is committed and not passed, in order of sequence. False: there is none now, or it is being read
// from the disk.
bool store_next(store_t *self, store_message_t *message);
void store_pass(store_t *self); // the one that store_next has shown: never shown again in this process

// The same for many at once: those that lie behind each other and are alike.
typedef struct {
    uint64_t first; // sequence
    uint64_t messages;
    bool done; // they were put as done
    const uint8_t *data;
    size_t size;
    uint64_t payload;
    void *block;
} store_run_t;

// At most MOST messages, but any number of those that were put as done.
bool store_next_run(store_t *self, uint64_t most, store_run_t *run);
void store_pass_run(store_t *self, const store_run_t *run);
void store_done_run(store_t *self, const store_run_t *run);

void store_done(store_t *self, uint64_t sequence);
// At the end: it is not done after all, and comes after the next opening. False: it is not on the disk any more.
bool store_undo(store_t *self, uint64_t sequence);
void store_try(store_t *self, uint64_t sequence, uint32_t tries); // it has been given out so often

// How many times something was said so far, and how much of that is on the disk. While the disk is full what was said counts
// as if it were, so that workers can go on: a crash then would forget it.
uint64_t store_said(const store_t *self);
uint64_t store_reached(const store_t *self);

// All that is committed is in memory, or passed: only then what is put as done is taken as done.
bool store_is_read(const store_t *self);

// Nothing is in it that was not passed: neither on the disk nor on its way there.
bool store_is_passed(const store_t *self);

// --- figures -----------------------------------------------------------------------

const char *store_state_name(store_state_t state); // "ready", …
const char *store_error(int error);
void store_figures(const store_t *self, store_figures_t *figures); // in the owner's thread

#endif
