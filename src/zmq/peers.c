// SPDX-License-Identifier: MPL-2.0
#include "zmq/peers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/client.h"
#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOKS 1000 // peers of a side that are looked at a round

// Of the socket FD, 0: it is none.
static ino_t
inode_of(int fd)
{
    struct stat there;
    return fd != -1 && fstat(fd, &there) == 0 && S_ISSOCK(there.st_mode) ? there.st_ino : 0;
}

static bool
is_still(const peer_t *peer, int fd)
{
    return peer->inode != 0 && inode_of(fd) == peer->inode;
}

int
peer_pin(const peer_t *peer)
{
    int pinned = peer->inode != 0 ? fcntl(peer->fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (is_still(peer, pinned))
        return pinned;
    peer_unpin(pinned);
    return -1;
}

void
peer_unpin(int pinned)
{
    if (pinned != -1)
        close(pinned);
}

static void
name_peer(peer_t *peer)
{
    int pinned = peer_pin(peer);
    address_t address = { .length = sizeof address.at };
    snprintf(peer->peer, sizeof peer->peer, "unknown");
    if (getpeername(pinned, (struct sockaddr *)&address.at, &address.length) == 0) {
        peer->is_ipc = address.at.ss_family == AF_UNIX;
        address_peer(&address, pinned, peer->peer, sizeof peer->peer);
    }
    peer_unpin(pinned);
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
is_quiet(peer_t *peer, int pinned)
{
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    int waiting = 0;
    uint64_t before = peer->bytes;
    if (getsockopt(pinned, IPPROTO_TCP, TCP_INFO, &info, &size) == 0)
        peer->bytes = info.tcpi_bytes_received;
    return peer->bytes == before && (ioctl(pinned, SIOCINQ, &waiting) == -1 || waiting == 0);
}

bool
peer_half_close(peer_t *peer, bool busy_too)
{
    int pinned = peer->half_closed ? -1 : peer_pin(peer);
    if (pinned == -1)
        return true;
    peer->half_closed = is_quiet(peer, pinned) || busy_too;
    if (peer->half_closed)
        shutdown(pinned, SHUT_WR);
    peer_unpin(pinned);
    return peer->half_closed;
}

// Who has broken off while nothing is read from it stays in the list until something is, and is cut already.
bool
peer_cut(peer_t *peer)
{
    int pinned = peer->cut ? -1 : peer_pin(peer);
    if (pinned == -1)
        return false;
    peer->cut = shutdown(pinned, SHUT_RDWR) == 0 || errno == ENOTCONN;
    peer_unpin(pinned);
    return peer->cut;
}

static void
remove_at(peers_t *self, size_t i)
{
    log_event(EVENT_CLIENT_GONE, EVENT_TEXT("route", self->route), EVENT_TEXT("side", side_name(self->side)),
              EVENT_NUMBER("client", self->at[i].id), EVENT_TEXT("peer", self->at[i].peer));
    if (i >= self->count - self->newcomers)
        self->newcomers--;
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

void
peers_add(peers_t *self, int fd, bool outgoing)
{
    remove_phantoms(self, fd);
    mem_grow(self->at, self->count, self->room);
    peer_t *peer = &self->at[self->count++];
    self->newcomers++;
    *peer = (peer_t){ .id = client_next_id(), .fd = fd, .inode = inode_of(fd), .outgoing = outgoing };
    peer->since_wall_ns = clock_wall_ns();
    name_peer(peer);
    counter_add(&self->counters->accepted, 1);
    peers_count(self);
    log_event(outgoing ? EVENT_CLIENT_REACHED : EVENT_CLIENT_CONNECTED, EVENT_TEXT("route", self->route),
              EVENT_TEXT("side", side_name(self->side)), EVENT_NUMBER("client", peer->id),
              EVENT_TEXT("peer", peer->peer));
}

// Nobody is to come any more, or in this moment; what is accepted while the side drains is half-closed at once.
// libzmq tells of an end before it closes: who has been added, and not removed by what it said up to now, was
// no other connection of that number.
void
peers_meet(peers_t *self)
{
    bool cuts = self->turned_away || clock_mono_ms() < self->cut_until_ms;
    for (; self->newcomers > 0; self->newcomers--) {
        peer_t *peer = &self->at[self->count - self->newcomers];
        if (cuts)
            peer_cut(peer);
        else if (self->half_closed)
            peer_half_close(peer, true);
    }
}

// zmq_unbind and zmq_disconnect end connections without an event: a few of the
// peers are looked at every round, so that nobody stays in the list for ever.
void
peers_look_at_some(peers_t *self)
{
    for (size_t n = self->count < LOOKS ? self->count : LOOKS; n > 0 && self->count > 0; n--) {
        if (self->looked >= self->count)
            self->looked = 0;
        if (is_still(&self->at[self->looked], self->at[self->looked].fd))
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
