// SPDX-License-Identifier: MPL-2.0
// endpoints.h - the endpoints of one side, and the lines that they came from.

#ifndef ZB_ENDPOINTS_H
#define ZB_ENDPOINTS_H

#include "conf/assigned.h"

#include <zmq.h>

// The socket types that multicast carries.
#define SUBSCRIBING (ON(ZMQ_PUB) | ON(ZMQ_SUB) | ON(ZMQ_XPUB) | ON(ZMQ_XSUB))

// From what was given into the side; what is wrong is told.
void endpoints_take(const check_t *self, size_t which);

// Also true of a line whose endpoint is wrong: that has been reported. -o with an empty value takes lines away.
bool endpoints_given(const check_t *self, size_t which);

size_t endpoints_count(const side_conf_t *side, bool connect);

// The line that an endpoint came from, to name its key.
const raw_item_t *endpoints_item(const check_t *self, size_t which, const endpoint_conf_t *endpoint);

// Does each transport go with the socket type and the engine?
void endpoints_check(const check_t *self, size_t which);

#endif
