// SPDX-License-Identifier: MPL-2.0
#include "wire/connfields.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

// Never used for anything else again, as are the numbers of the first table.
enum {
    TAG_ROUTING_ID = 104,
    TAG_KEY,
    TAG_CURVE,
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
    NUMBER(39, messages_received, ANY),
    NUMBER(40, messages_sent, ANY),
    NUMBER(41, received_bytes, ANY),
    NUMBER(42, sent_bytes, ANY),
    NUMBER(43, dropped, ANY),
    NUMBER(44, since_ms, INT64_MAX),
    NUMBER(45, beyond.messages, ANY),
    NUMBER(46, beyond.bytes, ANY),
    NUMBER(47, pings_spent_ms, INT64_MAX),
    NUMBER(60, in_hand, 1),
    NUMBER(61, probed, 1),
    NUMBER(62, hung_up, 1),
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

// --- bytes ---------------------------------------------------------------------------

typedef struct {
    unsigned tag;
    size_t at;      // a pointer to them; NULL: there are none
    size_t size_at; // a number of one byte; 0: there are always as many as
    size_t size;
} bytes_row_t;

static const bytes_row_t strings[] = {
    { TAG_ROUTING_ID, offsetof(conn_t, routing_id), offsetof(conn_t, routing_id_size), 0 },
    { TAG_SAID_DURABLE, offsetof(conn_t, said_durable), offsetof(conn_t, said_durable_size), 0 },
    { TAG_KEY, offsetof(conn_t, key), 0, CURVE_KEY },
    { TAG_CURVE, offsetof(conn_t, curve), 0, sizeof(curve_session_t) },
};

static void *
bytes_at(const conn_t *self, const bytes_row_t *row)
{
    void *bytes;
    memcpy(&bytes, (const char *)self + row->at, sizeof bytes);
    return bytes;
}

static void
save_bytes(const conn_t *self, const bytes_row_t *row, record_t *to)
{
    const void *bytes = bytes_at(self, row);
    size_t size = row->size_at ? ((const uint8_t *)self)[row->size_at] : row->size;
    if (bytes && size > 0)
        record_bytes(to, row->tag, bytes, size);
}

static bool
restore_bytes(conn_t *self, const bytes_row_t *row, const record_field_t *field)
{
    bool fits = row->size_at ? field->size > 0 && field->size <= UINT8_MAX : field->size == row->size;
    if (!fits || bytes_at(self, row))
        return false;
    void *bytes = memcpy(xcalloc(1, field->size), field->at, field->size);
    memcpy((char *)self + row->at, &bytes, sizeof bytes);
    if (row->size_at)
        ((uint8_t *)self)[row->size_at] = (uint8_t)field->size;
    return true;
}

// --- all -------------------------------------------------------------------------------

void
connfields_save(const conn_t *self, record_t *to)
{
    for (const number_row_t *row = numbers; row < numbers + COUNT(numbers); row++)
        record_number(to, row->tag, get_number((const char *)self + row->at, row->size));
    for (const text_row_t *row = texts; row < texts + COUNT(texts); row++)
        record_text(to, row->tag, *text_at(self, row));
    for (const bytes_row_t *row = strings; row < strings + COUNT(strings); row++)
        save_bytes(self, row, to);
}

bool
connfields_restore(conn_t *self, const record_field_t *field)
{
    for (const number_row_t *row = numbers; row < numbers + COUNT(numbers); row++)
        if (row->tag == field->tag)
            return restore_number(self, row, field);
    for (const text_row_t *row = texts; row < texts + COUNT(texts); row++)
        if (row->tag == field->tag)
            return restore_text(self, row, field);
    for (const bytes_row_t *row = strings; row < strings + COUNT(strings); row++)
        if (row->tag == field->tag)
            return restore_bytes(self, row, field);
    return true; // of another version
}
