// SPDX-License-Identifier: MPL-2.0
#include "wire/observe.h"

#include "wire/sides.h"
#include "wire/port.h"

#include <errno.h>

void
observe(conn_t *from, const piece_t *piece)
{
    wire_t *self = from->wire;
    wport_t *capture = &self->ports[SIDE_CAPTURE];
    self->seq++;
    if (capture->socktype && capture->count > 0 && capture->socktype->give(capture, piece) == NO_ROOM)
        counter_add(&self->counters->capture_dropped, 1);
}

void
observe_look(wire_t *self)
{
    const wport_t *capture = &self->ports[SIDE_CAPTURE];
    self->observed = self->taps || (capture->socktype && capture->count > 0);
}

void
observe_close(wire_t *self)
{
    (void)self;
}

tap_t *
observe_tap(route_t *self, const void *prefix, size_t prefix_size)
{
    (void)self;
    (void)prefix;
    (void)prefix_size;
    errno = ENOSPC;
    return NULL;
}
