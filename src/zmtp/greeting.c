// SPDX-License-Identifier: MPL-2.0
//
// The greeting, in the stages that let all versions find each other: 10 octets which
// a peer of ZMTP 1.0 takes for the head of our identity; the version when the
// peer's 10 are in; the rest when its version is.
#include "zmtp/handshake_internal.h"

#include "base/mem.h"
#include "zmtp/peertype.h"

#include <string.h>

enum {
    SIGNATURE = 10,
    REVISION = 10, // where the octets are
    MINOR = 11,
    TYPE = 11,
    MECHANISM = 12,
    MECHANISM_SIZE = 20,
    FILLER = 32,
    GREETING = 64,
    REVISION_2_0 = 1, // and 0 is 1.0 in the greeting of 2.0
    OUR_REVISION = 3,
    OUR_MINOR = 1,
};

static void
say_octet(handshake_t *self, int octet)
{
    uint8_t byte = (uint8_t)octet;
    handshake_say(self, &byte, 1);
}

void
greeting_open(handshake_t *self)
{
    uint8_t signature[SIGNATURE] = { 0xff, [SIGNATURE - 1] = 0x7f };
    frame_put64(signature + 1, self->conf->identity_size + 1);
    handshake_say(self, signature, sizeof signature);
}

// --- what is no ZMTP ----------------------------------------------------------

// Two octets tell, and two are there whatever the pieces that a stream comes in.
static const struct {
    char first, second;
    const char *what;
} strangers[] = {
    { 'G', 'E', "HTTP" },  { 'P', 'O', "HTTP" }, { 'P', 'U', "HTTP" },  { 'H', 'E', "HTTP" }, { 'O', 'P', "HTTP" },
    { 'D', 'E', "HTTP" },  { 'P', 'A', "HTTP" }, { 'C', 'O', "HTTP" },  { 'T', 'R', "HTTP" }, { 'P', 'R', "HTTP/2" },
    { 0x16, 0x03, "TLS" }, { 'S', 'S', "SSH" },  { '*', '1', "Redis" }, { 'A', 'M', "AMQP" },
};

void
greeting_refuse(handshake_t *self)
{
    char quoted[QUOTED_MAX];
    const uint8_t *at = self->in.at;
    for (size_t i = 0; self->in.size == 2 && i < COUNT(strangers); i++)
        if (at[0] == (uint8_t)strangers[i].first && at[1] == (uint8_t)strangers[i].second) {
            handshake_fail(self, FAULT_GREETING, "not ZMTP: looks like %s", strangers[i].what);
            return;
        }
    handshake_fail(self, FAULT_GREETING, "not ZMTP: begins with %s", handshake_quoted(quoted, at, self->in.size));
}

// --- ZMTP 1.0 and 2.0 -----------------------------------------------------------

static bool
speaks_old(const handshake_t *self)
{
    return self->conf->old_peers && self->conf->mechanism == HANDSHAKE_NULL;
}

static bool
may_be_old(handshake_t *self)
{
    if (!speaks_old(self))
        handshake_fail(self, FAULT_VERSION, "the peer speaks ZMTP %d.0, which is not accepted here",
                       self->is.peer.major);
    return speaks_old(self);
}

// The 10 octets that we have said are the head of our identity.
static void
go_unversioned(handshake_t *self)
{
    self->is.peer = (handshake_peer_t){ .major = 1, .unversioned = true, .type = -1 };
    self->is.old_head = true;
    self->is.stage = STAGE_IDENTITY;
}

static void
say_identity(handshake_t *self)
{
    uint8_t head[FRAME_HEAD_MAX];
    size_t size = self->is.old_head ? frame_write_old_head(head, 0, self->conf->identity_size)
                                    : frame_write_head(head, 0, self->conf->identity_size);
    handshake_say(self, head, size);
    handshake_say(self, self->conf->identity, self->conf->identity_size);
}

