// SPDX-License-Identifier: MPL-2.0
// luggage.h - what a route hands over to its successor, as those see it who only carry
// it: a record (base/record.h) that the engine has written, and the descriptors in it.

#ifndef ZB_LUGGAGE_H
#define ZB_LUGGAGE_H

#include "base/record.h"

// Of the record. Whoever changes what one of its tags means makes another format.
enum { LUGGAGE_FORMAT = 1 };

// Of the fields of a record. Never used for anything else.
enum { LUGGAGE_FDS = 1000 }; // int, one behind the other

size_t luggage_count(const record_t *self); // of them
int luggage_fd(const record_t *self, size_t i);

// Nobody takes it: its connections are closed. Returns how many.
size_t luggage_drop(record_t *self);

#endif
