// SPDX-License-Identifier: MPL-2.0
#include "flow/client.h"

#include <stdatomic.h>

static _Atomic uint64_t last;

uint64_t
client_next_id(void)
{
    return atomic_fetch_add(&last, 1) + 1;
}

uint64_t
client_last_id(void)
{
    return atomic_load(&last);
}

void
client_ids_after(uint64_t id)
{
    atomic_store(&last, id);
}

void
client_know_nothing(client_t *client)
{
    *client = (client_t){ .fd = -1,
                          .backlog_bytes = -1,
                          .messages_received = -1,
                          .messages_sent = -1,
                          .received_bytes = -1,
                          .sent_bytes = -1,
                          .queued = -1,
                          .queued_bytes = -1,
                          .dropped = -1,
                          .subscriptions = -1,
                          .idle_ms = -1 };
}
