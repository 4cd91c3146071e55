// SPDX-License-Identifier: MPL-2.0
// http_internal.h - what the HTTP server is made of, for the files of this module only.

#ifndef ZB_HTTP_INTERNAL_H
#define ZB_HTTP_INTERNAL_H

#include "admin/http.h"
#include "admin/page.h"
#include "base/loop.h"
#include "base/text.h"

#include <limits.h>
#include <microhttpd.h>

// A connection's place: who has come and how long its request, or our answer, takes.
typedef struct {
    bool used, answering;
    int fd;
    int64_t since_ms;
} place_in_time_t;

struct http {
    watched_t clients; // first: those who come
    watched_t requests; // of those who are there: descriptors of libmicrohttpd
    zloop_t *main;      // which hears of both by one descriptor
    loop_t loop;
    broker_t *broker;
    struct MHD_Daemon *daemon;
    int listener, timer, soon;
    int port;
    bool full; // the listener is not polled
    char hostname[HOST_NAME_MAX + 1];
    char *host; // as configured
    place_in_time_t places[HTTP_CONNECTIONS_MAX];
    size_t count;
};

#define HTTP_TEXT "text/plain; charset=utf-8"

typedef struct {
    unsigned status;
    const char *content_type;
    const char *cache;
    text_t body;               // what we have written, or
    const page_asset_t *asset; // what is compiled in
    const char *allow;
    bool is_last;              // of its connection
    char etag[24];
} http_answer_t;

typedef struct {
    http_t *http;
    struct MHD_Connection *connection;
    http_answer_t *answer;
} exchange_t;

// The socket to listen on. HOST is a name, an address or "*", which is all addresses of both families; PORT 0: any. A
// descriptor, or -1 with errno and the reason in words, borrowed.
int http_listen(const char *host, int port, const char **reason);

// A whole request has arrived: it is answered. ARG is the http_t.
enum MHD_Result http_on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_size, void **request);

// The answer says why there is none. TEXT has no newline.
void http_refuse(http_answer_t *answer, unsigned status, const char *text);

// What is at the path URL, into the exchange's answer.
void http_serve(exchange_t *exchange, const char *url);

// The connection's place, NULL: it has none.
place_in_time_t *http_place(struct MHD_Connection *connection);

#endif
