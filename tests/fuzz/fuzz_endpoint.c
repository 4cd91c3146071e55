// SPDX-License-Identifier: MPL-2.0
// libFuzzer: any text as an endpoint, to bind and to connect. What is accepted
// is normalised once and for all, and clashes with itself unless it is a
// wildcard; a refusal has a reason and a place within the text.

#include "base/mem.h"
#include "conf/cidr.h"
#include "conf/endpoint.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
try(const char *text, bool connect)
{
    endpoint_t endpoint, again;
    char reason[80];
    size_t offset;
    if (endpoint_parse(text, connect, &endpoint, reason, sizeof reason, &offset) == -1) {
        if (!*reason || offset > strlen(text))
            abort();
        return;
    }
    if (endpoint_parse(endpoint.text, connect, &again, reason, sizeof reason, &offset) == -1 ||
        strcmp(endpoint.text, again.text) != 0)
        abort();
    if (endpoint_clash(&endpoint, &again) == endpoint.wildcard)
        abort();
}

// allow and deny are read from the same places.
static void
try_networks(const char *text)
{
    cidrs_t nets = { 0 }, again = { 0 };
    char reason[80];
    size_t offset;
    text_t printed = { 0 };
    if (cidr_parse(&nets, text, reason, sizeof reason, &offset) == 0) {
        cidr_print(&nets, &printed);
        if (cidr_parse(&again, printed.data, reason, sizeof reason, &offset) == -1 || again.count != nets.count)
            abort();
        for (size_t i = 0; i < nets.count; i++)
            if (memcmp(nets.at[i].address, again.at[i].address, 16) != 0 || nets.at[i].bits != again.at[i].bits)
                abort();
    } else if (!*reason || offset > strlen(text))
        abort();
    cidr_match(&nets, text);
    text_free(&printed);
    cidr_free(&nets);
    cidr_free(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = xcalloc(size + 1, 1);
    if (size)
        memcpy(text, data, size);
    try(text, false);
    try(text, true);
    try_networks(text);
    free(text);
    return 0;
}
