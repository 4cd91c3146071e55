// SPDX-License-Identifier: MPL-2.0
// tcp.h - what the options of a side mean for its TCP sockets, whether they listen, connect or were accepted.

#ifndef ZB_TCP_H
#define ZB_TCP_H

#include "conf/conf.h"

// In the units of the kernel. What a side without options gives leaves a socket as it is.
typedef struct {
    int sndbuf, rcvbuf;        // bytes; -1: the system's
    int tos, priority, busy_poll;
    int keepalive;             // 1, 0; -1: the system's
    int keepalive_cnt, keepalive_idle, keepalive_intvl; // s; -1: the system's
    int maxrt;                 // ms; 0: the system's
    char device[16];           // bindtodevice, "": any
} tcp_options_t;

void tcp_options(tcp_options_t *self, const side_conf_t *side);

// Before FD is bound or connected: buffers, type of service, priority, device. 0, or -1 with errno: it may not have
// that device. What else the kernel does not grant is no reason to do without a connection.
int tcp_prepare(int fd, const tcp_options_t *options);

// The same for FD, which listens: what comes into force for those that are accepted from now on. Buffers that are the
// system's again stay as they are. 0, or -1 with errno; tcp_could_change only tells whether it would work.
int tcp_change(int fd, const tcp_options_t *options);
int tcp_could_change(int fd, const tcp_options_t *options);

// Once FD is connected, or was accepted: it waits for nobody's acknowledgement (TCP_NODELAY), keepalives and the rest.
void tcp_tune(int fd, const tcp_options_t *options);

// FD was tuned by other options before: what these had said is taken back, but for buffers and keepalives that are the
// system's again.
void tcp_tune_again(int fd, const tcp_options_t *options);

#endif
