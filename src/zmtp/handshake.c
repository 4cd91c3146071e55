// SPDX-License-Identifier: MPL-2.0
//
// What comes is collected until the stage has all its octets: never more than it
// needs, so that what follows the handshake is left to the caller.
#include "zmtp/handshake.h"

#include "base/mem.h"
#include "zmtp/handshake_parts.h"
#include "zmtp/peertype.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ERROR with its length. libzmq 4.3 has it as "\x05ERROR" in PLAIN, which to a compiler
// is "^RROR", and a client of libzmq's takes nothing else for a refusal.
static const char error_name[] = "\5ERROR", error_of_plain[] = "^RROR";

static const struct {
    const char *name;
    const char *error;
    const mechanism_scripts_t *scripts;
} mechanisms[HANDSHAKE_MECHANISMS] = {
    [HANDSHAKE_NULL] = { "NULL", error_name, &handshake_null },
    [HANDSHAKE_PLAIN] = { "PLAIN", error_of_plain, &handshake_plain },
    [HANDSHAKE_CURVE] = { "CURVE", error_name, &handshake_curve },
};

const char *
handshake_mechanism_name(handshake_mechanism_t mechanism)
{
    return mechanisms[mechanism].name;
}

static const script_t *
script_of(const handshake_conf_t *conf)
{
    const mechanism_scripts_t *scripts = mechanisms[conf->mechanism].scripts;
    return conf->as_server ? &scripts->server : &scripts->client;
}

static handshake_t *
make(const handshake_conf_t *conf)
{
    assert(conf->identity_size <= METADATA_IDENTITY_MAX && peertype_at(conf->type));
    handshake_t *self = xcalloc(1, sizeof *self);
    self->conf = conf;
    self->script = script_of(conf);
    self->is.peer.type = -1;
    return self;
}

handshake_t *
handshake_new(const handshake_conf_t *conf)
{
    handshake_t *self = make(conf);
    greeting_open(self);
    return self;
}

void
handshake_destroy(handshake_t **self_p)
{
    handshake_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    wipebuf_free(&self->in);
    wipebuf_free(&self->out);
    explicit_bzero(self, sizeof *self);
    free(self);
}

handshake_state_t
handshake_state(const handshake_t *self)
{
    return (handshake_state_t)self->is.state;
}

// --- what the mechanisms say --------------------------------------------------

void
handshake_say(handshake_t *self, const void *bytes, size_t size)
{
    wipebuf_add(&self->out, bytes, size, HANDSHAKE_OUT_MAX);
}

void
handshake_command(handshake_t *self, const uint8_t *body, size_t size)
{
    uint8_t head[FRAME_HEAD_MAX];
    handshake_say(self, head, frame_write_head(head, FRAME_COMMAND, size));
    handshake_say(self, body, size);
}

size_t
handshake_name(uint8_t *at, const char *name)
{
    size_t size = strlen(name);
    at[0] = (uint8_t)size;
    memcpy(at + 1, name, size);
    return 1 + size;
}

size_t
handshake_metadata(const handshake_t *self, uint8_t *at)
{
    return metadata_write(at, self->conf->type, self->conf->identity, self->conf->identity_size);
}

void
handshake_ask(handshake_t *self)
{
    self->is.state = HANDSHAKE_ASKS;
}

void
handshake_done(handshake_t *self)
{
    self->is.state = HANDSHAKE_READY;
}

void
handshake_fail(handshake_t *self, handshake_fault_t fault, const char *format, ...)
{
    va_list args;
    self->is.state = HANDSHAKE_FAILED;
    self->is.fault = (uint8_t)fault;
    va_start(args, format);
    vsnprintf(self->is.words, sizeof self->is.words, format, args);
    va_end(args);
}

const char *
handshake_quoted(char to[QUOTED_MAX], const uint8_t *bytes, size_t size)
{
    static const char end[] = "...\"";
    size_t used = 0;
    to[used++] = '"';
    for (size_t i = 0; i < size; i++) {
        if (used + 4 + sizeof end > QUOTED_MAX) {
            memcpy(to + used, end, sizeof end);
            return to;
        }
        bool plain = bytes[i] >= 0x20 && bytes[i] < 0x7f && bytes[i] != '"' && bytes[i] != '\\';
        used += (size_t)snprintf(to + used, QUOTED_MAX - used, plain ? "%c" : "\\x%02x", bytes[i]);
    }
    memcpy(to + used, end + 3, 2);
    return to;
}

