// SPDX-License-Identifier: MPL-2.0
#include "wire/dialled.h"

#include <string.h>

dialled_t *
dialled_find(const wport_t *port, const char *endpoint)
{
    for (dialled_t *i = port->wire->dialled; i; i = i->next)
        if (i->port == port && strcmp(dial_endpoint(i->dial), endpoint) == 0)
            return i;
    return NULL;
}

void
dialled_watch(dialled_t *self)
{
    const loop_t *loop = &self->port->wire->loop;
    int fd = dial_fd(self->dial);
    if (fd != self->fd && fd != -1)
        loop_watch(loop, fd, dial_events(self->dial), &self->watched);
    self->fd = fd;
}

void
dialled_opened(const conn_t *conn)
{
    if (conn->dialled)
        dial_settled(conn->dialled->dial);
}

void
dialled_ended(conn_t *conn, bool was_open)
{
    dialled_t *self = conn->dialled;
    if (!self)
        return;
    self->conn = NULL;
    conn->dialled = NULL;
    (was_open ? dial_lost : dial_failed)(self->dial, conn->reason, conn->wire->now_ms);
    dialled_watch(self);
}
