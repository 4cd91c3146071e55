// SPDX-License-Identifier: MPL-2.0
#include "wire/connect.h"

#include "base/mem.h"
#include "net/address.h"
#include "wire/conn.h"
#include "wire/connlife.h"
#include "wire/dialled.h"
#include "wire/login.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

// --- the loop's part -----------------------------------------------------------------

// Why nothing is said to a server there, NULL: it is. A name can lead anywhere.
static const char *
refusal_of(const wport_t *port, const char *host)
{
    if (port->locked)
        return "the keys of this side are missing";
    return login_admits(port, host) ? NULL : "its address is refused";
}

static void
take(dialled_t *self, int fd)
{
    char host[96] = "";
    const char *endpoint = dial_endpoint(self->dial);
    loop_t *loop = &self->port->wire->loop;
    if (fd == -1) {
        dialled_watch(self);
        return;
    }
    if (fd == self->fd)
        loop_forget(loop, fd, &self->watched);
    self->fd = -1;
    address_t address = { .length = sizeof address.at };
    if (getpeername(fd, (struct sockaddr *)&address.at, &address.length) == 0 && address.at.ss_family != AF_UNIX)
        address_host(&address, host, sizeof host);
    const char *refusal = refusal_of(self->port, host);
    if (refusal) {
        close(fd);
        dial_failed(self->dial, refusal, self->port->wire->now_ms);
        return;
    }
    self->conn = connlife_new(self->port, fd, self, endpoint, host);
}

static void
on_ready(watched_t *watched, uint32_t events)
{
    dialled_t *self = (dialled_t *)watched;
    (void)events;
    if (!self->conn)
        take(self, dial_on_ready(self->dial, self->port->wire->now_ms));
}

// --- life ----------------------------------------------------------------------------

static dialled_t *
new_dialled(wport_t *port, const endpoint_t *endpoint)
{
    wire_t *wire = port->wire;
    dial_options_t options;
    dial_options(&options, port->conf);
    dialled_t *self = xcalloc(1, sizeof *self);
    self->watched.ready = on_ready;
    self->port = port;
    self->fd = -1;
    self->dial = dial_new(endpoint, &options, wire->resources->resolver, wire->base.thread.bell);
    self->next = wire->dialled;
    wire->dialled = self;
    return self;
}

void
connect_add(wport_t *port, const endpoint_t *endpoint)
{
    if (dialled_find(port, endpoint->text))
        return; // its connection has come from another route
    dialled_t *self = new_dialled(port, endpoint);
    take(self, dial_start(self->dial, port->wire->now_ms));
}

void
connect_again(conn_t *conn, const char *endpoint)
{
    const side_conf_t *conf = conn->port->conf;
    for (size_t i = 0; i < conf->endpoint_count; i++)
        if (conf->endpoints[i].connect && strcmp(conf->endpoints[i].at.text, endpoint) == 0 && !dialled_find(conn->port, endpoint)) {
            conn->dialled = new_dialled(conn->port, &conf->endpoints[i].at);
            conn->dialled->conn = conn;
            if (conn->state == CONN_OPEN)
                dialled_opened(conn);
        }
}

void
connect_configure(wport_t *port)
{
    dial_options_t options;
    dial_options(&options, port->conf);
    for (dialled_t *i = port->wire->dialled; i; i = i->next)
        if (i->port == port)
            dial_configure(i->dial, &options);
}

static void
free_dialled(dialled_t *self)
{
    if (self->conn) {
        self->conn->dialled = NULL;
        conn_break(self->conn, CUT_NONE, "its endpoint was removed");
    }
    if (self->fd != -1)
        loop_forget(&self->port->wire->loop, self->fd, &self->watched);
    else
        loop_drop(&self->port->wire->loop, &self->watched); // an attempt of this turn may have closed it
    dial_free(&self->dial);
    free(self);
}

void
connect_remove(wport_t *port, const char *endpoint)
{
    for (dialled_t **at = &port->wire->dialled; *at; at = &(*at)->next)
        if ((*at)->port == port && strcmp(dial_endpoint((*at)->dial), endpoint) == 0) {
            dialled_t *self = *at;
            *at = self->next;
            free_dialled(self);
            return;
        }
}

void
connect_remove_all(wire_t *self)
{
    while (self->dialled) {
        dialled_t *dialled = self->dialled;
        self->dialled = dialled->next;
        free_dialled(dialled);
    }
}

// --- time ----------------------------------------------------------------------------

void
connect_tick(wire_t *self)
{
    for (dialled_t *i = self->closing ? NULL : self->dialled; i; i = i->next)
        if (!i->conn)
            take(i, dial_tick(i->dial, self->now_ms));
}

int64_t
connect_next_ms(const wire_t *self)
{
    int64_t next = INT64_MAX;
    for (const dialled_t *i = self->closing ? NULL : self->dialled; i; i = i->next)
        if (!i->conn && dial_next_ms(i->dial) < next)
            next = dial_next_ms(i->dial);
    return next;
}
