// SPDX-License-Identifier: MPL-2.0
#include "zmtp/handshake.h"

#include "base/mem.h"

#include <stdlib.h>

struct handshake {
    const handshake_conf_t *conf;
    handshake_peer_t peer;
};

const char *
handshake_mechanism_name(handshake_mechanism_t mechanism)
{
    static const char *const names[] = { "NULL", "PLAIN", "CURVE" };
    return names[mechanism];
}

handshake_t *
handshake_new(const handshake_conf_t *conf)
{
    handshake_t *self = xcalloc(1, sizeof *self);
    self->conf = conf;
    return self;
}

void
handshake_destroy(handshake_t **self_p)
{
    free(*self_p);
    *self_p = NULL;
}

handshake_state_t
handshake_state(const handshake_t *self)
{
    (void)self;
    return HANDSHAKE_FAILED;
}

size_t
handshake_feed(handshake_t *self, const uint8_t *in, size_t size)
{
    (void)self, (void)in, (void)size;
    return 0;
}

const uint8_t *
handshake_output(const handshake_t *self, size_t *size)
{
    (void)self;
    *size = 0;
    return NULL;
}

void
handshake_sent(handshake_t *self, size_t size)
{
    (void)self, (void)size;
}

handshake_claim_t
handshake_claim(const handshake_t *self)
{
    return (handshake_claim_t){ .mechanism = self->conf->mechanism };
}

void
handshake_verdict(handshake_t *self, handshake_verdict_t verdict)
{
    (void)self, (void)verdict;
}

const handshake_peer_t *
handshake_peer(const handshake_t *self)
{
    return &self->peer;
}

bool
handshake_take_session(handshake_t *self, curve_session_t *session)
{
    (void)self, (void)session;
    return false;
}

handshake_fault_t
handshake_fault(const handshake_t *self)
{
    (void)self;
    return FAULT_PROTOCOL;
}

const char *
handshake_fault_name(handshake_fault_t fault)
{
    (void)fault;
    return "protocol";
}

const char *
handshake_words(const handshake_t *self)
{
    (void)self;
    return "not spoken yet";
}

size_t
handshake_saved_size(const handshake_t *self)
{
    (void)self;
    return 0;
}

void
handshake_save(const handshake_t *self, uint8_t *at)
{
    (void)self, (void)at;
}

handshake_t *
handshake_restore(const handshake_conf_t *conf, const uint8_t *at, size_t size)
{
    (void)conf, (void)at, (void)size;
    return NULL;
}
