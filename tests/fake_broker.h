// SPDX-License-Identifier: MPL-2.0
// fake_broker.h - a broker without sockets: real configuration, real counters,
// and states that a test sets. It takes the place of src/broker in a test
// program; what it was asked to do is written down.

#ifndef ZB_FAKE_BROKER_H
#define ZB_FAKE_BROKER_H

#include "broker/broker.h"

#define FAKE_ROUTES 8

typedef struct {
    counters_t counters, cleared;
    route_state_t state;
    const char *failure;
    route_t *route; // NULL: it has no sockets
    uint32_t history[60];
    double rate_in, rate_out, blocked_share;
} fake_route_t;

struct broker {
    conf_t *conf;
    fake_route_t routes[FAKE_ROUTES];
    broker_status_t status;
    const client_t *clients;
    size_t client_count;
    text_t calls; // "pause prices\n"
    int stops;
    bool refuses_reload;
};

// INI is the text of the file. NULL, with the problems on standard output, if it is wrong.
broker_t *fake_broker_new(const char *ini);
void fake_broker_destroy(broker_t **self_p);

// A diag is empty, or its lines go to standard output. True: it was empty.
bool fake_diag_is_empty(diag_t *diag);

#endif
