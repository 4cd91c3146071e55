// SPDX-License-Identifier: MPL-2.0
// rights.h - topic rights (acl) on one route over libzmq's sockets: who may publish what. A
// message names its user, whom libzmq has from our answer to its question (zap_handler.h).
//
// What a subscriber may read is not for libzmq's sockets: they send by prefixes, and to whom
// they do not tell. Engine wire has it.
//
// By the route's thread.

#ifndef ZB_RIGHTS_H
#define ZB_RIGHTS_H

#include "conf/conf.h"
#include "flow/admission.h"

#include <zmq.h>

typedef struct rights rights_t;

// NULL: no side of CONF needs a right to publish. GUARD outlives it, CONF need not.
rights_t *rights_new(const route_conf_t *conf, const admission_t *guard);
void rights_free(rights_t **self_p);

// May the message that starts with FIRST come in at FROM? If not that is logged; the caller drops it whole.
bool rights_may_publish(rights_t *self, side_t from, zmq_msg_t *first);

#endif
