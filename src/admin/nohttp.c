// SPDX-License-Identifier: MPL-2.0
// nohttp.c - http.h where libmicrohttpd is missing.

#include "admin/http.h"

http_t *
http_new(zloop_t *loop, broker_t *broker, const char *host, int port, int before, diag_t *diag)
{
    (void)loop, (void)broker, (void)before;
    diag_error(diag, (place_t){ 0 }, "http %s:%d: this zbroker was built without HTTP (libmicrohttpd)", host, port);
    return NULL;
}

int
http_port(const http_t *self)
{
    (void)self;
    return 0;
}

int
http_listener(const http_t *self)
{
    (void)self;
    return -1;
}

void
http_destroy(http_t **self_p)
{
    *self_p = NULL;
}
