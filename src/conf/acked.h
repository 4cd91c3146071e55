// SPDX-License-Identifier: MPL-2.0
// acked.h - what does not go together about acknowledged producers and workers: their
// keys without them, what is not kept, and where dead letters go.

#ifndef ZB_ACKED_H
#define ZB_ACKED_H

#include "conf/assigned.h"

void acked_check(const check_t *self);
void acked_together(const conf_t *conf, diag_t *diag); // what only all routes can get wrong

bool acked_row_is_idle(const route_conf_t *route, const key_row_t *row); // a key of a side that is not there
bool acked_stands_in(const check_t *self,
                     size_t which); // the side is not needed: an acknowledged one does what it does

#endif
