// SPDX-License-Identifier: MPL-2.0
// mechanism.h - what libzmq is told of a socket's security before its first bind or
// connect. Without a domain that it enforces libzmq lets everybody in when nobody
// answers, so every socket has one, and a side that asks (policy.h) enforces it.

#ifndef ZB_MECHANISM_H
#define ZB_MECHANISM_H

#include "conf/conf.h"

// The ZAP domain ROUTE.SIDE, the mechanism and its keys. -1 with the reason in
// DIAG, or with errno of libzmq's and nothing in DIAG.
int mechanism_set(void *socket, const route_conf_t *conf, side_t side, diag_t *diag);

// How an XPUB reports subscriptions, as its gate needs it. 0, or -1 with errno.
int mechanism_set_reports(void *socket, const route_conf_t *conf, side_t side);
// The same once it runs, when rights came or went.
void mechanism_change_reports(void *xpub, const route_conf_t *conf, side_t side);

#endif
