// SPDX-License-Identifier: MPL-2.0
//
// Who may be a client of the control socket, and how many.
#include "admin/control_internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_MAX = 32, // a turn
    IDLE_MS = 1000,   // who has been silent for less does not make room for others
};

void
session_drop(control_t *self, session_t *client)
{
    if (client->dead)
        return;
    client->dead = true;
    if (tapsession_destroy(&client->tap)) {
        close(client->fd);
    } else {
        loop_forget(&self->loop, client->fd, &client->watched);
        shutdown(client->fd, SHUT_RDWR);
    }
    *(client->previous ? &client->previous->next : &self->clients) = client->next;
    if (client->next)
        client->next->previous = client->previous;
    client->next = self->dead;
    self->dead = client;
    self->count--;
}

void
control_bury(control_t *self)
{
    while (self->dead) {
        session_t *client = self->dead;
        self->dead = client->next;
        text_free(&client->output);
        free(client);
    }
}

bool
control_read_peer(int fd, control_peer_t *who)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == -1 || length != sizeof peer)
        return false;
    *who = (control_peer_t){ peer.uid, peer.gid, peer.pid };
    return true;
}

void
session_log(event_id_t event, const session_t *client)
{
    log_event(event, EVENT_NUMBER("uid", client->who.uid), EVENT_NUMBER("gid", client->who.gid),
              EVENT_NUMBER("pid", client->who.pid));
}

// Root and the daemon's own user may do all that the daemon may.
static bool
is_privileged(const control_peer_t *who)
{
    return who->uid == 0 || who->uid == geteuid();
}

static bool
is_of_the_user(const session_t *client, const control_peer_t *newcomer)
{
    return client->who.uid == newcomer->uid;
}

static bool
is_unprivileged(const session_t *client, const control_peer_t *newcomer)
{
    (void)newcomer;
    return !is_privileged(&client->who);
}

static bool
is_a_client(const session_t *client, const control_peer_t *newcomer)
{
    (void)client, (void)newcomer;
    return true;
}

typedef bool counts_fn(const session_t *client, const control_peer_t *newcomer);

// How many clients there may be of those that count.
static const struct {
    size_t max;
    counts_fn *counts;
    bool for_privileged; // does it hold for a privileged newcomer, too?
} limits[] = {
    { CONTROL_CLIENTS_OF_USER, is_of_the_user, false },
    { CONTROL_CLIENTS_MAX - CONTROL_CLIENTS_KEPT, is_unprivileged, false },
    { CONTROL_CLIENTS_MAX, is_a_client, true },
};

static size_t
count_clients(const control_t *self, counts_fn *counts, const control_peer_t *newcomer)
{
    size_t count = 0;
    for (const session_t *client = self->clients; client; client = client->next)
        count += counts(client, newcomer);
    return count;
}

// The client that has been idle longest, not counting those that read a tap.
static session_t *
idlest(const control_t *self, counts_fn *counts, const control_peer_t *newcomer)
{
    session_t *found = NULL;
    int64_t limit = clock_mono_ms() - IDLE_MS;
    for (session_t *client = self->clients; client; client = client->next)
        if (counts(client, newcomer) && !client->tap && !client->asked && !*client->leaving.route &&
            client->progress_ms < limit) {
            found = client;
            limit = client->progress_ms;
        }
    return found;
}

// False: those that would have to make room are busy.
static bool
make_room(control_t *self, const control_peer_t *newcomer)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (is_privileged(newcomer) && !limits[i].for_privileged)
            continue;
        if (count_clients(self, limits[i].counts, newcomer) < limits[i].max)
            continue;
        session_t *idle = idlest(self, limits[i].counts, newcomer);
        if (!idle)
            return false;
        session_drop(self, idle);
    }
    return true;
}

static void
refuse_newcomer(int fd)
{
    static const char text[] = "error: too many control clients\n\n";
    send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

session_t *
control_add(control_t *self, int fd, const control_peer_t *who)
{
    session_t *client = xcalloc(1, sizeof *client);
    client->who = *who;
    client->fd = fd;
    client->passed = -1;
    client->watched.ready = session_ready;
    client->control = self;
    client->progress_ms = clock_mono_ms();
    client->events = EPOLLIN;
    client->next = self->clients;
    if (self->clients)
        self->clients->previous = client;
    self->clients = client;
    self->count++;
    loop_watch(&self->loop, fd, EPOLLIN, &client->watched);
    return client;
}

static void
admit(control_t *self, int fd)
{
    control_peer_t who;
    if (!control_read_peer(fd, &who)) {
        log_fields(EVENT_CONTROL_REFUSED, NULL);
        close(fd);
        return;
    }
    if (!make_room(self, &who)) {
        refuse_newcomer(fd);
        return;
    }
    session_log(EVENT_CONTROL_CLIENT, control_add(self, fd, &who));
}

void
control_rest(control_t *self, bool resting)
{
    self->resting = resting;
    loop_change(&self->loop, self->socket.fd, resting ? 0 : EPOLLIN, &self->listener);
}

void
control_accept(control_t *self)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(self->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            log_event(EVENT_CONTROL_ACCEPT, EVENT_PROSE("reason", strerror(errno)));
            control_rest(self, true);
        }
        if (fd == -1)
            return;
        admit(self, fd);
    }
}
