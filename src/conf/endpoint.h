// SPDX-License-Identifier: MPL-2.0
// endpoint.h - our own parser of ZeroMQ endpoints, zmq_tcp(7), zmq_ipc(7),
// zmq_inproc(7), zmq_pgm(7), zmq_tipc(7): libzmq takes port 70000 and "80x".

#ifndef ZB_ENDPOINT_H
#define ZB_ENDPOINT_H

#include <stdbool.h>
#include <stddef.h>

typedef enum {
    TRANSPORT_TCP, TRANSPORT_IPC, TRANSPORT_INPROC, TRANSPORT_PGM, TRANSPORT_EPGM, TRANSPORT_NORM, TRANSPORT_TIPC, TRANSPORT_WS,
    TRANSPORT_WSS
} transport_t;

typedef struct {
    transport_t transport;
    char text[512];      // normalised: what libzmq and every message is given
    char host[256];      // tcp, ws: address or interface without brackets, "*" for any; pgm: group
    int port;            // tcp, ws, pgm; 0: free port ("*" or "!")
    char source[256];    // tcp connect "src:port;…", pgm interface; else ""
    char path[108];      // ipc: filesystem path, or abstract name starting with '@'
    bool wildcard;       // tcp://…:*, ipc://*
    bool loopback;       // reachable from this host only (127/8, ::1, localhost, lo, ipc, inproc)
} endpoint_t;

// CONNECT: it will be connected, not bound (a host name is then allowed).
// Returns 0, or -1 with the reason and the OFFSET in TEXT (from 0) of what is wrong.
int endpoint_parse(const char *text, bool connect, endpoint_t *endpoint, char *reason, size_t size, size_t *offset);

// Would binding both clash? "tcp://*:5555" and "tcp://127.0.0.1:5555" do; wildcard ports never.
bool endpoint_clash(const endpoint_t *a, const endpoint_t *b);

// Does connecting to one lead to the other, on this host? Of an address that may be another host's nobody can tell.
bool endpoint_reaches(const endpoint_t *connect, const endpoint_t *bind);

// Is what is bound an interface by its name, not an address?
bool endpoint_names_interface(const endpoint_t *bind);

// Does the running library have this transport? (zmq_has, or a probe for ws.)
bool transport_works(transport_t transport);
// Why no route can bind it, whatever the library has. NULL: one can.
const char *transport_bind_refusal(transport_t transport);
const char *transport_name(transport_t transport);
bool transport_is_multicast(transport_t transport);
bool transport_is_over_tcp(transport_t transport);

#endif
