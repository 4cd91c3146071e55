// SPDX-License-Identifier: MPL-2.0
// capacity.h - how many connections the process may have: max_clients of [zbroker],
// or what its descriptors allow. The watch counts those of libzmq's sockets in, which
// are there when it hears of them; who accepts by itself asks first. One for the
// process; any thread may call, and waits for nobody while there is room.
//
// Whoever has not said yet who it is (its handshake lasts) takes no place there, but
// one of the few that are for such: strangers that say nothing keep no client out.

#ifndef ZB_CAPACITY_H
#define ZB_CAPACITY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct capacity capacity_t;

capacity_t *capacity_new(void); // without a limit
void capacity_destroy(capacity_t **self_p);

// At LIMIT clients (0: none) ON_FULL (true, arg) is called, below it again with false:
// in the thread that comes or goes, one call at a time.
void capacity_limit(capacity_t *self, size_t limit, void (*on_full)(bool full, void *arg), void *arg);

bool capacity_take(capacity_t *self);                    // a place for one client; false: there is none
void capacity_give(capacity_t *self);                    // it has left
void capacity_count(capacity_t *self, ptrdiff_t change); // so many more, or fewer, are there, whatever the limit is
bool capacity_is_full(const capacity_t *self);
size_t capacity_most(const capacity_t *self); // the limit

// In their handshake: LIMIT in all, and a quarter of it for one side.
void capacity_limit_unnamed(capacity_t *self, size_t limit);
bool capacity_take_unnamed(capacity_t *self);
void capacity_give_unnamed(capacity_t *self);
size_t capacity_unnamed_of_side(const capacity_t *self);

#endif
