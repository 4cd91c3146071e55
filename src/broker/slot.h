// SPDX-License-Identifier: MPL-2.0
// slot.h - one route's place in the broker: found, added, given a running route,
// and what it has counted. How a route leaves its slot again is in retire.h.

#ifndef ZB_SLOT_H
#define ZB_SLOT_H

#include "broker/internal.h"

slot_t *slot_find(const broker_t *self, const char *name); // NULL: none

// Takes CONF; the new slot is the last.
slot_t *slot_add(broker_t *self, route_conf_t *conf);

// Out of the broker's list; slot_free is still to come.
void slot_remove(broker_t *self, slot_t *slot);
void slot_free(broker_t *self, slot_t *slot); // its route must be gone

// The slot is done with *CONF_P, which is NULL after: it is freed, now or with the route that still leaves with it.
void slot_give_up_conf(broker_t *self, route_conf_t **conf_p);

// Has its route, which runs, this endpoint, as a connect or as a bind?
bool slot_has_endpoint(const slot_t *slot, const char *endpoint, bool connect);

// All that was counted under this name since the process started. Borrowed until the next call.
const counters_t *slot_counters(broker_t *self, slot_t *slot);
void slot_note_before(broker_t *self, slot_t *slot); // all that until now: what comes is of the last minute

// The listeners that it has from before, whichever route had them, become as its configuration says now. What cannot is logged.
void slot_change_listeners(const slot_t *slot);
void slot_log_problems(const slot_t *slot, diag_t *diag); // of a change

// Sockets for CONF on LISTENERS, but no thread yet, and *COUNTERS for it, which
// are the caller's. NULL with DIAG, and then *COUNTERS is NULL too.
route_t *slot_open_route(broker_t *self, const route_conf_t *conf, listeners_t *listeners, counters_t **counters, diag_t *diag);

// Give the slot's route its thread, in the state it had, and log EVENT. -1, logged: it has none.
int slot_run(const broker_t *self, slot_t *slot, const char *event);
// Its route's thread is over, or was never started: what it has counted stays.
void slot_close_route(slot_t *slot);
// Where there is no thread: close the route, which is of no use without a thread.
void slot_drop_route(slot_t *slot, diag_t *diag);
// The state `failed`, with the first line of DIAG as its reason.
void slot_fail(slot_t *slot, diag_t *diag);
// Has its route's engine ended by itself? Then the route is closed, and the slot has failed.
void slot_look_for_failure(slot_t *slot);

// Bind, open and run a slot that has no route, on the listeners that wait for it. -1: it has failed, and DIAG says why.
int slot_bring_up(broker_t *self, slot_t *slot, const char *event, diag_t *diag);
// The same for a slot that waited for the one before, or tries once more.
void slot_open_again(broker_t *self, slot_t *slot);

#endif
