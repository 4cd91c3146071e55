// SPDX-License-Identifier: MPL-2.0
// values.h - the last message of each topic. A topic that is one too many takes the
// place of the one that was not published for longest.
//
// Beside its message a topic takes 88 bytes, and what malloc(3) adds.

#ifndef ZB_WIRE_VALUES_H
#define ZB_WIRE_VALUES_H

#include "wire/kept.h"

extern const keeper_t keeper_values;

#endif
