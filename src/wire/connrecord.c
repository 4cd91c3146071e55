// SPDX-License-Identifier: MPL-2.0
#include "wire/connrecord.h"

#include "base/mem.h"
#include "net/tcp.h"
#include "wire/conn.h"
#include "wire/connect.h"
#include "wire/connfields.h"
#include "wire/fan.h"
#include "wire/input.h"
#include "zmtp/peertype.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// Never used for anything else again. Others are those of connfields.c.
enum {
    TAG_COLLECTED = 10, // bytes of the input
    TAG_FD = 100,
    TAG_INODE,
    TAG_REASON,
    TAG_URGENT,
    TAG_HANDSHAKE = 107,
    TAG_INPUT,
    TAG_STAGE,
    TAG_SPAN,
    TAG_SPAN_OURS,
    TAG_WRITTEN,
    TAG_TOPIC,
    TAG_ENDPOINT,
};

// --- what comes in -------------------------------------------------------------------

// The gap between what was collected and what is still raw is left out.
static void
save_input(const conn_t *self, record_t *to)
{
    if (!self->in)
        return;
    size_t collected = self->scan - self->start, rest = self->in->size - self->raw;
    uint8_t *at = record_place(to, TAG_INPUT, collected + rest);
    memcpy(at, self->in->data + self->start, collected);
    memcpy(at + collected, self->in->data + self->raw, rest);
}

static bool
restore_input(conn_t *self, const record_field_t *field)
{
    if (self->in)
        return false;
    self->in = chunk_new(conn_pool(self), field->size);
    memcpy(self->in->data, field->at, field->size);
    self->in->size = field->size;
    return true;
}

static bool
restore_collected(conn_t *self, const record_field_t *field)
{
    uint64_t scan;
    bool is_number = record_to_number(field, SIZE_MAX, &scan);
    if (is_number)
        self->scan = scan;
    return is_number;
}

// Parts, payload and whether it is whole follow from the frames themselves.
static bool
is_collected(conn_t *self)
{
    size_t at = 0;
    while (at < self->scan) {
        frame_head_t head;
        if (self->whole || frame_read(self->in->data + at, self->scan - at, &head) != 1 || head.flags & FRAME_COMMAND ||
            self->scan - at - head.head < head.body)
            return false;
        at += head.head + head.body;
        self->payload += head.body;
        self->parts += head.flags & FRAME_MORE;
        self->whole = !(head.flags & FRAME_MORE);
    }
    return true;
}

static bool
check_input(conn_t *self)
{
    if (self->scan > (self->in ? self->in->size : 0))
        return false;
    self->raw = self->scan;
    return self->state == CONN_OPEN ? is_collected(self) : self->scan == 0;
}

// --- what goes out -------------------------------------------------------------------

static bool
restore_span(conn_t *self, const record_field_t *field)
{
    return spans_restore(&self->out, conn_pool(self), field->at, field->size, field->tag == TAG_SPAN_OURS);
}

static void
save_output(const conn_t *self, record_t *to)
{
    for (uint32_t i = 0; i < self->out.count; i++) {
        const span_t *span = spans_at(&self->out, i);
        uint8_t *at = record_place(to, span->ours ? TAG_SPAN_OURS : TAG_SPAN, spans_saved_size(&self->out, i));
        spans_save(&self->out, i, at);
    }
    if (self->stage)
        record_bytes(to, TAG_STAGE, self->stage->data, self->stage->size);
    record_bytes(to, TAG_URGENT, self->urgent, self->urgent_size);
    if (self->written)
        record_bytes(to, TAG_WRITTEN, self->written->marks, self->written->count * sizeof *self->written->marks);
}

static bool
restore_stage(conn_t *self, const record_field_t *field)
{
    if (self->stage || field->size == 0)
        return false;
    self->stage = chunk_new(conn_pool(self), field->size);
    memcpy(self->stage->data, field->at, field->size);
    self->stage->size = field->size;
    return true;
}

static bool
restore_urgent(conn_t *self, const record_field_t *field)
{
    frame_head_t head;
    if (field->size > URGENT_MAX)
        return false;
    memcpy(self->urgent, field->at, field->size);
    self->urgent_size = (uint8_t)field->size;
    return field->size == 0 || (frame_read(field->at, field->size, &head) == 1 && head.head + head.body == field->size);
}

static bool
restore_written(conn_t *self, const record_field_t *field)
{
    size_t count = field->size / sizeof(written_mark_t);
    if (self->written || field->size % sizeof(written_mark_t) != 0 || count > WRITTEN_MARKS)
        return false;
    self->written = xcalloc(1, sizeof *self->written);
    memcpy(self->written->marks, field->at, field->size);
    self->written->count = (unsigned)count;
    return true;
}

static bool
check_output(const conn_t *self)
{
    const spans_t *out = &self->out;
    bool begun_well = out->count > 0 ? out->sent < spans_at(out, 0)->size : !spans_inside(out);
    bool staged_well = self->stage ? self->stage_at < self->stage->size && self->stage_spans <= out->bytes
                                   : self->stage_at == 0 && self->stage_spans == 0;
    return begun_well && staged_well && self->beyond.messages <= out->load.messages &&
           self->beyond.bytes <= out->bytes &&
           (self->urgent_size ? self->urgent_sent < self->urgent_size : self->urgent_sent == 0);
}

// --- who it is -----------------------------------------------------------------------

static bool
restore_reason(conn_t *self, const record_field_t *field)
{
    char *text = record_to_text(field, sizeof self->reason - 1);
    if (text)
        strcpy(self->reason, text);
    free(text);
    return text;
}

