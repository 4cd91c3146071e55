// SPDX-License-Identifier: MPL-2.0
// knocks.h - the doors of the watch: listening descriptors behind which nobody
// listens yet. watch_door and watch_door_gone are in watch.h. For the watch only,
// and under its lock.

#ifndef ZB_KNOCKS_H
#define ZB_KNOCKS_H

#include "flow/watch_parts.h"

void knocks_answer(watch_t *self);    // calls whoever opens, for each door at which somebody waits
void knocks_ask_again(watch_t *self); // once a round: the same for those who still wait

#endif
