// SPDX-License-Identifier: MPL-2.0
// observers.h - those who look on at a route, the same for every engine: its taps, and the
// number and the time that a message has for them and in the envelopes of the capture.
// How the capture's peers get it is the engine's. The route's thread only.

#ifndef ZB_OBSERVERS_H
#define ZB_OBSERVERS_H

#include "flow/counters.h"
#include "flow/tap.h"

enum { OBSERVERS_FEW_FRAMES = 16 }; // a message of so many needs no memory of its own to be shown

typedef struct {
    tap_ring_t *taps; // NULL while there is none
    bool any;         // somebody looks on
    uint64_t seq;     // of observed messages
    int64_t wall_ns;  // when they pass
    unsigned shown;   // since the round began
} observers_t;

// Around a burst or a round, in which taps may come and go.
void observers_begin(observers_t *self);
void observers_end(observers_t *self);

// Does anybody look on: a tap, or, as the engine knows, OTHERS? From then on numbering goes on from all that has passed
// unobserved: what COUNTERS have, and UNCOUNTED more.
bool observers_look(observers_t *self, bool others, const counters_t *counters, uint64_t uncounted);

// A message passes: it has its number, and its time. True: there are taps with room for it; then show it to them, as
// tap_ring_offer does.
bool observers_next(observers_t *self);
void observers_show(observers_t *self, side_t side, const tap_frame_t *frames, size_t count, void *message);

tap_t *observers_tap(observers_t *self, const tap_sharing_t *sharing, const void *prefix, size_t prefix_size); // NULL: no room
void observers_sweep(observers_t *self); // taps may have left
void observers_close(observers_t *self);

#endif
