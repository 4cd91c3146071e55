// SPDX-License-Identifier: MPL-2.0
// savedroute.h - what a route hands over to its successor, as those see it who only carry
// it: the record (base/record.h) that route_save has made, and the descriptors in it.

#ifndef ZB_SAVEDROUTE_H
#define ZB_SAVEDROUTE_H

#include "base/record.h"

// Of the record. Whoever changes what one of its tags means makes another format.
enum {
    SAVEDROUTE_FORMAT = 1,
    SAVEDROUTE_FORMAT_STREAM, // of a route that has a stream on NATS servers: programs of the former cannot go on with one
};

// Of the fields of a record. Never used for anything else.
enum { SAVEDROUTE_FDS = 1000 }; // int, one behind the other

bool savedroute_fd(const record_t *self, size_t i, int *fd); // false: there are no more

// Nobody takes it: its connections are closed. Returns how many.
size_t savedroute_drop(record_t *self);

// Of every record that goes from one program to the next: a number in it may be of something else by now. Close the
// sockets in the field TAG, ints one behind the other. Returns how many of them were connections.
size_t saved_close(record_fields_t from, unsigned tag);
bool saved_is_socket(int fd);

#endif
