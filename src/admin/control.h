// SPDX-License-Identifier: MPL-2.0
// control.h - the control socket: a UNIX stream socket in the main thread's
// loop. One command a line in, text out, a blank line ends the answer.
//
// Nobody is ever waited for. A line has at most 4,096 bytes; a client is read
// again when it has taken its last answer; one that takes nothing for
// CONTROL_STALL_MS is cut; where CONTROL_CLIENTS_MAX are connected, or
// CONTROL_CLIENTS_OF_USER of the newcomer's user, the one of these that has been
// idle longest makes room. CONTROL_CLIENTS_KEPT places are for root and for our
// own user. Peers are known by SO_PEERCRED (unix(7)); who may connect is the mode
// and the group of the file.

#ifndef ZB_CONTROL_H
#define ZB_CONTROL_H

#include "base/diag.h"
#include "broker/broker.h"

#include <czmq.h>

#define CONTROL_CLIENTS_MAX 256
#define CONTROL_CLIENTS_OF_USER 32
#define CONTROL_CLIENTS_KEPT 8
#define CONTROL_STALL_MS 10000
#define CONTROL_TAP_STALL_MS 60000 // somebody may be reading a page of it

typedef struct control control_t;

// Listen at PATH by the rules of net/ipcfile.h, GROUP (gid_t)-1 for the
// process's own. BEFORE is what the program before has left: its clients stay; NULL:
// there was none. Everything else is borrowed. NULL with the reason in DIAG.
control_t *control_new(zloop_t *loop, broker_t *broker, const char *path, mode_t mode, gid_t group, const record_t *before,
                       diag_t *diag);

// An upgrade: taps end, each with its last line (one whose thread takes too long, without); all other clients stay; and what becomes of it, for the client that has asked: FAILURE, or as LINES or JSON.
void control_end_taps(control_t *self);
void control_save(const control_t *self, savedstate_t *to);
void control_answer(control_t *self, const char *lines, const char *json, const char *failure);

// Mode and group of a running socket, after a reload. 0, or -1 with errno.
int control_chmod(control_t *self, mode_t mode, gid_t group);

// The routes may be others now: taps go over to them.
void control_follow(control_t *self);

size_t control_clients(const control_t *self);

// Since the thread that serves the taps was asked for a sign of life that it has not given.
int64_t control_age_ms(control_t *self);

// What can be sent without waiting is sent; the socket goes.
void control_destroy(control_t **self_p);

#endif
