// SPDX-License-Identifier: MPL-2.0
#include "flow/counters.h"

#include "base/clock.h"

#include <stddef.h>

const char *const drop_reasons[DROP_REASONS] = {
    [DROP_HWM] = "hwm",     [DROP_UNDELIVERABLE] = "undeliverable", [DROP_ACL] = "acl",
    [DROP_QUOTA] = "quota", [DROP_STALLED] = "stalled",             [DROP_SHUTDOWN] = "shutdown",
    [DROP_PEER_LOST] = "peer_lost", [DROP_TIMEOUT] = "timeout",     [DROP_EXPIRED] = "expired",
};

const char *const handshake_reasons[HANDSHAKE_REASONS] = {
    [HANDSHAKE_AUTH] = "auth",
    [HANDSHAKE_PROTOCOL] = "protocol",
    [HANDSHAKE_OTHER] = "other",
    [HANDSHAKE_GREETING] = "greeting",
    [HANDSHAKE_VERSION] = "version",
    [HANDSHAKE_MECHANISM] = "mechanism",
    [HANDSHAKE_TYPE] = "type",
    [HANDSHAKE_DUPLICATE_ID] = "duplicate_id",
    [HANDSHAKE_TIMEOUT] = "timeout",
    [HANDSHAKE_LIMITED] = "limited",
};

const char *const cut_reasons[CUT_REASONS] = {
    [CUT_TOO_LARGE] = "too_large", [CUT_PROTOCOL] = "protocol", [CUT_HEARTBEAT] = "heartbeat",
    [CUT_STALLED] = "stalled",     [CUT_KICK] = "kick",         [CUT_AUTH] = "auth",
};

const char *const auth_results[AUTH_RESULTS] = { [AUTH_SUCCESS] = "success", [AUTH_FAILURE] = "failure" };

const char *const ack_results[ACK_RESULTS] = {
    [ACK_OK] = "ok", [ACK_DUPLICATE] = "duplicate", [ACK_FULL] = "full", [ACK_REFUSED] = "refused",
};

const char *const job_results[JOB_RESULTS] = {
    [JOB_GIVEN] = "given",     [JOB_DONE] = "done",       [JOB_RETRY] = "retry",
    [JOB_REJECT] = "reject",   [JOB_TIMEOUT] = "timeout", [JOB_LOST] = "lost",
    [JOB_LATE] = "late",       [JOB_REFUSED] = "refused", [JOB_DEAD_LETTER] = "dead_letter",
    [JOB_EXPIRED] = "expired", [JOB_AGAIN] = "again",
};

uint64_t
size_bucket_limit(unsigned bucket)
{
    return bucket < SIZE_BUCKETS - 1 ? UINT64_C(64) << (2 * bucket) : UINT64_MAX;
}

void
counters_end_blocked(side_counters_t *self)
{
    uint64_t since = counter_get(&self->blocked_since_ns);
    if (since == 0)
        return;
    counter_add(&self->blocked_ns, (uint64_t)clock_mono_ns() - since);
    counter_set(&self->blocked_since_ns, 0);
}

void
counters_end(counters_t *self)
{
    for (side_t side = 0; side < SIDES; side++) {
        counters_end_blocked(&self->sides[side]);
        counter_set(&self->sides[side].queued, 0);
        counter_set(&self->sides[side].queued_bytes, 0);
    }
    counter_set(&self->subscriptions, 0);
    counter_set(&self->remembered_messages, 0);
    counter_set(&self->remembered_bytes, 0);
    counter_set(&self->store.state, 0);
    counter_set(&self->store.files, 0);
    counter_set(&self->store.server, 0);
    counter_set(&self->store.messages, 0);
    counter_set(&self->store.bytes, 0);
    counter_set(&self->store.oldest_ns, 0);
    counter_set(&self->outstanding, 0);
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
