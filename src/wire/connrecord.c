// SPDX-License-Identifier: MPL-2.0
#include "wire/connrecord.h"

#include "base/mem.h"
#include "wire/conn.h"
#include "wire/connect.h"
#include "wire/fan.h"
#include "wire/input.h"
#include "zmtp/peertype.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// Never used for anything else again. Below 100: the numbers of the table.
enum {
    TAG_COLLECTED = 10, // bytes of the input
    TAG_FD = 100,
    TAG_INODE,
    TAG_REASON,
    TAG_URGENT,
    TAG_ROUTING_ID,
    TAG_KEY,
    TAG_CURVE,
    TAG_HANDSHAKE,
    TAG_INPUT,
    TAG_STAGE,
    TAG_SPAN,
    TAG_SPAN_OURS,
    TAG_WRITTEN,
    TAG_TOPIC,
    TAG_ENDPOINT,
    TAG_PEER_NAME = 120,
    TAG_HOST,
    TAG_USER,
    TAG_SAID_ID,
    TAG_SAID_DURABLE,
};

enum { TEXT_MOST = 255 };

// --- numbers -------------------------------------------------------------------------

typedef struct {
    unsigned tag;
    size_t at, size;
    uint64_t most;
} number_row_t;

#define NUMBER(tag, name, most)                                                                                        \
    {                                                                                                                  \
        tag, offsetof(conn_t, name), sizeof((conn_t *)0)->name, most                                                   \
    }
#define ANY UINT64_MAX

static const number_row_t numbers[] = {
    NUMBER(1, id, ANY),
    NUMBER(2, state, CONN_OPEN),
    NUMBER(3, outgoing, 1),
    NUMBER(4, input_over, 1),
    NUMBER(5, output_over, 1),
    NUMBER(6, left, 1),
    NUMBER(7, shown, 1),
    NUMBER(8, answers_pings, 1),
    NUMBER(9, half_closed, 1),
    NUMBER(TAG_COLLECTED, scan, ANY),
    NUMBER(11, hint, UINT32_MAX),
    NUMBER(12, out.sent, ANY),
    NUMBER(13, out.begun, 1),
    NUMBER(14, stage_at, ANY),
    NUMBER(15, stage_spans, ANY),
    NUMBER(16, urgent_sent, URGENT_MAX),
    NUMBER(17, major, 3),
    NUMBER(18, minor, 1),
    NUMBER(19, type, UINT32_MAX),
    NUMBER(20, slot, UINT32_MAX),
    NUMBER(21, unanswered, INT64_MAX),
    NUMBER(22, proof, ANY),
    NUMBER(23, said_quota, 1),
    NUMBER(24, denials, UINT32_MAX),
    NUMBER(25, slow_said_ms, INT64_MAX),
    NUMBER(26, since_wall_ns, INT64_MAX),
    NUMBER(27, deadline_ms, INT64_MAX),
    NUMBER(28, moved_ms, INT64_MAX),
    NUMBER(29, heard_ms, INT64_MAX),
    NUMBER(30, fed_ms, INT64_MAX),
    NUMBER(31, ping_ms, INT64_MAX),
    NUMBER(32, pinged_ms, INT64_MAX),
    NUMBER(33, asked_ms, INT64_MAX),
    NUMBER(34, asks_every_ms, INT64_MAX),
    NUMBER(35, silence_ms, INT64_MAX),
    NUMBER(36, flood_ms, INT64_MAX),
    NUMBER(37, flood_at, ANY),
    NUMBER(38, flood, UINT32_MAX),
    NUMBER(39, messages_received, ANY),
    NUMBER(40, messages_sent, ANY),
    NUMBER(41, received_bytes, ANY),
    NUMBER(42, sent_bytes, ANY),
    NUMBER(43, dropped, ANY),
    NUMBER(44, since_ms, INT64_MAX),
    NUMBER(45, beyond.messages, ANY),
    NUMBER(46, beyond.bytes, ANY),
    NUMBER(60, in_hand, 1),
};

static uint64_t
get_number(const void *at, size_t size)
{
    switch (size) {
    case 1:
        return *(const uint8_t *)at;
    case 4:
        return *(const uint32_t *)at;
    default:
        return *(const uint64_t *)at;
    }
}

static void
set_number(void *at, size_t size, uint64_t number)
{
    switch (size) {
    case 1:
        *(uint8_t *)at = (uint8_t)number;
        break;
    case 4:
        *(uint32_t *)at = (uint32_t)number;
        break;
    default:
        *(uint64_t *)at = number;
    }
}

