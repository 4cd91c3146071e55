// SPDX-License-Identifier: MPL-2.0
//
// What comes is collected until the stage has all its octets: never more than it
// needs, so that what follows the handshake is left to the caller.
#include "zmtp/handshake_internal.h"

#include <string.h>

int
handshake_read_head(const handshake_t *self, frame_head_t *head)
{
    return (self->is.old_head ? frame_read_old : frame_read)(self->in.at, self->in.size, head);
}

size_t
handshake_wanted(const handshake_t *self)
{
    frame_head_t head;
    size_t octets = greeting_octets((handshake_stage_t)self->is.stage);
    if (octets)
        return octets;
    if (self->in.size == 0)
        return 1; // the flags, which may be wrong already
    if (handshake_read_head(self, &head) == 1)
        return head.head + head.body;
    if (self->in.size < FRAME_SHORT_HEAD)
        return FRAME_SHORT_HEAD;
    return self->is.old_head ? FRAME_OLD_LARGE_HEAD : FRAME_LARGE_HEAD;
}

const handshake_step_t *
handshake_step(const handshake_t *self)
{
    const handshake_step_t *step = &self->script->steps[self->is.step];
    return self->is.step < SCRIPT_STEPS && step->command ? step : NULL;
}

void
handshake_go_on(handshake_t *self)
{
    if (self->is.state == HANDSHAKE_GOES_ON && self->is.peer.major == 3 && !handshake_step(self))
        handshake_done(self);
}

static void
take_error(handshake_t *self, const uint8_t *reason, size_t size)
{
    char quoted[QUOTED_MAX];
    if (size && reason[0] == size - 1)
        handshake_fail(self, FAULT_PEER_ERROR, "the peer refuses: %s", handshake_quoted(quoted, reason + 1, size - 1));
    else
        handshake_fail(self, FAULT_PROTOCOL, "ERROR is malformed");
}

static bool
begins_with(const uint8_t *body, size_t size, const char *text)
{
    return size >= strlen(text) && memcmp(body, text, strlen(text)) == 0;
}

// The octets of ERROR's name, in either spelling; 0: it is another command.
static size_t
error_head(const handshake_t *self, const uint8_t *body, size_t size)
{
    const char *other = handshake_error_name(self->conf->mechanism);
    return begins_with(body, size, handshake_error) ? strlen(handshake_error)
           : begins_with(body, size, other)         ? strlen(other)
                                                    : 0;
}

static bool
is_called(const uint8_t *name, size_t size, const char *command)
{
    return strlen(command) == size && memcmp(name, command, size) == 0;
}

static void
take_command(handshake_t *self, uint8_t *body, size_t size)
{
    char quoted[QUOTED_MAX];
    const handshake_step_t *step = handshake_step(self);
    size_t head = error_head(self, body, size);
    if (head) {
        take_error(self, body + head, size - head);
        return;
    }
    if (size == 0 || body[0] == 0 || body[0] > size - 1) {
        handshake_fail(self, FAULT_PROTOCOL, "a command without a name in place of %s", step->command);
        return;
    }
    head = 1 + (size_t)body[0];
    if (is_called(body + 1, body[0], step->command)) {
        self->is.step++;
        step->take(self, body + head, size - head);
        handshake_go_on(self);
    } else {
        handshake_fail(self, FAULT_PROTOCOL, "%s in place of %s", handshake_quoted(quoted, body + 1, body[0]),
                       step->command);
    }
}

bool
handshake_is_wrong(const handshake_t *self, int rc, const frame_head_t *head)
{
    if (rc == -1)
        return true;
    if (self->is.stage == STAGE_IDENTITY)
        return (head->flags & ~FRAME_LARGE) || head->body > METADATA_IDENTITY_MAX;
    return !(head->flags & FRAME_COMMAND) ||
           head->body > (handshake_step(self)->metadata ? HANDSHAKE_METADATA_MAX : HANDSHAKE_COMMAND_MAX);
}

static void
refuse_frame(handshake_t *self, int rc, const frame_head_t *head)
{
    if (self->is.peer.unversioned)
        greeting_refuse(self);
    else if (rc == -1)
        handshake_fail(self, FAULT_PROTOCOL, "what comes is no frame");
    else if (self->is.stage == STAGE_COMMAND && !(head->flags & FRAME_COMMAND))
        handshake_fail(self, FAULT_PROTOCOL, "a message before the end of the handshake");
    else
        handshake_fail(self, FAULT_PROTOCOL, "%llu octets are too many here", (unsigned long long)head->body);
}

static void
take_frame(handshake_t *self)
{
    frame_head_t head;
    int rc = handshake_read_head(self, &head);
    if (rc == 0)
        return;
    if (handshake_is_wrong(self, rc, &head)) {
        refuse_frame(self, rc, &head);
        return;
    }
    if (self->in.size < head.head + head.body)
        return;
    uint8_t *body = self->in.at + head.head;
    if (self->is.stage == STAGE_IDENTITY)
        greeting_take_identity(self, body, head.body);
    else
        take_command(self, body, head.body);
    if (self->is.state != HANDSHAKE_ASKS) // what is claimed is in there
        wipebuf_free(&self->in);
}

static void
take_stage(handshake_t *self)
{
    size_t octets = greeting_octets((handshake_stage_t)self->is.stage);
    if (octets) {
        if (self->in.size < octets)
            return;
        greeting_take(self);
    }
    if (self->is.state == HANDSHAKE_GOES_ON && self->is.stage >= STAGE_IDENTITY && self->in.size)
        take_frame(self); // the first octets of ZMTP 1.0 are those of a frame
}

size_t
handshake_feed(handshake_t *self, const uint8_t *in, size_t size)
{
    size_t taken = 0;
    while (self->is.state == HANDSHAKE_GOES_ON && taken < size) {
        size_t piece = handshake_wanted(self) - self->in.size;
        if (piece > size - taken)
            piece = size - taken;
        wipebuf_add(&self->in, in + taken, piece, HANDSHAKE_IN_MAX);
        taken += piece;
        take_stage(self);
    }
    if (self->is.state == HANDSHAKE_FAILED)
        wipebuf_free(&self->in);
    return taken;
}
