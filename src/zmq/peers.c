// SPDX-License-Identifier: MPL-2.0
#include "zmq/peers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/client.h"
#include "net/address.h"

#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define LOOKS 1000 // peers of a side that are looked at a round

// Of the socket FD, 0: it is none.
static ino_t
inode_of(int fd)
{
    struct stat there;
    return fd != -1 && fstat(fd, &there) == 0 && S_ISSOCK(there.st_mode) ? there.st_ino : 0;
}

bool
peer_is_still(const peer_t *peer)
{
    return peer->inode != 0 && inode_of(peer->fd) == peer->inode;
}

static void
name_peer(peer_t *peer, int fd)
{
    address_t address = { .length = sizeof address.at };
    snprintf(peer->peer, sizeof peer->peer, "unknown");
    if (getpeername(fd, (struct sockaddr *)&address.at, &address.length) == -1)
        return;
    peer->is_ipc = address.at.ss_family == AF_UNIX;
    address_peer(&address, fd, peer->peer, sizeof peer->peer);
}

void
peers_count(peers_t *self)
{
    if (self->capacity)
        capacity_count(self->capacity, (ptrdiff_t)(self->count - self->counted));
    self->counted = self->count;
    counter_set(&self->counters->connections, self->count);
    bool full = self->limit && self->count >= self->limit;
    if (full == self->full)
        return;
    self->full = full;
    if (self->on_full)
        self->on_full(full, self->arg);
}

// Nothing to read, and nothing was read since the last look. Over ipc only the first can be seen.
static bool
is_quiet(peer_t *peer)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    int waiting = 0;
    uint64_t before = peer->bytes;
    if (getsockopt(peer->fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
        peer->bytes = info.tcpi_bytes_received;
    return peer->bytes == before && (ioctl(peer->fd, SIOCINQ, &waiting) == -1 || waiting == 0);
}

bool
peer_half_close(peer_t *peer, bool busy_too)
{
    if (peer->half_closed || !peer_is_still(peer))
        return true;
    peer->half_closed = is_quiet(peer) || busy_too;
    if (peer->half_closed)
        shutdown(peer->fd, SHUT_WR);
    return peer->half_closed;
}

static void
remove_at(peers_t *self, size_t i)
{
    log_event(EVENT_CLIENT_GONE, EVENT_TEXT("route", self->route), EVENT_TEXT("side", side_name(self->side)),
              EVENT_NUMBER("client", self->at[i].id), EVENT_TEXT("peer", self->at[i].peer));
    memmove(&self->at[i], &self->at[i + 1], (self->count - i - 1) * sizeof self->at[i]);
    self->count--;
    counter_add(&self->counters->disconnections, 1);
    peers_count(self);
}

void
peers_remove(peers_t *self, int fd)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->at[i].fd == fd) {
            remove_at(self, i);
            return;
        }
}

// With several I/O threads a connection may end before the event that it was accepted.
static void
remove_phantoms(peers_t *self, int fd)
{
    for (size_t i = self->count; i-- > 0;)
        if (self->at[i].fd == fd)
            remove_at(self, i);
}

// Nobody is to come any more, or in this moment; what is accepted while the side drains is half-closed at once.
static void
meet(const peers_t *self, peer_t *peer)
{
    if (!peer->inode)
        return;
    if (self->turned_away || clock_mono_ms() < self->cut_until_ms)
        shutdown(peer->fd, SHUT_RDWR);
    else if (self->half_closed)
        peer->half_closed = shutdown(peer->fd, SHUT_WR) == 0;
}

void
peers_add(peers_t *self, int fd, bool outgoing)
{
    remove_phantoms(self, fd);
    mem_grow(self->at, self->count, self->room);
    peer_t *peer = &self->at[self->count++];
    *peer = (peer_t){ .id = client_next_id(), .fd = fd, .inode = inode_of(fd), .outgoing = outgoing };
    peer->since_wall_ns = clock_wall_ns();
    name_peer(peer, fd);
    counter_add(&self->counters->accepted, 1);
    peers_count(self);
    meet(self, peer);
    log_event(outgoing ? EVENT_CLIENT_REACHED : EVENT_CLIENT_CONNECTED, EVENT_TEXT("route", self->route),
              EVENT_TEXT("side", side_name(self->side)), EVENT_NUMBER("client", peer->id),
              EVENT_TEXT("peer", peer->peer));
}

// zmq_unbind and zmq_disconnect end connections without an event: a few of the
// peers are looked at every round, so that nobody stays in the list for ever.
void
peers_look_at_some(peers_t *self)
{
    for (size_t n = self->count < LOOKS ? self->count : LOOKS; n > 0 && self->count > 0; n--) {
        if (self->looked >= self->count)
            self->looked = 0;
        if (peer_is_still(&self->at[self->looked]))
            self->looked++;
        else
            remove_at(self, self->looked);
    }
}

void
peers_free(peers_t *self)
{
    while (self->count > 0)
        remove_at(self, self->count - 1);
    free(self->at);
    free(self->route);
}
