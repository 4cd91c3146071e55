// SPDX-License-Identifier: MPL-2.0
#include "wire/archive.h"

#include "base/clock.h"
#include "base/mem.h"
#include "store/store.h"
#include "wire/accept.h"
#include "wire/archivelog.h"
#include "wire/durable.h"
#include "wire/publish.h"
#include "wire/remember.h"
#include "wire/storage.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum {
    START_MS = 3000, // for the disk, before subscribers are let in
    TURN_MS = 50,
    WORTH_IT = 2,         // so many times what is kept may be in the store,
    WORTH_IT_FROM = 4096, // and so many messages more
    AGAIN_MOST = 1000,    // messages that are written once more in a turn
};

typedef struct archive archive_t;

typedef struct {
    watched_t watched; // first
    archive_t *archive;
} archive_news_t;

struct archive {
    archivelog_t log; // first: what the route knows of it
    store_figures_t told;
    archive_news_t news[STORE_FDS];
    bool begun;
    bool late;    // the route runs already, and waits for that
    kept_t *held; // notes that are read together; their chunks are held
    size_t held_count, held_room;
    bool holding;
    uint64_t since; // sequence from which on what is needed is in the store
    // What leaves in another order than it came is all there from this sequence on,
    uint64_t whole_from;
    uint64_t again_from, again_end; // and from that one when END is on the disk. 0: not begun, not written to its end
};

static archive_t *
archive_of(const wire_t *wire) // NULL: it has none
{
    return (archive_t *)wire->archive;
}

static bool
has_keepers(const wport_t *port)
{
    return port->remembered || port->durables;
}

// --- what is not needed any more -----------------------------------------------------

static void
done_before(archive_t *self, uint64_t sequence)
{
    for (; self->since < sequence; self->since++)
        store_done(self->log.store, self->since);
}

// Is there anything that does not leave in the order in which it came?
static bool
is_mixed(const wport_t *port)
{
    return (port->remembered && remember_is_mixed(port->remembered)) ||
           (port->durables && durables_known(port->durables) > 0);
}

static uint64_t
needed(const wport_t *port)
{
    uint64_t remembered = port->remembered ? remember_total(port->remembered).messages : 0;
    return remembered + (port->durables ? durables_needed(port->durables) : 0);
}

// A turn of it. The old is done when the new is on the disk.
static void
write_again(archive_t *self)
{
    wport_t *port = &self->log.wire->ports[SIDE_BACKEND];
    if (self->again_end == 0) {
        bool all = !port->remembered || remember_write_some(port->remembered, AGAIN_MOST);
        all = all && (!port->durables || durables_write_some(port->durables));
        self->again_end = all ? store_next_sequence(self->log.store) : 0;
    } else if (store_committed(self->log.store) >= self->again_end) {
        self->whole_from = self->again_from;
        self->again_from = self->again_end = 0;
    }
}

static void
begin_again(archive_t *self)
{
    wport_t *port = &self->log.wire->ports[SIDE_BACKEND];
    self->again_from = store_next_sequence(self->log.store);
    self->again_end = 0;
    if (port->remembered)
        remember_rewind(port->remembered);
    if (port->durables)
        durables_rewind(port->durables);
}

static void
forget(archive_t *self)
{
    const wport_t *port = &self->log.wire->ports[SIDE_BACKEND];
    uint64_t next = store_next_sequence(self->log.store), oldest = next;
    if (self->again_from > 0)
        write_again(self);
    if (!is_mixed(port) && self->again_from == 0)
        self->whole_from = next;
    if (port->remembered && !remember_is_mixed(port->remembered))
        oldest = remember_oldest(port->remembered);
    oldest = oldest < self->whole_from ? oldest : self->whole_from;
    done_before(self, oldest < next ? oldest : next);
    if (self->again_from == 0 && self->whole_from == oldest &&
        next - self->since > WORTH_IT * needed(port) + WORTH_IT_FROM)
        begin_again(self);
}

// --- reading ---------------------------------------------------------------------------

static void
drop_held(archive_t *self)
{
    for (size_t i = 0; i < self->held_count; i++)
        chunk_drop(self->held[i].chunk);
    self->held_count = 0;
    self->holding = false;
}

static void
read_note(const archive_t *self, const kept_t *kept)
{
    static const struct {
        archive_note_t note;
        void (*read)(wport_t *port, record_fields_t from);
    } readers[] = { { NOTE_REMEMBERED, remember_read },
                    { NOTE_CLEARED, remember_read_cleared },
                    { NOTE_DURABLE, durables_read } };
    record_field_t field;
    record_fields_t from = { kept->topic.at, kept->topic.size };
    for (size_t i = 0; i < COUNT(readers); i++)
        if (record_find(from, readers[i].note, &field))
            readers[i].read(&self->log.wire->ports[SIDE_BACKEND], record_inside(&field));
}

static void
hold(archive_t *self, const kept_t *note)
{
    mem_grow(self->held, self->held_count, self->held_room);
    self->held[self->held_count++] = *note;
    chunk_hold(note->chunk);
}

static void
take_note(archive_t *self, const kept_t *note)
{
    record_field_t field;
    record_fields_t from = { note->topic.at, note->topic.size };
    if (record_find(from, NOTE_OPEN, &field)) {
        drop_held(self);
        self->holding = true;
    } else if (record_find(from, NOTE_CLOSE, &field)) {
        for (size_t i = 0; i < self->held_count; i++)
            read_note(self, &self->held[i]);
        drop_held(self);
    } else if (self->holding)
        hold(self, note);
    else
        read_note(self, note);
}

