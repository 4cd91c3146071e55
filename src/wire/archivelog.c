// SPDX-License-Identifier: MPL-2.0
#include "wire/archivelog.h"

#include "base/clock.h"

enum {
    WAITING_MOST = 16 * 1024 * 1024, // bytes on their way to the disk,
    WAITING_PART = 16,               // and what part of store_max
};

int64_t
archivelog_shift_ms(void)
{
    return clock_wall_ns() / 1000000 - clock_mono_ms();
}

uint64_t
archivelog_next(const wire_t *self)
{
    return store_next_sequence(self->archive->store);
}

bool
archivelog_is_ready(const wire_t *self)
{
    return self->archive && self->archive->ready;
}

// What waits for the disk in memory may be more than a commit, for a moment.
static bool
may_wait(archivelog_t *self)
{
    uint64_t part = (uint64_t)self->wire->conf->store_max / WAITING_PART;
    if (store_committed(self->store) >= self->mark.sequence) {
        self->passed_bytes = self->mark.bytes;
        self->mark.sequence = store_next_sequence(self->store);
        self->mark.bytes = self->put_bytes;
    }
    return self->put_bytes - self->passed_bytes < (part < WAITING_MOST ? part : WAITING_MOST);
}

static bool
put(archivelog_t *self, store_put_in_t *in, kept_t *kept)
{
    uint64_t sequence = store_next_sequence(self->store);
    in->must |= may_wait(self);
    bool taken = self->ready && store_put(self->store, in, &sequence) == STORE_TAKEN;
    self->put_bytes += taken ? in->size : 0;
    if (kept) {
        kept->sequence = sequence & KEPT_SEQUENCE_MOST;
        kept->stored = taken;
    }
    if (taken)
        store_turn(self->store);
    return taken;
}

static kept_t
as_kept(const wire_t *wire, const piece_t *piece)
{
    const uint8_t *data = piece->chunk->data + piece->at;
    return (kept_t){ .chunk = piece->chunk,
                     .data = data,
                     .size = piece->size,
                     .payload = piece->load.payload,
                     .since_ms = wire->now_ms,
                     .topic = kept_first(data, piece->size) };
}

kept_t
archivelog_kept(const wire_t *self, const piece_t *piece)
{
    kept_t kept = as_kept(self, piece);
    store_put_in_t in = { .data = kept.data, .size = kept.size, .payload = kept.payload };
    if (self->archive)
        put(self->archive, &in, &kept);
    return kept;
}

// A frame of a command: a field of that name, with the fields in it.
bool
archivelog_note(const wire_t *self, archive_note_t note, record_t *fields, bool must, kept_t *kept)
{
    record_t frame = { 0 };
    uint8_t head[FRAME_LARGE_HEAD] = { FRAME_COMMAND | FRAME_LARGE };
    record_add(&frame, head, sizeof head);
    if (archivelog_is_ready(self))
        record_bytes(&frame, note, fields ? fields->data : NULL, fields ? fields->size : 0);
    frame_put64(frame.data + 1, frame.size - sizeof head);
    store_put_in_t in = { .data = frame.data, .size = frame.size, .payload = frame.size, .must = must };
    bool taken = archivelog_is_ready(self) && put(self->archive, &in, kept);
    record_forget(&frame);
    if (fields)
        record_forget(fields);
    return taken;
}
