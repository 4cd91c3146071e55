// SPDX-License-Identifier: MPL-2.0
// deadletters.h - what other routes of the process give to this one for good: it is put
// into the store, and its sender hears when it is on the disk. A letter that has no room
// waits, and the others with it.

#ifndef ZB_WIRE_DEADLETTERS_H
#define ZB_WIRE_DEADLETTERS_H

#include "wire/internal.h"

deadletters_t *deadletters_new(wire_t *wire); // NULL: the process has no letters
void deadletters_free(deadletters_t **self_p);

void deadletters_take(deadletters_t *self);      // the bell has rung, or there is room
void deadletters_committed(deadletters_t *self); // the store has got further

bool deadletters_hear(deadletters_t *self);       // the bell has rung: has a letter come?
bool deadletters_wait(const deadletters_t *self); // for room, or for the disk; SELF may be NULL

letterbox_t *deadletters_box(deadletters_t *self); // from which this route sends its own

#endif
