// SPDX-License-Identifier: MPL-2.0
// savedroute.h - what a route hands over to its successor, as those see it who only carry
// it: the record (base/record.h) that route_save has made, and the descriptors in it.

#ifndef ZB_SAVEDROUTE_H
#define ZB_SAVEDROUTE_H

#include "base/record.h"

// Of the record. Whoever changes what one of its tags means makes another format.
enum { SAVEDROUTE_FORMAT = 1 };

// Of the fields of a record. Never used for anything else.
enum { SAVEDROUTE_FDS = 1000 }; // int, one behind the other

size_t savedroute_fds(const record_t *self); // how many
int savedroute_fd(const record_t *self, size_t i);

// Nobody takes it: its connections are closed. Returns how many.
size_t savedroute_drop(record_t *self);

#endif
