// SPDX-License-Identifier: MPL-2.0
#include "wire/arrival.h"

#include "store/subject.h"
#include "wire/kept.h"

#include <string.h>

bytes_t
arrival_topic(bytes_t first, int64_t topic_end)
{
    const uint8_t *end = topic_end >= 0 && first.size > 0 ? memchr(first.at, (int)topic_end, first.size) : NULL;
    return end ? bytes_of(first.at, (size_t)(end - (const uint8_t *)first.at)) : first;
}

// --- frames ------------------------------------------------------------------------

// The whole of SIZE octets is one message.
static bool
read_frames(arrival_t *self, const arrival_rules_t *rules)
{
    frame_head_t head;
    size_t at = 0;
    for (uint32_t parts = 0; parts < rules->max_parts; parts++) {
        if (frame_read(self->data + at, self->size - at, &head) != 1 || head.flags & FRAME_COMMAND)
            return false;
        if (head.body > rules->max_bytes || head.body > self->size - at - head.head)
            return false;
        at += head.head + head.body;
        self->load.payload += head.body;
        if (!(head.flags & FRAME_MORE))
            return at == self->size;
    }
    return false;
}

// The topic says under which subject it has to come: else one could be published as another.
static bool
fits_subject(const arrival_t *self, const jetstream_piece_t *piece, const arrival_rules_t *rules)
{
    text_t subject = { 0 };
    bytes_t topic = arrival_topic(kept_first(self->data, self->size), rules->topic_end);
    subject_of(&subject, rules->prefix, topic.at, topic.size);
    bool fits = strcmp(subject.data, piece->subject) == 0;
    text_free(&subject);
    return fits;
}

// --- one frame -----------------------------------------------------------------------

static void
add_head(arrival_t *self, uint8_t flags, uint64_t body)
{
    uint8_t head[FRAME_HEAD_MAX];
    text_bytes(&self->head, head, frame_write_head(head, flags, body));
    self->load.payload += body;
}

// Somebody else's, which knows no frames.
static bool
read_plain(arrival_t *self, const jetstream_piece_t *piece, const arrival_rules_t *rules)
{
    text_t topic = { 0 };
    bool known = !rules->prefix || subject_topic(&topic, rules->prefix, piece->subject);
    if (known && rules->prefix) {
        add_head(self, FRAME_MORE, topic.size);
        text_bytes(&self->head, topic.data, topic.size);
    }
    add_head(self, 0, self->size);
    text_free(&topic);
    return known && self->size <= rules->max_bytes && topic.size <= rules->max_bytes;
}

bool
arrival_read(arrival_t *self, const jetstream_piece_t *piece, const arrival_rules_t *rules)
{
    *self = (arrival_t){ .data = piece->data, .size = piece->size, .load.messages = 1 };
    if (!piece->framed)
        return read_plain(self, piece, rules);
    return read_frames(self, rules) && (!rules->prefix || fits_subject(self, piece, rules));
}
