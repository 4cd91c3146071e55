// SPDX-License-Identifier: MPL-2.0
// address.h - socket addresses of endpoints, without asking any server.

#ifndef ZB_ADDRESS_H
#define ZB_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

typedef struct {
    struct sockaddr_storage at;
    socklen_t length;
} address_t;

// One of ours: an address in numbers, an interface's first one, or "*". False: there is none.
bool address_local(address_t *self, const char *host, int port, bool ipv6);

// "HOST:PORT", as an endpoint has its source: "192.0.2.1:0", "[::1]:0", "eth0:0".
bool address_source(address_t *self, const char *text, bool ipv6);

bool address_numeric(address_t *self, const char *host, int port); // false: it is a name
bool address_unix(address_t *self, const char *path);              // "@name": abstract; false: too long
void address_set_port(address_t *self, int port);
int address_port(const address_t *self); // 0: it has none

// Where FD, a socket, is bound. False: it is no socket.
bool address_bound(address_t *self, int fd);

// Who is at the other end of FD, for the log and the list of clients: "192.0.2.7:5555", "[2001:db8::7]:5555",
// "ipc uid 1000 pid 4711". The host alone: as `allow` and `deny` compare it, an IPv4 address that came through IPv6 as
// what it is; "" for a UNIX socket.
void address_peer(const address_t *self, int fd, char *text, size_t room);
void address_host(const address_t *self, char *text, size_t room);

#endif
