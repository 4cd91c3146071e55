// SPDX-License-Identifier: MPL-2.0
// durablekept.c - one durable subscriber goes away, and what is kept for it; see durable_internal.h.

#include "wire/durable_internal.h"

#include "wire/port.h"

// --- away, and back --------------------------------------------------------------------

void
durable_go_away(durable_t *self, int64_t now_ms)
{
    durables_t *all = self->all;
    self->conn = NULL;
    self->left_ms = now_ms;
    if (!self->kept)
        self->kept = keeper_history.new(&all->port->wire->pool, &self->limits);
    self->older = all->newest;
    *(all->newest ? &all->newest->newer : &all->oldest) = self;
    all->newest = self;
    all->away++;
}

void
durable_is_back(durable_t *self)
{
    durables_t *all = self->all;
    *(self->older ? &self->older->newer : &all->oldest) = self->newer;
    *(self->newer ? &self->newer->older : &all->newest) = self->older;
    self->older = self->newer = NULL;
    all->away--;
}

// --- kept ------------------------------------------------------------------------------

// What fell out of the limits. Of what is on its way to it nothing is lost by that.
static void
count_gone(durable_t *self, uint64_t before)
{
    uint64_t gone = before - durable_total(self).messages;
    if (self->conn)
        self->had += (int64_t)gone;
    else if (!self->all->reading)
        port_drop(self->all->port, DROP_EXPIRED, gone);
}

void
durable_put(durable_t *self, const kept_t *message)
{
    uint64_t before = durable_total(self).messages;
    keeper_history.put(self->kept, message);
    count_gone(self, before + 1);
}

typedef struct {
    uint64_t left, stored;
} first_t;

static bool
look_at_first(void *arg, const kept_t *kept)
{
    first_t *self = arg;
    if (self->left == 0)
        return false;
    self->left--;
    self->stored += kept->stored;
    return true;
}

// The first COUNT have gone: expired, or to its connection.
void
durable_let_go_of_first(durable_t *self, uint64_t count)
{
    first_t first = { .left = count };
    keeper_history.each(self->kept, look_at_first, &first);
    for (uint64_t i = 0; i < count; i++)
        keeper_history.forget(self->kept);
    if (first.stored > 0)
        durable_note_number(self, TAG_HAD, first.stored);
}

void
durable_expire(durable_t *self)
{
    const wire_t *wire = self->all->port->wire;
    uint64_t count = history_count_old(self->kept, wire->now_ms);
    if (count == 0)
        return;
    durable_let_go_of_first(self, count);
    port_drop(self->all->port, DROP_EXPIRED, count);
}

void
durable_let_go_of_kept(durable_t *self)
{
    keeper_history.free(self->kept);
    self->kept = NULL;
}
