// SPDX-License-Identifier: MPL-2.0
// security.h - what libzmq is told of a socket's security: its ZAP domain, its mechanism and its keys.

#ifndef ZB_ZMQ_SECURITY_H
#define ZB_ZMQ_SECURITY_H

#include "base/diag.h"
#include "flow/admission.h"

// After the SOCKET's own options and before its first bind or connect. Its keys are the GUARD's. 0, or -1 with DIAG.
int security_set(void *socket, const route_conf_t *conf, side_t side, const admission_t *guard, diag_t *diag);

#endif
