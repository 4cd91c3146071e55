// SPDX-License-Identifier: MPL-2.0
// history.h - the last messages, whatever their topic, in the order in which they were
// published, within all limits that are given.

#ifndef ZB_WIRE_HISTORY_H
#define ZB_WIRE_HISTORY_H

#include "wire/kept.h"

extern const keeper_t keeper_history;

uint64_t history_count_old(const void *self, int64_t now_ms); // messages whose time is over: the first ones
void history_is_stored(void *self, uint64_t sequence);        // all of it, from SEQUENCE on

#endif
