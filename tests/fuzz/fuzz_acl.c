// SPDX-License-Identifier: MPL-2.0
//
// Rules, a user, a subscription and a topic, parted by NUL bytes. Whatever they
// are, an unchecked prefix of a cover takes in nothing that may not be read.
#include "guard/acl.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// The part up to the next NUL, or the rest.
static const char *
next_part(const uint8_t **data, size_t *size, size_t *length)
{
    const char *part = (const char *)*data;
    const uint8_t *end = *size ? memchr(*data, '\0', *size) : NULL;
    *length = end ? (size_t)(end - *data) : *size;
    size_t used = *length + (end != NULL);
    *data += used;
    *size -= used;
    return part;
}

static void
check_cover(const acl_view_t *view, const char *prefix, size_t prefix_size, const char *topic, size_t topic_size)
{
    acl_cover_t cover = { 0 };
    acl_cover(view, prefix, prefix_size, &cover);
    if (cover.count > 2 * ACL_COVER_MAX)
        abort();
    for (size_t i = 0; i < cover.count; i++) {
        const acl_prefix_t *at = &cover.at[i];
        if (at->size < prefix_size || (prefix_size && memcmp(at->bytes, prefix, prefix_size) != 0))
            abort();
        // A topic out of the fuzzer's hat below this prefix.
        size_t size = at->size + topic_size;
        char *whole = malloc(size + 1);
        memcpy(whole, at->bytes, at->size);
        if (topic_size)
            memcpy(whole + at->size, topic, topic_size);
        if (!at->checked && (!acl_may(view, ACL_READ, whole, size) || !acl_may(view, ACL_READ, whole, at->size)))
            abort();
        free(whole);
        if (i > 300)
            break;
    }
    acl_cover_free(&cover);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char user[64] = "";
    size_t rules_size, user_size, prefix_size, topic_size;
    const char *rules = next_part(&data, &size, &rules_size);
    const char *name = next_part(&data, &size, &user_size);
    const char *prefix = next_part(&data, &size, &prefix_size);
    const char *topic = next_part(&data, &size, &topic_size);
    memcpy(user, name, user_size < sizeof user ? user_size : sizeof user - 1);
    diag_t *diag = diag_new();
    acl_t *acl = acl_parse("acl", rules, rules_size, diag);
    if (!acl && diag_errors(diag) == 0)
        abort();
    if (acl) {
        acl_view_t *view = acl_view(acl, user, "c");
        if (!acl_view_same(view, view))
            abort();
        acl_may(view, ACL_WRITE, topic, topic_size);
        check_cover(view, prefix, prefix_size < 256 ? prefix_size : 256, topic, topic_size < 256 ? topic_size : 256);
        acl_view_free(&view);
    }
    acl_free(&acl);
    diag_destroy(&diag);
    return 0;
}
