// SPDX-License-Identifier: MPL-2.0
// archivelog.h - what goes to the archive of a forwarder: the messages that it keeps, and
// notes among them.
//
// A note is a record (base/record.h) in a frame of a command: no message begins with one.
// Only who has written it knows what its fields say: remember.h and durable.h.
//
// Publishing waits for no disk: what the store has no room for is only in memory.

#ifndef ZB_WIRE_ARCHIVELOG_H
#define ZB_WIRE_ARCHIVELOG_H

#include "store/store.h"
#include "wire/internal.h"
#include "wire/kept.h"

struct archivelog {
    wire_t *wire;
    store_t *store;
    bool ready;                       // all that was found in it is kept again: more is taken
    uint64_t put_bytes, passed_bytes; // ever; of them, on the disk for certain
    struct {
        uint64_t sequence, bytes; // that will be next
    } mark;
};

// PIECE, which is one message, as it is kept from now on.
kept_t archivelog_kept(const wire_t *wire, const piece_t *piece);

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
bool archivelog_note(const wire_t *wire, archive_note_t note, record_t *fields, bool must, kept_t *kept);
bool archivelog_is_ready(const wire_t *wire); // notes are taken
uint64_t archivelog_next(const wire_t *wire); // the sequence of what comes next

// In notes times are those of the wall: what to add to clock_mono_ms.
int64_t archivelog_shift_ms(void);

#endif
