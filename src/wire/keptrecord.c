// SPDX-License-Identifier: MPL-2.0
// keptrecord.c - see keptrecord.h.

#include "wire/keptrecord.h"

#include <string.h>

bool
keptrecord_save(void *to, const kept_t *kept)
{
    uint8_t *at = record_place(to, TAG_KEPT, sizeof kept->since_ms + kept->size);
    memcpy(at, &kept->since_ms, sizeof kept->since_ms);
    memcpy(at + sizeof kept->since_ms, kept->data, kept->size);
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
read_kept(const record_field_t *field, int64_t now_ms, kept_t *kept)
{
    *kept = (kept_t){ 0 };
    if (field->size <= sizeof kept->since_ms)
        return false;
    memcpy(&kept->since_ms, field->at, sizeof kept->since_ms);
    kept->data = field->at + sizeof kept->since_ms;
    kept->size = field->size - sizeof kept->since_ms;
    if (kept->since_ms < 0 || kept->since_ms > now_ms || !measure(kept))
        return false;
    kept->topic = kept_first(kept->data, kept->size);
    return true;
}

void
keptrecord_restore(record_fields_t from, int64_t now_ms, keptrecord_fn *fn, void *arg)
{
    record_field_t field;
    kept_t kept;
    while (record_next(&from, &field))
        if (field.tag == TAG_KEPT && read_kept(&field, now_ms, &kept))
            fn(arg, &kept);
}
