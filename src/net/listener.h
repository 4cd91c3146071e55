// SPDX-License-Identifier: MPL-2.0
// listener.h - a listening descriptor that is ours, not libzmq's: a route that
// is closed and opened again keeps its queue of connects, and accepting can be
// suspended. tcp, ws and ipc only; other transports are bound by libzmq itself.
//
// ipc rules, because zmq_bind would delete a file or take over a living socket:
// the path must be absent or a dead socket, a lock file PATH.lock is held while
// we live, mode and group are set before the first accept, and the file goes
// when the listener is closed.

#ifndef ZB_LISTENER_H
#define ZB_LISTENER_H

#include "base/diag.h"
#include "conf/conf.h"

typedef struct listener listener_t;

// Bind and listen, or take over FD (-1: none): of socket activation, or OURS, of the
// program before, and then its file is too. NULL with the reason in DIAG at the
// endpoint's place.
listener_t *listener_open(const endpoint_conf_t *endpoint, const side_conf_t *side, int fd, bool ours, diag_t *diag);

// Could it be opened? It is bound for a moment, where nobody can connect, and closed. 0, or -1 with DIAG.
int listener_try(const endpoint_conf_t *endpoint, const side_conf_t *side, diag_t *diag);

// A listener that stays gets what SIDE says of a new one: mode and group of its file, backlog, buffers, device and so on;
// listener_could_change only tells whether that would work. 0, or -1 with DIAG at the endpoint's place. One of a socket
// unit stays as it is.
int listener_change(listener_t *self, const endpoint_conf_t *endpoint, const side_conf_t *side, diag_t *diag);
int listener_could_change(listener_t *self, const endpoint_conf_t *endpoint, const side_conf_t *side, diag_t *diag);

// For who has a library accept there: what to tell it to bind, which the caller frees, and what it says that it is bound as.
char *listener_bind_text(const listener_t *self);
void listener_bound(listener_t *self, const char *name);

// Not accepting, for one reason or several at once: newcomers wait in the kernel
// (tcp, ws: a drop-all socket filter; ipc: the path is moved aside, so that connects
// find nobody and come again). From any thread.
typedef enum { CLOSED_FOR_DRAIN = 1, CLOSED_SIDE_FULL = 2, CLOSED_PROCESS_FULL = 4, CLOSED_FOR_MOVE = 8 } closed_for_t;
void listener_accept(listener_t *self, closed_for_t reason, bool on);
void listener_accept_all(closed_for_t reason, bool on); // every listener there is, and those to come

// A reload to WANTED begins to bind: what WANTED does not bind any more is in nobody's way, so that *:5570 is bound
// while 127.0.0.1:5570 still listens. NULL: it is over.
void listener_make_way_for(const conf_t *wanted);

// Somebody closes a socket at this tcp port about now. Whoever binds there waits a moment for that.
void listener_port_closes(int port);

// The holder's side has reached max_clients, or has room again. Each holder says
// both in turn: while one of them is full nobody accepts.
void listener_full(listener_t *self, bool full);

// Has somebody removed the file of a listener for WANTED, an ipc endpoint as configured, that accepts? Then nobody can
// connect any more, and the path cannot be given to it again. NOTE: true once for each, to tell of it.
bool listener_is_missing(const char *wanted);
bool listener_note_missing(const char *wanted);

// No listener asks for a longer queue of connects than this: what waits there is
// accepted at once, whatever the limits say. 0: as configured.
void listener_backlog_cap(int backlog);

const char *listener_endpoint(
    const listener_t *self); // as bound: a wildcard port is resolved (after listener_give where there is no descriptor)
bool listener_is_wildcard(const listener_t *self);     // "tcp://*:*": the same text is not the same endpoint
const char *listener_bound_as(const listener_t *self); // what zmq_unbind wants to hear
const char *listener_wanted(const listener_t *self);   // as configured, the key a reload finds it by
int listener_fd(const listener_t *self);               // -1: libzmq's

// One more holder.
listener_t *listener_share(listener_t *self);
bool listener_is_shared(const listener_t *self);

// GONE (endpoint as configured, arg) is called when the last hold on a tcp or ws listener was given up. NULL: no more.
void listener_on_gone(void (*gone)(const char *wanted, void *arg), void *arg);

// Give up one hold; the last one closes. The ipc file goes too, unless KEEP_FILE (the descriptor lives on in systemd's store).
void listener_close(listener_t **self_p, bool keep_file);

#endif
