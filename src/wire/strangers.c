// SPDX-License-Identifier: MPL-2.0
#include "wire/strangers.h"

#include "base/mem.h"
#include "net/origin.h"

#include <stdlib.h>

enum {
    STRANGERS = 256,
    FORGIVEN_EVERY_MS = 20,
};

struct stranger {
    uint32_t waiting, failures;
    int64_t since_ms; // until when failures were forgiven
};

stranger_t *
strangers_find(wire_t *self, int fd)
{
    if (!self->strangers)
        self->strangers = xcalloc(STRANGERS, sizeof *self->strangers);
    return &self->strangers[origin_of_peer(fd) % STRANGERS];
}

void
strangers_free(wire_t *self)
{
    free(self->strangers);
    self->strangers = NULL;
}

// --- what they do ------------------------------------------------------------------------

static void
forgive(stranger_t *self, int64_t now_ms)
{
    int64_t forgiven = (now_ms - self->since_ms) / FORGIVEN_EVERY_MS;
    bool all = forgiven >= self->failures;
    self->failures -= all ? self->failures : (uint32_t)forgiven;
    self->since_ms = all ? now_ms : self->since_ms + forgiven * FORGIVEN_EVERY_MS;
}

bool
strangers_may_come(stranger_t *self, int64_t now_ms)
{
    forgive(self, now_ms);
    return self->failures < STRANGERS_FAILURES_MOST;
}

void
strangers_failed(stranger_t *self, int64_t now_ms)
{
    forgive(self, now_ms);
    if (self->failures < STRANGERS_FAILURES_MOST)
        self->failures++;
}

uint32_t
strangers_waiting(const stranger_t *self)
{
    return self->waiting;
}

void
strangers_wait(stranger_t *self, int change)
{
    self->waiting += (uint32_t)change;
}
