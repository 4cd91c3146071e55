// SPDX-License-Identifier: MPL-2.0
// tapcommand.c - the words of the command `tap`, as a tap_request_t.

#include "admin/reply.h"

#include "admin/commandlist.h"
#include "base/mem.h"
#include "conf/suggest.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static void
tap_topic(request_t *request, const char *value)
{
    text_clear(&request->tap->prefix);
    if (!tokens_unescape(value, &request->tap->prefix))
        reply_fail(request, "topic %s: a backslash is written \\\\, a byte \\x1f", value);
}

static void
tap_count(request_t *request, const char *value)
{
    char *end;
    errno = 0;
    unsigned long long count = strtoull(value, &end, 10);
    if (!isdigit((unsigned char)*value) || *end || errno || !count)
        reply_fail(request, "count %s: not a number above 0", value);
    request->tap->count = count;
}

static void
tap_format(request_t *request, const char *value)
{
    int format = tapformat_find(value);
    if (format == -1)
        reply_fail(request, "format %s: one of line, hex, json", value);
    else
        request->tap->format = (tapformat_t)format;
}

static const struct {
    const char *word;
    void (*set)(request_t *request, const char *value);
} tap_words[] = { { "topic", tap_topic }, { "count", tap_count }, { "format", tap_format } };

static void
tap_word(request_t *request, const char *word, const char *value)
{
    suggest_t suggestion = suggest_for(word);
    for (size_t i = 0; i < COUNT(tap_words); i++) {
        suggest_offer(&suggestion, tap_words[i].word);
        if (strcmp(word, tap_words[i].word) != 0)
            continue;
        if (value)
            tap_words[i].set(request, value);
        else
            reply_fail(request, "%s what? usage: tap %s", word, TAP_ARGUMENTS);
        return;
    }
    reply_fail(request, "unknown word %s; ", word);
    if (*suggestion.best)
        reply_fail(request, "did you mean %s?", suggestion.best);
    else
        reply_fail(request, "usage: tap %s", TAP_ARGUMENTS);
}

void
tapcommand_run(request_t *request)
{
    broker_route_t route;
    if (!reply_find_route(request, &route))
        return;
    snprintf(request->tap->route, sizeof request->tap->route, "%s", route.conf->name);
    request->tap->json = request->json;
    request->tap->format = request->json ? TAP_JSON : TAP_LINE;
    for (size_t i = 1; i < request->count && !request->error.size; i += 2)
        tap_word(request, reply_arg(request, i), reply_arg(request, i + 1));
    request->result = COMMAND_TAP;
}
