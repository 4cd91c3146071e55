// SPDX-License-Identifier: MPL-2.0
// history.h - the last messages, whatever their topic, in the order in which they were
// published, within all limits that are given.

#ifndef ZB_WIRE_HISTORY_H
#define ZB_WIRE_HISTORY_H

#include "wire/kept.h"

extern const keeper_t keeper_history;

#endif
