// SPDX-License-Identifier: MPL-2.0
// keptrecord.c - see keptrecord.h.

#include "wire/keptrecord.h"

#include <string.h>

#define TIME_MOST (INT64_MAX / 2) // ms: no sum of two overflows

void
keptrecord_write(record_t *to, const kept_t *kept, int64_t shift_ms)
{
    int64_t since_ms = kept->since_ms + shift_ms;
    uint8_t *at = record_place(to, TAG_KEPT, sizeof since_ms + kept->size);
    memcpy(at, &since_ms, sizeof since_ms);
    memcpy(at + sizeof since_ms, kept->data, kept->size);
}

bool
keptrecord_save(void *to, const kept_t *kept)
{
    keptrecord_write(to, kept, 0);
    return true;
}

// Its payload follows from its frames. False: they are not one whole message.
static bool
measure(kept_t *kept)
{
    bool more = true;
    for (size_t at = 0; at < kept->size;) {
        frame_head_t head;
        if (!more || frame_read(kept->data + at, kept->size - at, &head) != 1 || head.flags & FRAME_COMMAND ||
            kept->size - at - head.head < head.body)
            return false;
        at += head.head + head.body;
        kept->payload += head.body;
        more = head.flags & FRAME_MORE;
    }
    return !more;
}

static bool
read_kept(const record_field_t *field, int64_t shift_ms, int64_t now_ms, kept_t *kept)
{
    *kept = (kept_t){ 0 };
    if (field->size <= sizeof kept->since_ms)
        return false;
    memcpy(&kept->since_ms, field->at, sizeof kept->since_ms);
    kept->data = field->at + sizeof kept->since_ms;
    kept->size = field->size - sizeof kept->since_ms;
    if (kept->since_ms < 0 || kept->since_ms > TIME_MOST || !measure(kept))
        return false;
    kept->since_ms = kept->since_ms - shift_ms < now_ms ? kept->since_ms - shift_ms : now_ms;
    kept->topic = kept_first(kept->data, kept->size);
    return true;
}

void
keptrecord_read(const record_field_t *field, int64_t shift_ms, int64_t now_ms, keptrecord_fn *fn, void *arg)
{
    kept_t kept;
    if (read_kept(field, shift_ms, now_ms, &kept))
        fn(arg, &kept);
}

void
keptrecord_restore(record_fields_t from, int64_t shift_ms, int64_t now_ms, keptrecord_fn *fn, void *arg)
{
    record_field_t field;
    while (record_next(&from, &field))
        if (field.tag == TAG_KEPT)
            keptrecord_read(&field, shift_ms, now_ms, fn, arg);
}