static void
save_handshake(const conn_t *self, record_t *to)
{
    if (self->handshake)
        handshake_save(self->handshake, record_place(to, TAG_HANDSHAKE, handshake_saved_size(self->handshake)));
}

static bool
restore_handshake(conn_t *self, const record_field_t *field)
{
    if (!self->handshake)
        self->handshake = handshake_restore(&self->port->greeting, field->at, field->size);
    return self->handshake;
}

static bool
check_identity(const conn_t *self)
{
    bool is_open = self->state == CONN_OPEN, is_sealed = self->port->greeting.mechanism == HANDSHAKE_CURVE;
    bool known_type = self->type == -1 || peertype_at(self->type);
    return self->peer_name && self->host && known_type && is_open == !self->handshake &&
           (self->curve != NULL) == (is_open && is_sealed) &&
           (self->major > 0 && (self->major == 3 || self->minor == 0));
}

// --- its descriptor ------------------------------------------------------------------

static bool
is_socket(int fd, uint64_t inode)
{
    struct stat status;
    return fstat(fd, &status) == 0 && S_ISSOCK(status.st_mode) && (uint64_t)status.st_ino == inode;
}

static void
save_fd(const conn_t *self, record_t *to)
{
    struct stat status;
    if (self->fd == -1 || fstat(self->fd, &status) == -1)
        return;
    record_number(to, TAG_FD, (uint64_t)self->fd);
    record_number(to, TAG_INODE, (uint64_t)status.st_ino);
}

int
connrecord_fd(record_fields_t from)
{
    record_field_t field;
    uint64_t fd, inode;
    if (!record_find(from, TAG_FD, &field) || !record_to_number(&field, INT32_MAX, &fd) ||
        !record_find(from, TAG_INODE, &field) || !record_to_number(&field, UINT64_MAX, &inode) ||
        !is_socket((int)fd, inode))
        return -1;
    return (int)fd;
}

// --- where it belongs ------------------------------------------------------------------

static void
save_topic(void *arg, const void *topic, size_t size)
{
    record_bytes(arg, TAG_TOPIC, topic, size);
}

void
connrecord_topics(conn_t *conn, record_fields_t from, connrecord_topic_fn *fn)
{
    record_field_t field;
    while (record_next(&from, &field))
        if (field.tag == TAG_TOPIC)
            fn(conn, field.at, field.size);
}

static const char *
endpoint_of(const conn_t *self)
{
    const listeners_t *listeners = &self->wire->base.listeners;
    if (self->outgoing)
        return self->dialled ? dial_endpoint(self->dialled->dial) : NULL;
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->at[i] == self->listener)
            return listener_wanted(self->listener);
    return NULL;
}

char *
connrecord_endpoint(record_fields_t from)
{
    record_field_t field;
    return record_find(from, TAG_ENDPOINT, &field) ? record_to_text(&field, 4096) : NULL;
}

// --- all -------------------------------------------------------------------------------

typedef struct {
    unsigned tag;
    bool (*restore)(conn_t *self, const record_field_t *field);
} part_row_t;

static const part_row_t parts[] = {
    { TAG_REASON, restore_reason },       { TAG_URGENT, restore_urgent },  { TAG_HANDSHAKE, restore_handshake },
    { TAG_COLLECTED, restore_collected }, { TAG_INPUT, restore_input },    { TAG_STAGE, restore_stage },
    { TAG_SPAN, restore_span },           { TAG_SPAN_OURS, restore_span }, { TAG_WRITTEN, restore_written },
};

void
connrecord_save(const conn_t *self, record_t *to)
{
    save_fd(self, to);
    connfields_save(self, to);
    record_number(to, TAG_COLLECTED, self->in ? self->scan - self->start : 0);
    record_text(to, TAG_REASON, self->reason);
    save_handshake(self, to);
    save_input(self, to);
    save_output(self, to);
    record_text(to, TAG_ENDPOINT, endpoint_of(self));
    if (self->state == CONN_OPEN)
        fan_topics_each(self, save_topic, to);
}

static bool
restore_field(conn_t *self, const record_field_t *field)
{
    for (const part_row_t *row = parts; row < parts + COUNT(parts); row++)
        if (row->tag == field->tag)
            return row->restore(self, field);
    return connfields_restore(self, field);
}

static bool
restore_fields(conn_t *self, record_fields_t from)
{
    record_field_t field;
    while (record_next(&from, &field))
        if (!restore_field(self, &field))
            return false;
    return from.left == 0 && check_identity(self) && check_input(self) && check_output(self) &&
           (self->left ? self->fd == -1 && self->state == CONN_OPEN : self->fd != -1);
}

// The route may have other options now.
static void
tune(const conn_t *self)
{
    tcp_options_t options;
    if (self->fd == -1 || self->ipc)
        return;
    tcp_options(&options, self->port->conf);
    tcp_tune_again(self->fd, &options);
}

conn_t *
connrecord_restore(wport_t *port, record_fields_t from, int fd)
{
    conn_t *self = conn_blank(port);
    self->fd = fd;
    if (!restore_fields(self, from)) {
        conn_scrap(self);
        return NULL;
    }
    self->ipc = !*self->host;
    tune(self);
    self->hung_up |= self->input_over || self->output_over;
    self->readable = fd != -1;
    self->writable = fd != -1 && !self->output_over;
    self->as_it_comes = self->state == CONN_OPEN && self->major >= 2 && !self->curve;
    return self;
}
