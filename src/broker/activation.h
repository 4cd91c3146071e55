// SPDX-License-Identifier: MPL-2.0
// activation.h - listening sockets that systemd has opened, sd_listen_fds(3) by
// hand: from a socket unit, or from the descriptor store of the process before.
// They are matched to endpoints by the address they are bound to, so that names
// need not be kept in step.

#ifndef ZB_ACTIVATION_H
#define ZB_ACTIVATION_H

#include "base/text.h"
#include "conf/conf.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct activation activation_t;

// Take what LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES offer, set it close-on-exec
// and take the variables out of the environment. Call before any thread is
// started. Never NULL; without an offer it is empty.
activation_t *activation_new(void);

size_t activation_count(const activation_t *self); // not taken yet

// The listening descriptor that is bound to ENDPOINT, or -1: as
// route_resources_t.activated, ARG is the activation_t. It is the caller's then.
int activation_take(void *arg, const endpoint_conf_t *endpoint);

// What was not taken yet and CONF has no use for, one at a time: close it and tell of it. Whatever of it is in
// systemd's store must go from there too, or nobody can bind over it. False: there is no more.
typedef struct {
    const char *name; // borrowed
    text_t address;   // in words; the caller's
    int port;         // of tcp, else 0
} activation_left_t;
bool activation_drop(activation_t *self, const conf_t *conf, activation_left_t *left);

// The name under which ENDPOINT's descriptor goes into the store: its text, made fit for systemd_store.
void activation_name(const endpoint_conf_t *endpoint, char name[256]);

// One more, of the program before: its file goes when the endpoint goes. Takes FD.
void activation_add(activation_t *self, int fd, const char *name);
bool activation_is_ours(void *arg, int fd); // it came so; ARG as above

// What was not taken is closed.
void activation_destroy(activation_t **self_p);

#endif
