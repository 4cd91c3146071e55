// SPDX-License-Identifier: MPL-2.0
// endpoint_internal.h - what the parser of endpoints is made of. Only for its files.

#ifndef ZB_ENDPOINT_INTERNAL_H
#define ZB_ENDPOINT_INTERNAL_H

#include "conf/endpoint.h"

// One parse: where we are and where the complaint goes.
typedef struct {
    const char *text;
    bool connect;
    endpoint_t *endpoint;
    char *reason;
    size_t size;
    size_t *offset;
} endpoint_parse_t;

// Returns -1.
int endpoint_fail(const endpoint_parse_t *self, const char *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// LENGTH bytes at FROM, if they fit with their NUL.
bool endpoint_copy(char *to, size_t room, const char *from, size_t length);

// HOST:PORT up to END, or a host. LOCAL: ours, an address, interface or *; else a peer's.
int endpoint_read_host_port(const endpoint_parse_t *self, const char *at, const char *end, bool local, char host[256],
                            int *port, bool *wildcard);
int endpoint_check_host(const endpoint_parse_t *self, const char *at, char host[256], bool local);

bool endpoint_is_loopback(const char *host);
void endpoint_print_host_port(char *text, size_t size, const char *host, int port);

#endif
