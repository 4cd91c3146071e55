// SPDX-License-Identifier: MPL-2.0
// durable_internal.h - what durable subscribers are made of; only for durablenotes.c, which
// notes in the archive what becomes of them, durablekept.c, durablemissed.c, durable.c, and
// durablerecord.c, which writes them down for another route and reads both.

#ifndef ZB_WIRE_DURABLE_INTERNAL_H
#define ZB_WIRE_DURABLE_INTERNAL_H

#include "base/bytetree.h"
#include "wire/durable.h"
#include "wire/history.h"

// Of one of them: in a record, of one that is away; in a note, what is new of it, and each holds when it is read. Never used
// for anything else again.
enum {
    TAG_AWAY = 1,
    TAG_NAME,
    TAG_ID,
    TAG_SINCE,
    TAG_LEFT, // it is away, since then
    TAG_PEER_NAME,
    TAG_USER,
    TAG_TOPIC,
    TAG_ANEW = 20, // nothing that was said of it before holds
    TAG_NO_TOPIC,
    TAG_HERE, // it has had what was kept, and nothing more is kept
    TAG_HAD,  // so many of the first that were kept have gone
    TAG_FORGOTTEN,
    TAG_MESSAGES_MOST, // the limits of what is kept, from then on
    TAG_BYTES_MOST,
    TAG_TIME_MOST,
};

enum {
    AWAY_MAX = 10000, // of a side: names cost nothing to make up
    NAME_MOST = 1 + UINT8_MAX,
};

struct durable {
    durables_t *all;
    durable_t *older, *newer; // of those that are away, by when they left
    uint32_t number;
    conn_t *conn; // NULL: it is away
    // What was published while it was away. On disk: until it has been sent all that it missed, what is published meanwhile
    // being kept, too. NULL: nothing is kept for it.
    void *kept;
    kept_limits_t limits;
    int64_t sent_before; // messages of its connection, before what was kept
    int64_t had, missed; // of what was kept: that has gone from here since; that it has to have
    bool noted, behind;  // something of it is on disk; not all that should be
    uint64_t id;         // of its connection, and what of that is shown
    int64_t since_wall_ns, left_ms;
    char *peer_name, *user;
    size_t size;
    uint8_t name[]; // its first byte says whose word it is
};

struct durables {
    wport_t *port;
    bytetree_t names;
    durable_t **at; // by number; NULL: not here
    uint32_t room, away, known;
    durable_t *oldest, *newest;
    kept_limits_t limits;
    bool reading;      // what was on disk happens again: it was counted when it happened
    uint32_t again_at; // who is written once more next
};

// --- durable.c -----------------------------------------------------------------------

durable_t *durable_make(const void *name, size_t size);
void durable_enter(durables_t *self, durable_t *durable, uint32_t number);
void durable_forget(durable_t *self); // for good, while it is away

// --- durablekept.c ---------------------------------------------------------------------

void durable_go_away(durable_t *self, int64_t now_ms);
void durable_is_back(durable_t *self); // it is not in the list of those that are away any more

static inline kept_total_t
durable_total(const durable_t *self) // of what is kept, which is not NULL
{
    return keeper_history.total(self->kept);
}

void durable_put(durable_t *self, const kept_t *message);
void durable_let_go_of_kept(durable_t *self);
void durable_let_go_of_first(durable_t *self, uint64_t count); // they have gone: expired, or to its connection
void durable_expire(durable_t *self);

// --- durablemissed.c -------------------------------------------------------------------

void durable_look_how_far_it_is(durable_t *self); // what was sent of what it had missed

// --- durablenotes.c --------------------------------------------------------------------

// What is new, if all else is on disk. What finds no room is not missed: it is BEHIND then, and all of it is written later.
void durable_note(durable_t *self, unsigned tag, const void *bytes, size_t size);
void durable_note_number(durable_t *self, unsigned tag, uint64_t number);
void durable_note_left(durable_t *self);
void durable_note_forgotten(const durable_t *self);
void durable_note_kept(durable_t *self, kept_t *kept); // in its queue only, so far

void durable_write_whole(durable_t *self); // read together. It is BEHIND as before if there is no room to begin with

#endif
