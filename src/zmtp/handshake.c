// SPDX-License-Identifier: MPL-2.0
#include "zmtp/handshake.h"

#include "base/mem.h"
#include "zmtp/handshake_internal.h"
#include "zmtp/peertype.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ERROR with its length. libzmq 4.3 has it as "\x05ERROR" in PLAIN, which to a compiler
// is "^RROR", and a client of libzmq's takes nothing else for a refusal.
const char handshake_error[] = "\5ERROR";
static const char error_of_plain[] = "^RROR";

static const struct {
    const char *name;
    const char *error;
    const mechanism_scripts_t *scripts;
} mechanisms[HANDSHAKE_MECHANISMS] = {
    [HANDSHAKE_NULL] = { "NULL", handshake_error, &handshake_null },
    [HANDSHAKE_PLAIN] = { "PLAIN", error_of_plain, &handshake_plain },
    [HANDSHAKE_CURVE] = { "CURVE", handshake_error, &handshake_curve },
};

const char *
handshake_mechanism_name(handshake_mechanism_t mechanism)
{
    return mechanisms[mechanism].name;
}

const char *
handshake_error_name(handshake_mechanism_t mechanism)
{
    return mechanisms[mechanism].error;
}

static const script_t *
script_of(const handshake_conf_t *conf)
{
    const mechanism_scripts_t *scripts = mechanisms[conf->mechanism].scripts;
    return conf->as_server ? &scripts->server : &scripts->client;
}

handshake_t *
handshake_make(const handshake_conf_t *conf)
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
    handshake_t *self = handshake_make(conf);
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
    const char *error = handshake_error_name(self->conf->mechanism);
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
        handshake_go_on(self);
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
        handshake_fail(self, FAULT_MECHANISM,
                       "the peer left when it heard that this side speaks %s: it speaks another mechanism",
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
