// SPDX-License-Identifier: MPL-2.0
//
// PLAIN (RFC 24): HELLO with name and password, WELCOME, INITIATE and READY with
// metadata.
#include "zmtp/handshake_internal.h"

#include <string.h>

enum { NAME_MAX_SIZE = 9 }; // octets of a command's name with its length: INITIATE's

// One text after the octet with its length. Returns the octets taken; 0: it is cut short.
static size_t
read_text(metadata_value_t *text, const uint8_t *at, size_t size)
{
    if (size == 0 || at[0] > size - 1)
        return 0;
    *text = (metadata_value_t){ at + 1, at[0] };
    return 1 + (size_t)at[0];
}

static bool
read_hello(const uint8_t *body, size_t size, metadata_value_t *user, metadata_value_t *password)
{
    size_t first = read_text(user, body, size);
    size_t second = first ? read_text(password, body + first, size - first) : 0;
    return second && first + second == size;
}

static size_t
write_text(uint8_t *at, const char *text)
{
    size_t size = text ? strnlen(text, HANDSHAKE_CREDENTIAL_MAX) : 0;
    at[0] = (uint8_t)size;
    if (size)
        memcpy(at + 1, text, size);
    return 1 + size;
}

static void
say_metadata(handshake_t *self, const char *name)
{
    uint8_t body[NAME_MAX_SIZE + METADATA_WRITE_MAX];
    size_t size = handshake_name(body, name);
    size += handshake_metadata(self, body + size);
    handshake_command(self, body, size);
}

// --- client -----------------------------------------------------------------

static void
say_hello(handshake_t *self)
{
    uint8_t body[NAME_MAX_SIZE + 2 * (1 + HANDSHAKE_CREDENTIAL_MAX)];
    size_t size = handshake_name(body, "HELLO");
    size += write_text(body + size, self->conf->user);
    size += write_text(body + size, self->conf->password);
    handshake_command(self, body, size);
    explicit_bzero(body, sizeof body);
}

static void
take_welcome(handshake_t *self, uint8_t *body, size_t size)
{
    (void)body;
    if (size)
        handshake_fail(self, FAULT_PROTOCOL, "WELCOME of PLAIN has a body");
    else
        say_metadata(self, "INITIATE");
}

static void
take_ready(handshake_t *self, uint8_t *body, size_t size)
{
    handshake_take_metadata(self, body, size);
}

// --- server -----------------------------------------------------------------

static void
wait_for_hello(handshake_t *self)
{
    (void)self;
}

static void
take_hello(handshake_t *self, uint8_t *body, size_t size)
{
    metadata_value_t user, password;
    if (read_hello(body, size, &user, &password))
        handshake_ask(self);
    else
        handshake_fail(self, FAULT_PROTOCOL, "HELLO of PLAIN is malformed");
}

// The HELLO is kept until the verdict.
static void
claim(const handshake_t *self, handshake_claim_t *claim)
{
    frame_head_t head;
    size_t name = 1 + strlen("HELLO");
    if (frame_read(self->in.at, self->in.size, &head) != 1 || self->in.size < head.head + name)
        return;
    metadata_value_t user, password;
    if (read_hello(self->in.at + head.head + name, self->in.size - head.head - name, &user, &password)) {
        claim->user = user;
        claim->password = password;
    }
}

static void
say_welcome(handshake_t *self)
{
    uint8_t body[NAME_MAX_SIZE];
    handshake_command(self, body, handshake_name(body, "WELCOME"));
}

static void
take_initiate(handshake_t *self, uint8_t *body, size_t size)
{
    if (handshake_take_metadata(self, body, size))
        say_metadata(self, "READY");
}

const mechanism_scripts_t handshake_plain = {
    .client = { .begin = say_hello, .steps = { { "WELCOME", false, take_welcome }, { "READY", true, take_ready } } },
    .server = { .begin = wait_for_hello,
                .steps = { { "HELLO", false, take_hello }, { "INITIATE", true, take_initiate } },
                .welcome = say_welcome,
                .claim = claim },
};
