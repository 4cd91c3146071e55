// SPDX-License-Identifier: MPL-2.0
// tap.h - copies of a route's messages for whoever looks on: one ring for each
// route, into which a message is written once, however many read it.
//
// The ring has one writer, the route's thread, and one reader, a thread that
// serves all taps. A tap is one looker-on: from where in the ring it sees
// messages, those of which topic, and how many of them the ring had no room for.
// Neither side waits for the other, and one looker-on never for another.
//
// While the ring is full, what passes is counted and not copied. A ring that is
// nearly full keeps the rest of its room for taps with a topic: who asks for
// everything does not take away from who asks for little.

#ifndef ZB_TAP_H
#define ZB_TAP_H

#include "conf/pattern.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TAPS_MAX 16 // of one route at a time

typedef struct tap_ring tap_ring_t;
typedef struct tap tap_t;

typedef struct {
    const void *data;
    size_t size;
} tap_frame_t;

typedef struct {
    int64_t wall_ns;
    side_t side; // where it came in
    size_t frames;
    const tap_frame_t *frame;
} tap_message_t;

// How large frames are kept without a copy. The route's thread holds them, the
// reader's looks and lets go.
typedef struct {
    alignas(8) unsigned char bytes[64]; // room for what an engine needs for one frame
} tap_hold_t;

typedef struct {
    void (*hold)(tap_hold_t *hold, const tap_frame_t *frame, void *message, size_t i); // frame I of MESSAGE
    tap_frame_t (*look)(tap_hold_t *hold);
    void (*let_go)(tap_hold_t *hold);
} tap_sharing_t;

// --- the route's side ------------------------------------------------------------

tap_ring_t *tap_ring_new(const tap_sharing_t *sharing); // NULL: large frames are copied, too. NULL with errno

// One more that sees what passes from now on, if its first frame starts with
// PREFIX. Two references: the ring's and the caller's. NULL: no room.
tap_t *tap_ring_add(tap_ring_t *self, const void *prefix, size_t prefix_size);

// Before a burst: has the reader made room? After it: show the reader what came.
void tap_ring_begin(tap_ring_t *self);
void tap_ring_end(tap_ring_t *self);

// A whole message, of COUNT frames. Small ones are copied, of others the frames are
// shared: MESSAGE is what the ring's sharing holds them by, NULL where they are copied.
void tap_ring_offer(tap_ring_t *self, side_t side, int64_t wall_ns, const tap_frame_t *frames, size_t count, void *message);

// Would every tap miss whatever passes? Then it need not be offered, only counted.
bool tap_ring_is_full(const tap_ring_t *self);
void tap_ring_pass(tap_ring_t *self, size_t messages);

// Forget the taps that have left. False: nobody looks on any more.
bool tap_ring_sweep(tap_ring_t *self);

// What it holds is all there will be.
void tap_ring_close(tap_ring_t **self_p);

// --- the reader's side ------------------------------------------------------------

// The next message, or NULL. It lies in the ring, until the next call.
const tap_message_t *tap_ring_take(tap_ring_t *self);
bool tap_ring_is_closed(const tap_ring_t *self);

// Call when there is nothing to take. True: FD becomes readable when there is
// (once; read it). False: there is something by now.
bool tap_ring_sleep(tap_ring_t *self);
int tap_ring_fd(const tap_ring_t *self);

tap_ring_t *tap_ring_of(const tap_t *tap);

// Show it the message that was taken. Its number among all of this tap's messages,
// from 1; a jump is what was missed. 0: not for this tap.
uint64_t tap_see(tap_t *self);
// How far the route has come, with what was missed since. Call when there is nothing to take.
uint64_t tap_seq(const tap_t *self);

// No more copies for this one, as soon as the route knows.
void tap_leave(tap_t *self);
tap_t *tap_hold(tap_t *self); // one more reference
void tap_release(tap_t **self_p);

#endif