// An identity that begins with 0 was never allowed: it is the length of something else.
void
greeting_take_identity(handshake_t *self, const uint8_t *identity, size_t size)
{
    if (self->is.peer.unversioned && size && identity[0] == 0) {
        greeting_refuse(self);
        return;
    }
    if (!may_be_old(self) || !handshake_keep_identity(self, identity, size))
        return;
    if (self->is.peer.unversioned)
        handshake_say(self, self->conf->identity, self->conf->identity_size);
    if (self->conf->asks)
        handshake_ask(self);
    else
        handshake_done(self);
}

// --- stages -------------------------------------------------------------------

static void
take_first(handshake_t *self)
{
    if (self->in.at[0] == 0xff)
        self->is.stage = STAGE_SIGNATURE;
    else
        go_unversioned(self);
}

// RFC 37 forbids to look at the padding.
static void
take_signature(handshake_t *self)
{
    if (!(self->in.at[SIGNATURE - 1] & 1)) {
        go_unversioned(self);
        return;
    }
    say_octet(self, OUR_REVISION);
    self->is.stage = STAGE_REVISION;
}

static void
say_rest(handshake_t *self)
{
    uint8_t rest[GREETING - MINOR] = { OUR_MINOR };
    const char *mechanism = handshake_mechanism_name(self->conf->mechanism);
    memcpy(rest + MECHANISM - MINOR, mechanism, strlen(mechanism));
    handshake_say(self, rest, sizeof rest);
}

static void
take_revision(handshake_t *self)
{
    uint8_t revision = self->in.at[REVISION];
    if (revision > REVISION_2_0) {
        say_rest(self);
        self->is.stage = STAGE_GREETING;
        return;
    }
    self->is.old_head = revision < REVISION_2_0;
    self->is.peer.major = (uint8_t)(revision + 1);
    if (!may_be_old(self))
        return;
    say_octet(self, self->conf->type);
    self->is.stage = STAGE_OLD_TYPE;
}

static void
take_old_type(handshake_t *self)
{
    if (!handshake_take_type(self, self->in.at[TYPE]))
        return;
    say_identity(self);
    wipebuf_free(&self->in);
    self->is.stage = STAGE_IDENTITY;
}

// The name of a mechanism: RFC 37's letters, and zeros after them; 0: it is none.
static size_t
name_size(const uint8_t *field)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.+";
    size_t size = 0, end;
    while (size < MECHANISM_SIZE && field[size] && strchr(letters, field[size]))
        size++;
    for (end = size; end < MECHANISM_SIZE && field[end] == 0; end++)
        ;
    return end == MECHANISM_SIZE ? size : 0;
}

static void
take_greeting(handshake_t *self)
{
    uint8_t ours[MECHANISM_SIZE] = { 0 };
    const char *mechanism = handshake_mechanism_name(self->conf->mechanism);
    const uint8_t *theirs = self->in.at + MECHANISM;
    memcpy(ours, mechanism, strlen(mechanism));
    if (memcmp(ours, theirs, sizeof ours) != 0) {
        int size = (int)name_size(theirs);
        if (size)
            handshake_fail(self, FAULT_MECHANISM, "the peer speaks %.*s, this side %s", size, (const char *)theirs,
                           mechanism);
        else
            handshake_fail(self, FAULT_GREETING, "not ZMTP: no mechanism in the greeting");
        return;
    }
    self->is.peer = (handshake_peer_t){ .major = 3, .type = -1 };
    self->is.peer.minor = self->in.at[REVISION] > OUR_REVISION || self->in.at[MINOR] > 0;
    wipebuf_free(&self->in);
    self->is.stage = STAGE_COMMAND;
    self->script->begin(self);
}

static const struct {
    size_t octets;
    void (*take)(handshake_t *self);
} stages[STAGES] = {
    [STAGE_FIRST] = { 1, take_first },
    [STAGE_SIGNATURE] = { SIGNATURE, take_signature },
    [STAGE_REVISION] = { REVISION + 1, take_revision },
    [STAGE_OLD_TYPE] = { TYPE + 1, take_old_type },
    [STAGE_GREETING] = { GREETING, take_greeting },
};

size_t
greeting_octets(handshake_stage_t stage)
{
    return stages[stage].octets;
}

void
greeting_take(handshake_t *self)
{
    stages[self->is.stage].take(self);
}
