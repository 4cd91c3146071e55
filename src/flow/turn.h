// SPDX-License-Identifier: MPL-2.0
// turn.h - whose turn it is to use a route's sockets.
//
// A ZeroMQ socket may move from thread to thread, but belongs to one at a time.
// A route's sockets are its own thread's, which lends them out while it sleeps:
// an I/O thread that has news for one of them then does at once what the route
// would do, instead of waking it. Two changes of threads, half of what a message
// that comes alone costs, are saved.
//
// Who has the turn has all of the route that is its thread's (forward.h).

#ifndef ZB_TURN_H
#define ZB_TURN_H

#include <stdbool.h>

typedef struct turn turn_t;

typedef struct {
    void *owner;
    bool (*serve)(void *owner, void *what); // do what there is to do; false: the rest is the owner's
    void (*wake)(void *sleeper);            // for that rest; from any thread
    void *sleeper;
} turn_owner_t;

// The caller has it. Never fails.
turn_t *turn_new(const turn_owner_t *owner);

// By who has it: nobody will be given it any more. NULL is none.
void turn_end(turn_t **self_p);

// By the owner, before and after it sleeps. back: true if somebody else had it meanwhile.
void turn_lend(turn_t *self);
bool turn_take_back(turn_t *self);

// By anybody, at any time, also after the end: may it be had, probably?
bool turn_is_lent(const turn_t *self);

// Have the owner's WHAT served by this thread; never waits. False: it was not to be had.
bool turn_serve(turn_t *self, void *what);

#endif
