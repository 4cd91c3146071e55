// SPDX-License-Identifier: MPL-2.0
// control_internal.h - what the control socket is made of. Only for its files.

#ifndef ZB_CONTROL_INTERNAL_H
#define ZB_CONTROL_INTERNAL_H

#include "admin/commands.h"
#include "admin/control.h"
#include "admin/controlsocket.h"
#include "admin/tapserver.h"
#include "base/loop.h"


enum {
    INPUT_MAX = COMMAND_LINE_MAX + 2, // with CR LF
};

typedef struct session session_t;

struct session {
    watched_t watched; // first
    session_t *next, *previous;
    control_t *control;
    int fd;
    bool dead;  // freed when the turn is over
    bool ended; // has shut its side down: closed when all is sent
    bool line_ends_tap;
    bool asked, asks_json; // for an upgrade, and waits for what becomes of it
    uint32_t events;       // as registered
    char input[INPUT_MAX];
    size_t input_size;
    int passed; // a descriptor that came in this turn, for the line that came with it; -1: none
    text_t output;
    size_t sent;
    int64_t progress_ms; // when the socket last took something, or a command came
    tapsession_t *tap;  // as long as it is there, it writes to FD, not we
    leaving_t leaving;   // its route must go before there is an answer
    control_peer_t who;
};

struct control {
    watched_t listener; // first
    watched_t taps;
    zloop_t *main; // which hears of all that the other loop watches by one descriptor
    loop_t loop;
    int timer;
    broker_t *broker;
    controlsocket_t socket;
    tapserver_t *tapserver;
    bool resting; // out of descriptors: not accepting until the next tick
    session_t *clients, *dead;
    size_t count;
};

// --- control_admit.c: coming and going

void control_accept(control_t *self);
void control_rest(control_t *self, bool resting); // no more are accepted for now; they are again
bool control_read_peer(int fd, control_peer_t *who);
session_t *control_add(control_t *self, int fd, const control_peer_t *who);
void session_log(event_id_t event, const session_t *client);

// Its memory stays until control_bury at the end of the turn: another event may still name it.
void session_drop(control_t *self, session_t *client);
void control_bury(control_t *self);

// --- control_session.c: lines in, answers out

static inline size_t
session_waiting(const session_t *client)
{
    return client->output.size - client->sent;
}

// Send what the socket takes. What it does not take waits for EPOLLOUT.
void session_flush(control_t *self, session_t *client);

// Send, then run what waits for that, then part if that was all, or poll for more.
void session_advance(control_t *self, session_t *client);

// Poll for what we can use: no input while an answer waits.
void session_settle(control_t *self, session_t *client);
void session_ready(watched_t *watched, uint32_t events); // as its descriptor tells

// Is its tap over? Then what it could not send any more is ours to send.
bool session_see_end_of_tap(session_t *client);

// --- control_handover.c: from one program to the next

// The descriptor that listens at PATH, or -1. Its file is moved to no other place: a path that has changed is bound anew.
int control_find_listener(record_fields_t from, const char *path);
void control_restore(control_t *self, record_fields_t from);

#endif
