// SPDX-License-Identifier: MPL-2.0
// A cluster may forget what it has acknowledged: when servers of it are killed, one that had not heard of the last
// messages may come to lead the stream. It counts on from where it is, and gives the next message a place that another
// one had. All that had a place from there on is published once more.
#include "store/jetstream_internal.h"

#include "base/mem.h"

#include <stdlib.h>

enum { KEPT_BYTES = 8 * 1024 * 1024 }; // of the last messages

static size_t
weight(const outgoing_t *message)
{
    return sizeof *message + message->size;
}

static outgoing_t *
take(jetstream_t *self, outgoing_t **at)
{
    outgoing_t *message = *at;
    *at = message->next;
    if (!*at)
        self->kept_end = at;
    message->next = NULL;
    self->kept_bytes -= weight(message);
    return message;
}

void
kept_add(jetstream_t *self, outgoing_t *message)
{
    if (!self->link->replicated) { // one server alone does not forget
        publish_free(message);
        return;
    }
    *self->kept_end = message;
    self->kept_end = &message->next;
    self->kept_bytes += weight(message);
    while (self->kept_bytes > KEPT_BYTES)
        publish_free(take(self, &self->kept));
}

void
kept_lose(jetstream_t *self, uint64_t from)
{
    outgoing_t **end = &self->lost;
    while (*end)
        end = &(*end)->next;
    for (outgoing_t **at = &self->kept; *at;) {
        if ((*at)->place < from) {
            at = &(*at)->next;
            continue;
        }
        *end = take(self, at);
        end = &(*end)->next;
    }
}

outgoing_t *
kept_lost(jetstream_t *self)
{
    outgoing_t *message = self->lost;
    if (message)
        self->lost = message->next;
    return message;
}

void
kept_forget(jetstream_t *self)
{
    kept_lose(self, 0);
    for (outgoing_t *message; (message = kept_lost(self));)
        publish_free(message);
}
