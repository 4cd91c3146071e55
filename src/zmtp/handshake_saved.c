// SPDX-License-Identifier: MPL-2.0
//
// A handshake on its way from one program to the next.
#include "zmtp/handshake_internal.h"
#include "zmtp/peertype.h"

#include <string.h>

enum { LAYOUT = 1 }; // another number for each change of handshake_flat_t

typedef struct {
    uint32_t layout, flat_size, in_size, out_size;
    uint32_t mechanism, as_server, type;
} saved_head_t;

static saved_head_t
head_of(const handshake_t *self)
{
    return (saved_head_t){ LAYOUT,
                           sizeof self->is,
                           self->in.size,
                           self->out.size,
                           self->conf->mechanism,
                           self->conf->as_server,
                           (uint32_t)self->conf->type };
}

size_t
handshake_saved_size(const handshake_t *self)
{
    return sizeof(saved_head_t) + sizeof self->is + self->in.size + self->out.size;
}

void
handshake_save(const handshake_t *self, uint8_t *at)
{
    saved_head_t head = head_of(self);
    memcpy(at, &head, sizeof head);
    at += sizeof head;
    memcpy(at, &self->is, sizeof self->is);
    at += sizeof self->is;
    if (self->in.size)
        memcpy(at, self->in.at, self->in.size);
    if (self->out.size)
        memcpy(at + self->in.size, self->out.at, self->out.size);
}

// Nothing is waited for that would not be taken, and nothing that is there already.
static bool
waits_soundly(const handshake_t *self)
{
    frame_head_t head;
    if (self->is.stage == STAGE_COMMAND && !handshake_step(self))
        return false;
    if (self->in.size >= handshake_wanted(self))
        return false;
    int rc = self->is.stage >= STAGE_IDENTITY ? handshake_read_head(self, &head) : 0;
    return rc == 0 || !handshake_is_wrong(self, rc, &head);
}

static bool
asks_soundly(const handshake_t *self)
{
    return self->is.stage >= STAGE_IDENTITY && self->script->welcome;
}

// What is saved is not believed: a number out of range would be a place out of range.
static bool
is_sound(const handshake_t *self)
{
    const handshake_flat_t *is = &self->is;
    const uint8_t *unversioned = (const uint8_t *)&is->peer.unversioned; // no bool yet
    if (is->state > HANDSHAKE_FAILED || is->stage >= STAGES || is->step > SCRIPT_STEPS || is->fault >= FAULTS ||
        *unversioned > 1 || is->peer.durable_size > METADATA_DURABLE_MAX || is->peer.type < -1 ||
        is->peer.type >= PEERTYPES || is->words[HANDSHAKE_WORDS_MAX - 1] ||
        (is->stage == STAGE_COMMAND) != (is->peer.major == 3) || is->peer.major > 3)
        return false;
    return is->state == HANDSHAKE_GOES_ON ? waits_soundly(self) : is->state != HANDSHAKE_ASKS || asks_soundly(self);
}

handshake_t *
handshake_restore(const handshake_conf_t *conf, const uint8_t *at, size_t size)
{
    saved_head_t head;
    if (size < sizeof head + sizeof(handshake_flat_t))
        return NULL;
    memcpy(&head, at, sizeof head);
    handshake_t *self = handshake_make(conf);
    memcpy(&self->is, at + sizeof head, sizeof self->is);
    at += sizeof head + sizeof self->is;
    size -= sizeof head + sizeof self->is;
    saved_head_t ours = head_of(self);
    ours.in_size = head.in_size;
    ours.out_size = head.out_size;
    bool fits = memcmp(&head, &ours, sizeof head) == 0 && head.in_size <= HANDSHAKE_IN_MAX &&
                head.out_size <= HANDSHAKE_OUT_MAX && size == (size_t)head.in_size + head.out_size;
    if (fits) {
        wipebuf_add(&self->in, at, head.in_size, HANDSHAKE_IN_MAX);
        wipebuf_add(&self->out, at + head.in_size, head.out_size, HANDSHAKE_OUT_MAX);
    }
    if (!fits || !is_sound(self))
        handshake_destroy(&self);
    return self;
}
