// SPDX-License-Identifier: MPL-2.0
// joblog.h - what becomes of the messages that acknowledged workers get, said to where
// they come from: the route's store, or its stream on a NATS server. A message has the
// number under which it came.
//
// A store counts a try when it is told of it, and the try may begin when that is on the
// disk. A stream has counted it before it gave the message out, and gives it out for the
// next one itself, to any machine.

#ifndef ZB_WIRE_JOBLOG_H
#define ZB_WIRE_JOBLOG_H

#include "flow/letters.h"
#include "wire/internal.h"

void joblog_done(wire_t *wire, uint64_t number);
void joblog_try(wire_t *wire, uint64_t number, uint32_t tries); // it is given out so often

// How much was said so far, and how much of that holds whatever happens.
uint64_t joblog_said(const wire_t *wire);
uint64_t joblog_reached(const wire_t *wire);

bool joblog_gives_again(wire_t *wire, uint64_t number); // for the next try; false: whoever asks does so himself

// At the end, of a message that nobody got: it was not tried, and is not done.
void joblog_untry(wire_t *wire, uint64_t number, uint32_t tries);
void joblog_undo(wire_t *wire, uint64_t number);

letterbox_t *joblog_letters(const wire_t *wire); // from which dead letters are sent; NULL: there is none

#endif
