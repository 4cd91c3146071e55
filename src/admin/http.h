// SPDX-License-Identifier: MPL-2.0
// http.h - the status page, /metrics and /api/v1 over libmicrohttpd, in the main
// thread's loop: no thread of its own, nothing here touches the message path.
//
// Read only: GET and HEAD. A Host that is not ours is refused (DNS rebinding):
// ours are IP addresses, localhost and this machine's name. At most
// HTTP_CONNECTIONS_MAX at a time, newcomers wait in the kernel's queue; a
// request has HTTP_REQUEST_MS to arrive and HTTP_ANSWER_MS to be taken.

#ifndef ZB_HTTP_H
#define ZB_HTTP_H

#include "base/diag.h"
#include "broker/broker.h"

#include <czmq.h>

#define HTTP_CONNECTIONS_MAX 64
#define HTTP_REQUEST_MS 10000
#define HTTP_ANSWER_MS 30000
#define HTTP_HEADER_MAX (16 * 1024)        // of a request: line and headers; longer ones are refused
#define HTTP_MEMORY (2 * HTTP_HEADER_MAX) // of a connection: the request's, and room to answer one that is too long

typedef struct http http_t;

// HOST is a name, an address (brackets allowed) or "*"; PORT 0: any. Everything
// is borrowed. NULL with the reason in DIAG, also where zbroker was built
// without libmicrohttpd. BEFORE listens already, as the program before was told to; -1: there is none.
http_t *http_new(zloop_t *loop, broker_t *broker, const char *host, int port, int before, diag_t *diag);

int http_listener(const http_t *self);

int http_port(const http_t *self); // as bound
void http_destroy(http_t **self_p);

#endif
