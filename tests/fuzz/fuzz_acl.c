// SPDX-License-Identifier: MPL-2.0
//
// Rules, a user, a subscription and the rest of a topic, parted by NUL bytes. Whatever
// they are, a subscription to what may be read is not refused.
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

// Whatever starts with PREFIX and may be read, there is something to see below PREFIX.
static void
check_prefix(const acl_view_t *view, const char *prefix, size_t prefix_size, const char *topic, size_t topic_size)
{
    size_t size = prefix_size + topic_size;
    char *whole = malloc(size + 1);
    memcpy(whole, prefix, prefix_size);
    if (topic_size)
        memcpy(whole + prefix_size, topic, topic_size);
    if (acl_may(view, ACL_READ, whole, size) && !acl_may_see(view, prefix, prefix_size))
        abort();
    free(whole);
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
        check_prefix(view, prefix, prefix_size, topic, topic_size);
        acl_view_free(&view);
    }
    acl_free(&acl);
    diag_destroy(&diag);
    return 0;
}
