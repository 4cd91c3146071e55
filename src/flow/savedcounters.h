// SPDX-License-Identifier: MPL-2.0
// savedcounters.h - what a route has counted, as a field of a record (base/record.h), each
// number with its name: the programs that write and read it may count other things.

#ifndef ZB_SAVEDCOUNTERS_H
#define ZB_SAVEDCOUNTERS_H

#include "base/record.h"
#include "flow/counters.h"

void savedcounters_write(record_t *to, unsigned tag, const counters_t *counters);

// Those without a name in FROM, which need not have the field TAG, are 0 after.
void savedcounters_read(record_fields_t from, unsigned tag, counters_t *counters);

#endif
