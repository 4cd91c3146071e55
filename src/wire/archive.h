// SPDX-License-Identifier: MPL-2.0
// archive.h - what a forwarder keeps, on disk too: a log in a store, of the messages that
// it remembers or keeps for subscribers that are away, in the order in which they were
// published, and of notes among them. At a start it is read, and what it says happens
// again, so that the forwarder keeps what it did.
//
// A note is a record (base/record.h) in a frame of a command: no message begins with one.
// Only who has written it knows what its fields say: remember.h and durable.h.
//
// What is needed of the log is at its end. Where something old lies before much that is
// not needed any more it is written once more, a piece at a time.
//
// Publishing waits for no disk: what the store has no room for is only in memory.

#ifndef ZB_WIRE_ARCHIVE_H
#define ZB_WIRE_ARCHIVE_H

#include "wire/internal.h"
#include "wire/kept.h"

// By the route's configuration, if it has a store and keeps something. 0, or -1 with DIAG.
int archive_open(wire_t *self, diag_t *diag);
void archive_begin(wire_t *self);         // in the route's thread, before anybody can connect
bool archive_is_read(const wire_t *self); // else nobody may come yet: accept_at_all is called when it is
void archive_configure(wire_t *self);
bool archive_has_any(const wire_t *self);              // the route keeps what its store had
void archive_write(wire_t *self);                      // all that it keeps, and nothing else is there
uint64_t archive_close(wire_t *self, int64_t wait_ms); // the sequence up to which all is on the disk

// PIECE as it is kept from now on.
kept_t archive_kept(const wire_t *self, const piece_t *piece);

// What a note is about. Never used for anything else again. Those between OPEN and CLOSE are read together, or not at all.
typedef enum {
    NOTE_OPEN = 1,
    NOTE_CLOSE,
    NOTE_REMEMBERED,
    NOTE_CLEARED,
    NOTE_DURABLE,
} archive_note_t;

// FIELDS go to the log, and are forgotten; they may be NULL. MUST: whether there is room or not. KEPT, if not NULL, is the
// message in it, which is marked. False: there is no room, or no archive.
bool archive_note(const wire_t *self, archive_note_t note, record_t *fields, bool must, kept_t *kept);
bool archive_is_ready(const wire_t *self); // notes are taken
uint64_t archive_next(const wire_t *self); // the sequence of what comes next

// In notes times are those of the wall: what to add to clock_mono_ms.
int64_t archive_shift_ms(void);

#endif
