// SPDX-License-Identifier: MPL-2.0
#include "flow/client.h"

#include <stdatomic.h>

uint64_t
client_next_id(void)
{
    static _Atomic uint64_t last;
    return atomic_fetch_add(&last, 1) + 1;
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
