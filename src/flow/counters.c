// SPDX-License-Identifier: MPL-2.0
#include "flow/counters.h"

#include <stddef.h>

static const char *const drop_reasons[DROP_REASONS] = {
    [DROP_HWM] = "hwm",     [DROP_UNDELIVERABLE] = "undeliverable", [DROP_ACL] = "acl",
    [DROP_QUOTA] = "quota", [DROP_STALLED] = "stalled",             [DROP_SHUTDOWN] = "shutdown",
};

static const char *const handshake_reasons[HANDSHAKE_REASONS] = {
    [HANDSHAKE_AUTH] = "auth",
    [HANDSHAKE_PROTOCOL] = "protocol",
    [HANDSHAKE_OTHER] = "other",
};

const char *
drop_reason_name(drop_reason_t reason)
{
    return drop_reasons[reason];
}

const char *
handshake_reason_name(handshake_reason_t reason)
{
    return handshake_reasons[reason];
}

uint64_t
size_bucket_limit(unsigned bucket)
{
    return bucket < SIZE_BUCKETS - 1 ? UINT64_C(64) << (2 * bucket) : UINT64_MAX;
}

// counters_t is nothing but counter_t, one after another.
void
counters_add(counters_t *to, const counters_t *from)
{
    counter_t *sum = (counter_t *)to;
    const counter_t *part = (const counter_t *)from;
    for (size_t i = 0; i < sizeof *to / sizeof(counter_t); i++)
        counter_add(&sum[i], counter_get(&part[i]));
}
