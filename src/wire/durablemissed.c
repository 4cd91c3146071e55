// SPDX-License-Identifier: MPL-2.0
// durablemissed.c - what a durable subscriber has missed is sent to it, and comes back if it breaks off; see
// durable_internal.h.

#include "wire/durable_internal.h"

#include "wire/conn.h"
#include "wire/output.h"

// --- sent ------------------------------------------------------------------------------

typedef struct {
    conn_t *conn;
    void *kept; // what it may read; NULL: that is not kept
} durable_bringing_t;

static bool
bring(void *arg, const kept_t *kept)
{
    durable_bringing_t *self = arg;
    conn_t *conn = self->conn;
    bytes_t first = kept_first(kept->data, kept->size);
    if (!conn_may(conn, ADMISSION_READ, first.at, first.size))
        return true;
    output_beyond(conn, kept->chunk, kept->data, kept->size, (load_t){ 1, kept->payload });
    if (self->kept)
        keeper_history.put(self->kept, kept);
    return true;
}

// What it may not read now is not kept for later.
static void
keep_what_it_gets(durable_t *self, void *kept)
{
    self->behind |= keeper_history.total(kept).messages < durable_total(self).messages;
    keeper_history.free(self->kept);
    self->kept = kept;
    self->had = 0;
    self->missed = (int64_t)durable_total(self).messages;
}

static void
has_caught_up(durable_t *self)
{
    durable_let_go_of_kept(self);
    durable_note(self, TAG_HERE, NULL, 0);
}

void
durable_look_how_far_it_is(durable_t *self)
{
    int64_t sent = (int64_t)self->conn->messages_sent - self->sent_before, left = (int64_t)durable_total(self).messages;
    int64_t gone = sent - self->had < left ? sent - self->had : left;
    if (sent >= self->missed)
        has_caught_up(self);
    else if (gone > 0) {
        durable_let_go_of_first(self, (uint64_t)gone);
        self->had += gone;
    }
}

bool
durables_bring(durables_t *self, conn_t *conn)
{
    durable_t *durable = conn->durable;
    wire_t *wire = self->port->wire;
    if (!durable || !durable->kept)
        return false;
    durable_bringing_t bringing = { conn, wire->archive ? keeper_history.new(&wire->pool, &durable->limits) : NULL };
    durable_expire(durable);
    durable_is_back(durable);
    durable->sent_before = (int64_t)(conn->messages_sent + conn->out.load.messages);
    keeper_history.list(durable->kept, bytes_of(NULL, 0), bring, &bringing);
    if (bringing.kept) {
        keep_what_it_gets(durable, bringing.kept);
        durable_look_how_far_it_is(durable);
    } else
        durable_let_go_of_kept(durable);
    return true;
}

void
durables_came_over(conn_t *conn)
{
    durable_t *durable = conn->durable;
    if (!durable || !durable->kept)
        return;
    durable_is_back(durable);
    has_caught_up(durable);
}

// What is on its way to them goes over with their connections.
void
durables_hand_over(durables_t *self)
{
    for (uint32_t i = 0; i < self->room; i++)
        if (self->at[i] && self->at[i]->conn && self->at[i]->kept)
            has_caught_up(self->at[i]);
}

void
durables_gets_more(conn_t *conn)
{
    if (conn->durable && conn->durable->kept)
        has_caught_up(conn->durable);
}

// --- come back ---------------------------------------------------------------------------

static void
take_all(durable_t *self, spans_t *spans)
{
    wire_t *wire = self->all->port->wire;
    kept_t kept = { .since_ms = wire->now_ms };
    load_t load;
    size_t at;
    while (spans_take(spans, &wire->pool, &kept.chunk, &at, &kept.size, &load)) {
        kept.data = kept.chunk->data + at;
        kept.payload = load.payload;
        kept.stored = false;
        if (load.messages > 0) {
            durable_note_kept(self, &kept);
            durable_put(self, &kept);
        }
        chunk_drop(kept.chunk);
    }
}

// It was kept until it was sent: that is the end of it.
static bool
has_all_of(durable_t *self, const spans_t *spans)
{
    uint64_t kept = durable_total(self).messages;
    if (kept < spans->load.messages)
        return false;
    if (kept > spans->load.messages)
        durable_let_go_of_first(self, kept - spans->load.messages);
    return true;
}

void
durables_take(durable_t *self, spans_t *spans)
{
    bool was_kept = durable_total(self).messages > 0;
    if (was_kept && !has_all_of(self, spans)) {
        while (keeper_history.forget(self->kept))
            self->behind = self->noted;
        was_kept = false;
    }
    if (!was_kept)
        take_all(self, spans);
    spans_clear(spans);
}