static bool
restore_number(conn_t *self, const number_row_t *row, const record_field_t *field)
{
    uint64_t number;
    if (!record_to_number(field, row->most, &number))
        return false;
    set_number((char *)self + row->at, row->size, number);
    return true;
}

// --- texts ---------------------------------------------------------------------------

typedef struct {
    unsigned tag;
    size_t at;
} text_row_t;

static const text_row_t texts[] = {
    { TAG_PEER_NAME, offsetof(conn_t, peer_name) },
    { TAG_HOST, offsetof(conn_t, host) },
    { TAG_USER, offsetof(conn_t, user) },
    { TAG_SAID_ID, offsetof(conn_t, said_id) },
};

static char **
text_at(const conn_t *self, const text_row_t *row)
{
    return (char **)((char *)self + row->at);
}

static bool
restore_text(conn_t *self, const text_row_t *row, const record_field_t *field)
{
    char **text = text_at(self, row);
    free(*text);
    *text = record_to_text(field, TEXT_MOST);
    return *text;
}

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

static bool
restore_routing_id(conn_t *self, const record_field_t *field)
{
    if (self->routing_id || field->size == 0 || field->size > UINT8_MAX)
        return false;
    self->routing_id = xcalloc(1, field->size);
    self->routing_id_size = (uint8_t)field->size;
    memcpy(self->routing_id, field->at, field->size);
    return true;
}

static bool
restore_said_durable(conn_t *self, const record_field_t *field)
{
    if (self->said_durable || field->size == 0 || field->size > UINT8_MAX)
        return false;
    self->said_durable = xcalloc(1, field->size);
    self->said_durable_size = (uint8_t)field->size;
    memcpy(self->said_durable, field->at, field->size);
    return true;
}

static bool
restore_key(conn_t *self, const record_field_t *field)
{
    if (self->key || field->size != CURVE_KEY)
        return false;
    self->key = xcalloc(1, CURVE_KEY);
    memcpy(self->key, field->at, CURVE_KEY);
    return true;
}

static bool
restore_curve(conn_t *self, const record_field_t *field)
{
    if (self->curve || field->size != sizeof *self->curve)
        return false;
    self->curve = xcalloc(1, sizeof *self->curve);
    memcpy(self->curve, field->at, sizeof *self->curve);
    return true;
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

static void
save_identity(const conn_t *self, record_t *to)
{
    if (self->routing_id_size > 0)
        record_bytes(to, TAG_ROUTING_ID, self->routing_id, self->routing_id_size);
    if (self->said_durable_size > 0)
        record_bytes(to, TAG_SAID_DURABLE, self->said_durable, self->said_durable_size);
    if (self->key)
        record_bytes(to, TAG_KEY, self->key, CURVE_KEY);
    if (self->curve)
        record_bytes(to, TAG_CURVE, self->curve, sizeof *self->curve);
    record_text(to, TAG_REASON, self->reason);
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
    { TAG_REASON, restore_reason },  { TAG_URGENT, restore_urgent },   { TAG_ROUTING_ID, restore_routing_id },
    { TAG_KEY, restore_key },        { TAG_CURVE, restore_curve },     { TAG_HANDSHAKE, restore_handshake },
    { TAG_INPUT, restore_input },    { TAG_STAGE, restore_stage },     { TAG_SPAN, restore_span },
    { TAG_SPAN_OURS, restore_span }, { TAG_WRITTEN, restore_written }, { TAG_SAID_DURABLE, restore_said_durable },
};

void
connrecord_save(const conn_t *self, record_t *to)
{
    save_fd(self, to);
    for (const number_row_t *row = numbers; row < numbers + COUNT(numbers); row++)
        if (row->tag != TAG_COLLECTED)
            record_number(to, row->tag, get_number((const char *)self + row->at, row->size));
    record_number(to, TAG_COLLECTED, self->in ? self->scan - self->start : 0);
    for (const text_row_t *row = texts; row < texts + COUNT(texts); row++)
        record_text(to, row->tag, *text_at(self, row));
    save_identity(self, to);
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
    for (const number_row_t *row = numbers; row < numbers + COUNT(numbers); row++)
        if (row->tag == field->tag)
            return restore_number(self, row, field);
    for (const text_row_t *row = texts; row < texts + COUNT(texts); row++)
        if (row->tag == field->tag)
            return restore_text(self, row, field);
    for (const part_row_t *row = parts; row < parts + COUNT(parts); row++)
        if (row->tag == field->tag)
            return row->restore(self, field);
    return true; // of another version
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
    self->hung_up = self->input_over || self->output_over;
    self->readable = fd != -1;
    self->writable = fd != -1 && !self->output_over;
    self->as_it_comes = self->state == CONN_OPEN && self->major >= 2 && !self->curve;
    return self;
}
