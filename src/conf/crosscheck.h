// SPDX-License-Identifier: MPL-2.0
// crosscheck.h - what only all routes together can get wrong: two binds of one
// address, a circle of routes, an inproc name that nobody binds, too many sockets.

#ifndef ZB_CROSSCHECK_H
#define ZB_CROSSCHECK_H

#include "conf/conf.h"
#include "conf/raw.h"

// RAW is what CONF came from: of two lines that clash the later one is to blame.
void crosscheck_check(const conf_t *conf, const raw_t *raw, diag_t *diag);

#endif
