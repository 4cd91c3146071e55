// SPDX-License-Identifier: MPL-2.0
// settle.h - what was written to a connection that has ended: did the peer's system get
// it? A system says so late (it saves acknowledgements), and a peer that has closed in
// good order may have half-closed only. So a connection with something under way is
// not closed but half-closed, and soon it is known: acknowledged, or refused. What
// is still open then is taken back by a reset, so that what counts as lost is lost.

#ifndef ZB_WIRE_SETTLE_H
#define ZB_WIRE_SETTLE_H

#include "wire/internal.h"

// True: *LOST messages that were written to it do not arrive. False: that is not known yet.
bool settle_is_known(conn_t *conn, uint64_t *lost);

void settle_at_once(conn_t *conn); // it is closed now
void settle_later(conn_t *conn); // it has ended, but for that: it is held until then
void settle_tick(wire_t *self);

static inline bool
settle_waits(const wire_t *self)
{
    return self->settling;
}

#endif