// --- what the peer is -----------------------------------------------------------

bool
handshake_take_type(handshake_t *self, int type)
{
    const char *ours = peertype_at(self->conf->type)->name;
    const peertype_t *theirs = peertype_at(type);
    self->is.peer.type = theirs ? type : -1;
    if (!theirs)
        handshake_fail(self, FAULT_TYPE, "unknown socket type %d", type);
    else if (!peertype_talks(self->conf->type, type))
        handshake_fail(self, FAULT_TYPE, "socket types do not match: the peer's %s, this side's %s", theirs->name,
                       ours);
    return self->is.state != HANDSHAKE_FAILED;
}

bool
handshake_keep_identity(handshake_t *self, const uint8_t *identity, size_t size)
{
    if (size && identity[0] == 0 && peertype_at(self->conf->type)->keeps_identity) {
        handshake_fail(self, FAULT_PROTOCOL, "the peer's identity begins with a 0 octet");
        return false;
    }
    self->is.peer.identity_size = (uint8_t)size;
    if (size)
        memcpy(self->is.peer.identity, identity, size);
    return true;
}

static bool
take_type_name(handshake_t *self, const metadata_value_t *name)
{
    char quoted[QUOTED_MAX];
    int type = name->at ? peertype_find(name->at, name->size) : -1;
    if (type >= 0)
        return handshake_take_type(self, type);
    if (name->at)
        handshake_fail(self, FAULT_TYPE, "unknown socket type %s", handshake_quoted(quoted, name->at, name->size));
    else
        handshake_fail(self, FAULT_TYPE, "the peer does not tell its socket type");
    return false;
}

bool
handshake_take_metadata(handshake_t *self, const uint8_t *at, size_t size)
{
    metadata_t metadata;
    const char *fault = metadata_read(&metadata, at, size);
    if (fault) {
        handshake_fail(self, FAULT_PROTOCOL, "malformed metadata: %s", fault);
        return false;
    }
    self->is.peer.durable_size = (uint8_t)metadata.durable.size;
    if (metadata.durable.size)
        memcpy(self->is.peer.durable, metadata.durable.at, metadata.durable.size);
    return take_type_name(self, &metadata.socket_type) &&
           handshake_keep_identity(self, metadata.identity.at, metadata.identity.size);
}

// --- frames -------------------------------------------------------------------

static int
read_head(const handshake_t *self, frame_head_t *head)
{
    return (self->is.old_head ? frame_read_old : frame_read)(self->in.at, self->in.size, head);
}

// Octets that the stage needs from its first to its last, as far as is known by now.
static size_t
wanted(const handshake_t *self)
{
    frame_head_t head;
    size_t octets = greeting_octets((handshake_stage_t)self->is.stage);
    if (octets)
        return octets;
    if (self->in.size == 0)
        return 1; // the flags, which may be wrong already
    if (read_head(self, &head) == 1)
        return head.head + head.body;
    if (self->in.size < FRAME_SHORT_HEAD)
        return FRAME_SHORT_HEAD;
    return self->is.old_head ? FRAME_OLD_LARGE_HEAD : FRAME_LARGE_HEAD;
}

static const handshake_step_t *
step_of(const handshake_t *self)
{
    const handshake_step_t *step = &self->script->steps[self->is.step];
    return self->is.step < SCRIPT_STEPS && step->command ? step : NULL;
}

static void
go_on(handshake_t *self)
{
    if (self->is.state == HANDSHAKE_GOES_ON && self->is.peer.major == 3 && !step_of(self))
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
    const char *other = mechanisms[self->conf->mechanism].error;
    return begins_with(body, size, error_name) ? strlen(error_name)
           : begins_with(body, size, other)    ? strlen(other)
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
    const handshake_step_t *step = step_of(self);
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
        go_on(self);
    } else {
        handshake_fail(self, FAULT_PROTOCOL, "%s in place of %s", handshake_quoted(quoted, body + 1, body[0]),
                       step->command);
    }
}

