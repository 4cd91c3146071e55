// SPDX-License-Identifier: MPL-2.0
// http_request.c - one request: is it one that we answer, and how the answer is sent.

#include "admin/http_internal.h"

#include "admin/httphost.h"
#include "base/clock.h"
#include "base/mem.h"

#include <string.h>
#include <strings.h>

#define JSON_TYPE "application/json; charset=utf-8"

// --- the answer --------------------------------------------------------------------------

static const struct {
    const char *name, *value;
} headers[] = {
    { "X-Content-Type-Options", "nosniff" },
    { "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'" },
    { "Referrer-Policy", "no-referrer" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
};

static enum MHD_Result
send_answer(struct MHD_Connection *connection, http_answer_t *answer)
{
    struct MHD_Response *response;
    if (answer->asset && answer->status == MHD_HTTP_OK) {
        response = MHD_create_response_from_buffer(answer->asset->size, (void *)(uintptr_t)answer->asset->bytes,
                                                   MHD_RESPMEM_PERSISTENT);
    } else {
        size_t size = answer->body.size;
        response = MHD_create_response_from_buffer(size, text_take(&answer->body), MHD_RESPMEM_MUST_FREE);
    }
    if (!response)
        return MHD_NO;
    for (size_t i = 0; i < COUNT(headers); i++)
        MHD_add_response_header(response, headers[i].name, headers[i].value);
    MHD_add_response_header(response, "Content-Type", answer->content_type);
    MHD_add_response_header(response, "Cache-Control", answer->cache);
    if (*answer->etag)
        MHD_add_response_header(response, "ETag", answer->etag);
    if (answer->allow)
        MHD_add_response_header(response, "Allow", answer->allow);
    if (answer->is_last)
        MHD_add_response_header(response, "Connection", "close");
    enum MHD_Result result = MHD_queue_response(connection, answer->status, response);
    MHD_destroy_response(response);
    return result;
}

void
http_refuse(http_answer_t *answer, unsigned status, const char *text)
{
    answer->status = status;
    answer->content_type = HTTP_TEXT;
    text_add(&answer->body, "%s\n", text);
}

// --- the headers that count --------------------------------------------------------------

// A second Host is an error, whichever of them is ours, and so is a body that ends in two ways (RFC 9112): whoever
// forwards the request may believe another of them.
typedef struct {
    const char *host; // the last one, NULL: there is none
    size_t hosts, ends;
} headers_t;

static enum MHD_Result
see_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    (void)kind;
    headers_t *seen = arg;
    if (strcasecmp(name, "Host") == 0) {
        seen->host = value ? value : "";
        seen->hosts++;
    }
    seen->ends += strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0;
    return MHD_YES;
}

// libmicrohttpd refuses only what its memory has no room for, and has none left for an answer to what just fits.
static bool
is_too_long(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info && info->header_size > HTTP_HEADER_MAX;
}

// The answer says why the request is none that we answer: false.
static bool
is_answered(const http_t *self, struct MHD_Connection *connection, const char *version, bool reads,
            http_answer_t *answer)
{
    headers_t seen = { 0 };
    MHD_get_connection_values(connection, MHD_HEADER_KIND, see_header, &seen);
    answer->is_last = seen.ends > 1;
    if (!reads) {
        http_refuse(answer, MHD_HTTP_METHOD_NOT_ALLOWED, "this server only answers GET and HEAD");
        answer->allow = "GET, HEAD";
    } else if (is_too_long(connection)) {
        http_refuse(answer, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE, "the request line and headers are too long");
    } else if (seen.ends > 1) {
        http_refuse(answer, MHD_HTTP_BAD_REQUEST, "more than one Content-Length or Transfer-Encoding");
    } else if (seen.hosts > 1) {
        http_refuse(answer, MHD_HTTP_BAD_REQUEST, "more than one Host");
    } else if (!seen.hosts && strcmp(version, "HTTP/1.0") != 0) {
        http_refuse(answer, MHD_HTTP_BAD_REQUEST, "no Host");
    } else if (seen.hosts && !httphost_is_ours(seen.host, self->host, self->hostname)) {
        http_refuse(answer, MHD_HTTP_MISDIRECTED_REQUEST,
                    "not a host of this server: use its address, its own name or localhost");
    } else {
        return true;
    }
    return false;
}

enum MHD_Result
http_on_request(void *arg, struct MHD_Connection *connection, const char *url, const char *method, const char *version,
                const char *upload, size_t *upload_size, void **request)
{
    (void)upload;
    http_t *self = arg;
    bool reads = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    if (reads && !*request) { // an answer to the first call would end the connection
        *request = self;
        return MHD_YES;
    }
    if (reads && *upload_size) { // a body means nothing to us, and libmicrohttpd takes no answer before its end
        *upload_size = 0;
        return MHD_YES;
    }
    http_answer_t answer = { .status = MHD_HTTP_OK, .content_type = JSON_TYPE, .cache = "no-store" };
    exchange_t exchange = { self, connection, &answer };
    place_in_time_t *place = http_place(connection);
    if (place) {
        place->answering = true;
        place->since_ms = clock_mono_ms();
    }
    if (is_answered(self, connection, version, reads, &answer))
        http_serve(&exchange, url);
    enum MHD_Result result = send_answer(connection, &answer);
    text_free(&answer.body);
    return result;
}
