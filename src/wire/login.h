// SPDX-License-Identifier: MPL-2.0
// login.h - the handshake of a connection: who comes is asked of the guard, and is a
// peer of its port after it.

#ifndef ZB_WIRE_LOGIN_H
#define ZB_WIRE_LOGIN_H

#include "wire/internal.h"

void login_configure(wport_t *port); // what all handshakes of a side have in common; again when its secrets changed
void login_unconfigure(wport_t *port);

bool login_admits(const wport_t *port, const char *host); // a peer there, before anything is said; "": over ipc
void login_greet(conn_t *conn);  // send what we send first
void login_go_on(conn_t *conn);  // read what is there
void login_prompt(conn_t *conn); // it has said nothing for a while
void login_answer(conn_t *conn); // the guard may have its verdict now
void login_forget(conn_t *conn); // it has ended
void login_review(conn_t *conn); // the policy has changed: may it stay?

// It comes from another route: what the guard says of it now, and what its handshake goes on with.
void login_again(conn_t *conn);
void login_resume(conn_t *conn);

#endif