// Notes that are read together have no message among them: what is before it was not finished.
static void
take_message(archive_t *self, const kept_t *message)
{
    wport_t *port = &self->log.wire->ports[SIDE_BACKEND];
    drop_held(self);
    if (port->durables)
        publish_again(port, message);
    if (port->remembered)
        remember_again(port->remembered, message);
}

static void
take(archive_t *self, const store_message_t *message, int64_t now_ns)
{
    frame_head_t head;
    int64_t age_ms = (now_ns - message->wall_ns) / 1000000;
    chunk_t *chunk = message->block;
    const kept_t kept = { .chunk = chunk,
                          .data = message->data,
                          .size = message->size,
                          .payload = message->payload,
                          .since_ms = self->log.wire->now_ms - (age_ms > 0 ? age_ms : 0),
                          .topic = kept_first(message->data, message->size),
                          .sequence = message->sequence & KEPT_SEQUENCE_MOST,
                          .stored = true };
    if (frame_read(message->data, message->size, &head) != 1 || message->size - head.head < head.body)
        return;
    if (head.flags & FRAME_COMMAND)
        take_note(self, &kept);
    else
        take_message(self, &kept);
}

static void
take_again(archive_t *self)
{
    store_message_t message;
    wport_t *port = &self->log.wire->ports[SIDE_BACKEND];
    int64_t now_ns = clock_wall_ns();
    while (store_next(self->log.store, &message)) {
        if (!self->log.ready) // what was put since is kept already
            take(self, &message, now_ns);
        if (self->since == 0)
            self->since = self->whole_from = message.sequence;
        store_pass(self->log.store);
    }
    if (self->log.ready || !store_is_passed(self->log.store))
        return;
    drop_held(self);
    self->log.ready = true;
    if (self->since == 0)
        self->since = self->whole_from = store_next_sequence(self->log.store);
    if (port->durables)
        durables_are_read(port->durables);
    if (self->late)
        accept_at_all(self->log.wire);
}

static void
hear(watched_t *watched, uint32_t events)
{
    archive_t *self = ((archive_news_t *)watched)->archive;
    (void)events;
    store_hear(self->log.store);
    take_again(self);
    if (self->log.ready)
        forget(self);
    store_turn(self->log.store);
    storage_tell(self->log.wire, self->log.store, &self->told);
}

// --- life ------------------------------------------------------------------------------

int
archive_open(wire_t *wire, diag_t *diag)
{
    store_conf_t conf = storage_conf(wire);
    if (wire->conf->store == KEEP_NOTHING || route_conf_is_shared(wire->conf) ||
        !has_keepers(&wire->ports[SIDE_BACKEND]))
        return 0;
    store_t *store = store_open(wire->name, &conf, diag, wire->conf->place);
    if (!store)
        return -1;
    archive_t *self = xcalloc(1, sizeof *self);
    self->log.wire = wire;
    self->log.store = store;
    self->told.state = STORE_OPENING;
    wire->archive = &self->log;
    return 0;
}

// Subscribers would miss what is not read yet, so they are let in when it is, if that does not take long.
void
archive_begin(wire_t *wire)
{
    archive_t *self = archive_of(wire);
    int64_t end = clock_mono_ms() + START_MS;
    if (!self)
        return;
    if (wire->ports[SIDE_BACKEND].durables)
        durables_begin_reading(wire->ports[SIDE_BACKEND].durables);
    const store_memory_t memory = storage_memory(wire);
    store_begin(self->log.store, &memory);
    for (unsigned i = 0; i < STORE_FDS; i++) {
        self->news[i] = (archive_news_t){ { hear }, self };
        loop_watch(&wire->loop, store_fd(self->log.store, i), EPOLLIN, &self->news[i].watched);
    }
    self->begun = true;
    while (!self->log.ready && clock_mono_ms() < end) {
        poll(&(struct pollfd){ store_fd(self->log.store, 0), POLLIN, 0 }, 1, TURN_MS);
        hear(&self->news[0].watched, 0);
    }
}

// A subscriber that is known has to be known before it comes; all others miss only what is old.
bool
archive_is_read(const wire_t *wire)
{
    archive_t *self = archive_of(wire);
    if (!self || self->log.ready || !wire->ports[SIDE_BACKEND].durables)
        return true;
    self->late = true;
    return false;
}

bool
archive_has_any(const wire_t *wire)
{
    return wire->archive && needed(&wire->ports[SIDE_BACKEND]) > 0;
}

void
archive_write(wire_t *wire)
{
    archive_t *self = archive_of(wire);
    const wport_t *port = &wire->ports[SIDE_BACKEND];
    if (!archivelog_is_ready(wire))
        return;
    begin_again(self);
    if (port->remembered)
        remember_write_ordered(port->remembered);
    write_again(self);
    store_turn(wire->archive->store);
}

void
archive_configure(wire_t *wire)
{
    store_conf_t conf = storage_conf(wire);
    if (wire->archive)
        store_change(wire->archive->store, &conf);
}

uint64_t
archive_close(wire_t *wire, int64_t wait_ms)
{
    archive_t *self = archive_of(wire);
    if (!self)
        return 0;
    if (self->begun)
        for (unsigned i = 0; i < STORE_FDS; i++)
            loop_forget(&wire->loop, store_fd(self->log.store, i), &self->news[i].watched);
    drop_held(self);
    free(self->held);
    uint64_t next = store_next_sequence(self->log.store), lost = store_close(&self->log.store, wait_ms);
    free(self);
    wire->archive = NULL;
    return lost < next ? next - lost : 0;
}
