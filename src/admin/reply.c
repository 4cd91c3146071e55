// SPDX-License-Identifier: MPL-2.0
#include "admin/reply.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

// --- what was asked -----------------------------------------------------------------

const char *
reply_arg(const request_t *request, size_t i)
{
    return i < request->count ? request->args[i].text : NULL;
}

bool
reply_find_route(request_t *request, broker_route_t *route)
{
    const char *name = reply_arg(request, 0);
    bool found = broker_find(request->broker, name, route);
    if (!found)
        broker_unknown_route(request->broker, name, &request->error);
    return found;
}

void
reply_for_routes(request_t *request, void (*fn)(request_t *request, const broker_route_t *route, void *context),
                 void *context)
{
    broker_route_t route;
    bool one = reply_arg(request, 0);
    if (one && reply_find_route(request, &route))
        fn(request, &route, context);
    for (size_t i = 0; !one && broker_at(request->broker, i, &route); i++)
        fn(request, &route, context);
}

// --- what comes of it ---------------------------------------------------------------

void
reply_fail(request_t *request, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vadd(&request->error, format, args);
    va_end(args);
}

// Append TEXT line by line, safe for a terminal, without blank lines: one would end the answer.
static void
put_lines(text_t *out, const char *text)
{
    while (*text) {
        size_t length = strcspn(text, "\n");
        if (length) {
            text_shown(out, text, length);
            text_char(out, '\n');
        }
        text += length + (text[length] == '\n');
    }
}

void
reply_done(request_t *request, const char *format, ...)
{
    text_t text = { 0 };
    va_list args;
    va_start(args, format);
    text_vadd(&text, format, args);
    va_end(args);
    put_lines(request->out, request->json ? "{\"ok\":true}" : text.data);
    text_free(&text);
}

void
reply_refuse(text_t *answer, bool json, const char *text)
{
    if (!json) {
        text_add(answer, "error: ");
        put_lines(answer, *text ? text : "failed");
        return;
    }
    // More than one line: the first says what failed, the others why.
    size_t first = strcspn(text, "\n");
    json_t writer = json_document(answer);
    json_bytes(&writer, "error", text, first);
    if (text[first] && text[first + 1])
        json_lines(&writer, "problems", text + first + 1);
    json_document_end(&writer);
}

void
reply_broker(request_t *request, int rc, text_t *lines, const char *key, const char *failure)
{
    if (rc == -1) {
        reply_fail(request, "%s\n%s", failure, lines->data ? lines->data : "");
    } else if (request->json) {
        json_t json = json_document(request->out);
        json_bool(&json, "ok", true);
        json_lines(&json, key, lines->data ? lines->data : "");
        json_document_end(&json);
    } else {
        put_lines(request->out, lines->size ? lines->data : "nothing to do\n");
    }
    text_free(lines);
}

static void
say_count(text_t *words, uint64_t count, const char *what, const char *how)
{
    if (count > 0)
        text_add(words, ", %" PRIu64 " %s%s %s", count, what, text_plural(count), how);
}

static void
say_leftover(const leaving_t *leaving, text_t *answer)
{
    const route_leftover_t *left = &leaving->left;
    if (leaving->json) {
        json_t json = json_document(answer);
        json_bool(&json, "ok", true);
        json_uint(&json, "undelivered", left->undelivered);
        json_uint(&json, "unanswered", left->unanswered);
        json_document_end(&json);
        return;
    }
    text_add(answer, "route %s: %s", leaving->route, route_state_name(ROUTE_DISABLED));
    say_count(answer, left->undelivered, "message", "undelivered");
    say_count(answer, left->unanswered, "request", "unanswered");
    text_char(answer, '\n');
}

static void
say_whether_it_runs(broker_t *broker, const leaving_t *leaving, text_t *answer)
{
    request_t request = { .broker = broker, .json = leaving->json, .out = answer };
    broker_route_t route;
    if (!broker_find(broker, leaving->route, &route))
        broker_unknown_route(broker, leaving->route, &request.error);
    else if (route.state == ROUTE_RUNNING)
        reply_done(&request, "route %s: %s\n", leaving->route, route_state_name(route.state));
    else if (*route.failure)
        reply_fail(&request, "route %s: %s", leaving->route, route.failure);
    else
        reply_fail(&request, "route %s is %s", leaving->route, route_state_name(route.state));
    if (request.error.size)
        reply_refuse(answer, leaving->json, request.error.data);
    text_free(&request.error);
}

void
reply_left(broker_t *broker, const leaving_t *leaving, text_t *answer)
{
    if (leaving->returns)
        say_whether_it_runs(broker, leaving, answer);
    else
        say_leftover(leaving, answer);
}
