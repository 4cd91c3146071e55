// SPDX-License-Identifier: MPL-2.0
//
// NULL: each side says READY at once. A side that asks knows all there is to know
// when the greeting is over, and says READY after the verdict.
#include "zmtp/handshake_parts.h"

static void
say_ready(handshake_t *self)
{
    uint8_t body[METADATA_WRITE_MAX + 6];
    size_t size = handshake_name(body, "READY");
    size += handshake_metadata(self, body + size);
    handshake_command(self, body, size);
}

static void
begin(handshake_t *self)
{
    if (self->conf->asks)
        handshake_ask(self);
    else
        say_ready(self);
}

static void
take_ready(handshake_t *self, uint8_t *body, size_t size)
{
    handshake_take_metadata(self, body, size);
}

#define SIDE                                                                                                           \
    {                                                                                                                  \
        .begin = begin, .steps = { { "READY", true, take_ready } }, .welcome = say_ready,                              \
    }

const mechanism_scripts_t handshake_null = { .client = SIDE, .server = SIDE };
