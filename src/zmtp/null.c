// SPDX-License-Identifier: MPL-2.0
//
// NULL: each side says READY when it likes. A server waits for its client's: a libzmq
// client that hears first of a socket type which does not fit leaves without a word,
// and nobody could say what it was. It does not wait for ever (handshake_prompt).
// A side that asks knows all there is to know when the greeting is over, and says
// READY after the verdict.
#include "zmtp/handshake_internal.h"

static void
say_ready(handshake_t *self)
{
    uint8_t body[METADATA_WRITE_MAX + 6];
    size_t size = handshake_name(body, "READY");
    if (self->is.said_ready)
        return;
    self->is.said_ready = true;
    size += handshake_metadata(self, body + size);
    handshake_command(self, body, size);
}

static void
begin(handshake_t *self)
{
    if (self->conf->asks)
        handshake_ask(self);
    else if (!self->conf->as_server)
        say_ready(self);
}

static void
welcome(handshake_t *self)
{
    if (!self->conf->as_server)
        say_ready(self);
}

static void
take_ready(handshake_t *self, uint8_t *body, size_t size)
{
    if (handshake_take_metadata(self, body, size))
        say_ready(self);
}

#define SIDE                                                                                                           \
    {                                                                                                                  \
        .begin = begin, .steps = { { "READY", true, take_ready } }, .welcome = welcome, .prompt = say_ready,           \
    }

const mechanism_scripts_t handshake_null = { .client = SIDE, .server = SIDE };
