// SPDX-License-Identifier: MPL-2.0
// zbroker-internal.h - what the daemon is made of, for the files of zbroker(8) only.

#ifndef ZB_ZBROKER_INTERNAL_H
#define ZB_ZBROKER_INTERNAL_H

#include "admin/control.h"
#include "admin/http.h"
#include "base/record.h"
#include "broker/activation.h"
#include "broker/broker.h"
#include "flow/letters.h"
#include "guard/guard.h"
#include "guard/policy.h"
#include "net/resolver.h"
#include "zbroker-limits.h"
#include "zmq/watch.h"

#include <czmq.h>

// In the order in which they are made.
typedef struct {
    int signals; // a signalfd(2)
    activation_t *activation;
    const record_t *before; // what the program before has left, NULL: there was none
    limits_t limits;
    letters_t *letters;
    void *ctx;
    resolver_t *resolver;
    watch_t *watch;
    policy_t *checked; // what the check has read, until the guard has it
    guard_t *guard;
    broker_setup_t setup;
    zloop_t *loop;
    broker_t *broker;
    control_t *control; // NULL: none is wanted
    http_t *http;       // likewise
} daemon_t;

#endif
