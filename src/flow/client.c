// SPDX-License-Identifier: MPL-2.0
#include "flow/client.h"

#include "base/mem.h"

#include <linux/sockios.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

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
    *client = (client_t){ .backlog_bytes = -1,
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

// --- a list --------------------------------------------------------------------------

client_t *
client_list_add(client_list_t *self, const char *route, side_t side, uint64_t id, const char *peer)
{
    mem_grow(self->at, self->count, self->room);
    client_t *client = &self->at[self->count++];
    client_know_nothing(client);
    client->route = xstrdup(route);
    client->side = side;
    client->id = id;
    snprintf(client->peer, sizeof client->peer, "%s", peer);
    return client;
}

void
client_connected_by(client_t *client, int fd)
{
    int waiting = 0;
    client->backlog_bytes = ioctl(fd, SIOCOUTQ, &waiting) == 0 ? waiting : -1;
}

void
client_named(client_t *client, const void *routing_id, size_t size)
{
    client->routing_id = size > 0 ? memcpy(xcalloc(1, size), routing_id, size) : NULL;
    client->routing_id_size = size;
}

void
client_list_copy(client_list_t *self, const client_t *client)
{
    mem_grow(self->at, self->count, self->room);
    client_t *copy = &self->at[self->count++];
    *copy = *client;
    copy->route = xstrdup(client->route);
    client_named(copy, client->routing_id, client->routing_id_size);
}

static int
by_id(const void *a, const void *b)
{
    const client_t *first = a, *second = b;
    return (first->id > second->id) - (first->id < second->id);
}

void
client_list_each(client_list_t *self, client_fn_t *fn, void *arg)
{
    if (self->count > 0)
        qsort(self->at, self->count, sizeof *self->at, by_id);
    for (size_t i = 0; i < self->count; i++) {
        fn(&self->at[i], arg);
        free((char *)self->at[i].route);
        free((void *)self->at[i].routing_id);
    }
    free(self->at);
    *self = (client_list_t){ 0 };
}