// No frame, or one that has no place in the stage. The length is judged before
// anything of the body is there.
static bool
is_wrong(const handshake_t *self, int rc, const frame_head_t *head)
{
    if (rc == -1)
        return true;
    if (self->is.stage == STAGE_IDENTITY)
        return (head->flags & ~FRAME_LARGE) || head->body > METADATA_IDENTITY_MAX;
    return !(head->flags & FRAME_COMMAND) ||
           head->body > (step_of(self)->metadata ? HANDSHAKE_METADATA_MAX : HANDSHAKE_COMMAND_MAX);
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
    int rc = read_head(self, &head);
    if (rc == 0)
        return;
    if (is_wrong(self, rc, &head)) {
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
        size_t piece = wanted(self) - self->in.size;
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

// --- the verdict ----------------------------------------------------------------

handshake_claim_t
handshake_claim(const handshake_t *self)
{
    handshake_claim_t claim = { .mechanism = self->conf->mechanism };
    if (self->is.state == HANDSHAKE_ASKS && self->script->claim)
        self->script->claim(self, &claim);
    return claim;
}

static void
refuse(handshake_t *self, handshake_verdict_t verdict)
{
    uint8_t body[16];
    char status[8];
    handshake_fail(self, FAULT_AUTH, verdict == HANDSHAKE_LATER ? "refused for now" : "refused");
    if (verdict == HANDSHAKE_LATER || self->is.peer.major < 3)
        return;
    const char *error = mechanisms[self->conf->mechanism].error;
    size_t size = strlen(error);
    memcpy(body, error, size);
    snprintf(status, sizeof status, "%d", (int)verdict);
    handshake_command(self, body, size + handshake_name(body + size, status));
}

void
handshake_verdict(handshake_t *self, handshake_verdict_t verdict)
{
    if (self->is.state != HANDSHAKE_ASKS)
        return;
    wipebuf_free(&self->in);
    if (verdict != HANDSHAKE_WELCOME) {
        refuse(self, verdict);
    } else if (self->is.peer.major < 3) {
        handshake_done(self);
    } else {
        self->is.state = HANDSHAKE_GOES_ON;
        self->script->welcome(self);
        go_on(self);
    }
}

// --- what it came to ------------------------------------------------------------

void
handshake_prompt(handshake_t *self)
{
    bool waits = self->is.state == HANDSHAKE_GOES_ON && self->is.stage == STAGE_COMMAND;
    if (waits && self->script && self->script->prompt)
        self->script->prompt(self);
}

void
handshake_left(handshake_t *self)
{
    if (self->is.stage == STAGE_GREETING)
        handshake_fail(self, FAULT_MECHANISM, "the peer left when it heard that this side speaks %s: it speaks another mechanism",
                       handshake_mechanism_name(self->conf->mechanism));
    else
        handshake_fail(self, FAULT_PROTOCOL, "it left before its handshake was done");
}

const uint8_t *
handshake_output(const handshake_t *self, size_t *size)
{
    *size = self->out.size;
    return self->out.at;
}

void
handshake_sent(handshake_t *self, size_t size)
{
    wipebuf_drop(&self->out, size);
}

const handshake_peer_t *
handshake_peer(const handshake_t *self)
{
    return &self->is.peer;
}

bool
handshake_take_session(handshake_t *self, curve_session_t *session)
{
    if (self->is.state != HANDSHAKE_READY || !self->is.has_session)
        return false;
    *session = self->is.curve.session;
    explicit_bzero(&self->is.curve, sizeof self->is.curve);
    self->is.has_session = false;
    return true;
}

handshake_fault_t
handshake_fault(const handshake_t *self)
{
    return (handshake_fault_t)self->is.fault;
}

const char *
handshake_fault_name(handshake_fault_t fault)
{
    static const char *const names[FAULTS] = {
        [FAULT_NONE] = "none",           [FAULT_GREETING] = "greeting", [FAULT_VERSION] = "version",
        [FAULT_MECHANISM] = "mechanism", [FAULT_TYPE] = "type",         [FAULT_AUTH] = "auth",
        [FAULT_PROTOCOL] = "protocol",   [FAULT_PEER_ERROR] = "auth",
    };
    return names[fault];
}

const char *
handshake_words(const handshake_t *self)
{
    return self->is.words;
}

// --- handing over ---------------------------------------------------------------

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
    if (self->is.stage == STAGE_COMMAND && !step_of(self))
        return false;
    if (self->in.size >= wanted(self))
        return false;
    int rc = self->is.stage >= STAGE_IDENTITY ? read_head(self, &head) : 0;
    return rc == 0 || !is_wrong(self, rc, &head);
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
    handshake_t *self = make(conf);
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
