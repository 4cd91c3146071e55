// SPDX-License-Identifier: MPL-2.0
// zbroker-service.h - what the daemon and systemd say to each other while it runs:
// ready, status, watchdog, and the listening sockets in systemd's store.

#ifndef ZB_ZBROKER_SERVICE_H
#define ZB_ZBROKER_SERVICE_H

#include "zbroker-internal.h"

// FD listens at ENDPOINT: the kernel goes on taking connects there while no process runs. As
// route_resources_t.listening.
void service_keep_listening(void *arg, const endpoint_conf_t *endpoint, int fd);

// A route that is gone from the file, or binds another address now, left its socket in the store; or a socket unit
// does not fit the file. The store must have let go of it before anything is bound.
void service_drop_unused(activation_t *activation, const conf_t *conf);

// Everything runs: says so, and once a second how it goes.
void service_begin(daemon_t *self);
void service_end(void);

#endif
