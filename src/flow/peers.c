// SPDX-License-Identifier: MPL-2.0
#include "flow/peers.h"

#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"
#include "flow/peername.h"

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define LOOKS 1000 // peers of a side that are looked at a round

bool
peer_is_still(const peer_t *peer)
{
    return peer->inode != 0 && peername_inode(peer->fd) == peer->inode;
}

static void
name_inet(const struct sockaddr_storage *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
        return;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, sizeof host);
        snprintf(text, size, "%s:%u", host, ntohs(in6->sin6_port));
        return;
    }
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
}

static void
name_peer(peer_t *peer, int fd)
{
    char *text = peer->peer;
    size_t size = sizeof peer->peer;
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    snprintf(text, size, "unknown");
    if (getpeername(fd, (struct sockaddr *)&address, &length) == -1)
        return;
    if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
        name_inet(&address, text, size);
        return;
    }
    struct ucred who;
    socklen_t who_size = sizeof who;
    peer->is_ipc = address.ss_family == AF_UNIX;
    if (peer->is_ipc && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size) == 0)
        snprintf(text, size, "ipc uid %u pid %d", who.uid, who.pid);
}

void
peers_count(watch_side_t *side)
{
    if (side->watch->capacity)
        capacity_count(side->watch->capacity, (ptrdiff_t)(side->count - side->counted));
    side->counted = side->count;
    counter_set(&side->counters->connections, side->count);
    bool full = side->limit && side->count >= side->limit;
    if (full == side->full)
        return;
    side->full = full;
    if (side->on_full)
        side->on_full(full, side->arg);
}

uint32_t
peer_bytes(const watch_t *self, int fd)
{
    if (self->counted)
        return (uint32_t)self->counted(fd);
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? (uint32_t)info.tcpi_bytes_received : 0;
}

// False: it may not stay.
static bool
take_expected(const watch_t *self, peer_t *peer)
{
    for (unsigned i = 0; i < EXPECTED && peer->inode; i++) {
        if (self->expected[i].inode != peer->inode)
            continue;
        if (!self->expected[i].user)
            return false;
        free(peer->user);
        peer->user = xstrdup(self->expected[i].user);
    }
    return true;
}

void
peers_expect(watch_t *self, ino_t inode, const char *user)
{
    expected_t *expected = &self->expected[self->last_expected++ % EXPECTED];
    free(expected->user);
    *expected = (expected_t){ inode, xstrdup(user) };
}

static void
remove_at(watch_side_t *side, size_t i)
{
    log_event(EVENT_CLIENT_GONE, EVENT_TEXT("route", side->route), EVENT_TEXT("side", side_name(side->side)),
              EVENT_NUMBER("client", side->peers[i].id), EVENT_TEXT("peer", side->peers[i].peer),
              EVENT_TEXT("user", side->peers[i].user));
    free(side->peers[i].user);
    memmove(&side->peers[i], &side->peers[i + 1], (side->count - i - 1) * sizeof side->peers[i]);
    side->count--;
    counter_add(&side->counters->disconnections, 1);
    peers_count(side);
}

const peer_t *
peers_at(const watch_side_t *side, int fd)
{
    for (size_t i = 0; i < side->count; i++)
        if (side->peers[i].fd == fd)
            return &side->peers[i];
    return NULL;
}

void
peers_remove(watch_side_t *side, int fd)
{
    for (size_t i = 0; i < side->count; i++)
        if (side->peers[i].fd == fd) {
            remove_at(side, i);
            return;
        }
}

// With several I/O threads a connection may end before the event that it was
// accepted, and is then taken for who has its descriptor now. What that one was
// named is returned.
static char *
remove_phantom(watch_side_t *side, int fd, ino_t inode)
{
    char *user = NULL;
    for (size_t i = side->count; i-- > 0;) {
        peer_t *peer = &side->peers[i];
        if (peer->fd != fd)
            continue;
        if (peer->inode == inode && !user) {
            user = peer->user;
            peer->user = NULL;
        }
        remove_at(side, i);
    }
    return user;
}

void
peers_add(watch_side_t *side, int fd, bool outgoing)
{
    ino_t inode = peername_inode(fd);
    char *user = remove_phantom(side, fd, inode);
    mem_grow(side->peers, side->count, side->room);
    peer_t *peer = &side->peers[side->count++];
    *peer = (peer_t){ .id = client_next_id(), .fd = fd, .outgoing = outgoing, .since_wall_ns = clock_wall_ns() };
    peer->inode = inode;
    peer->user = user;
    peer->noted = peer_bytes(side->watch, fd);
    name_peer(peer, fd);
    counter_add(&side->counters->accepted, 1);
    peers_count(side);
    if (!take_expected(side->watch, peer) || (side->turned_away && peer->inode))
        shutdown(fd, SHUT_RDWR);
    else if (side->half_closed && peer->inode) {
        peer->half_closed = true;
        shutdown(fd, SHUT_WR);
    }
    log_event(outgoing ? EVENT_CLIENT_REACHED : EVENT_CLIENT_CONNECTED, EVENT_TEXT("route", side->route),
              EVENT_TEXT("side", side_name(side->side)), EVENT_NUMBER("client", peer->id), EVENT_TEXT("peer", peer->peer));
}

// Does it send? Asked once a round, so that a drain knows who did in the last seconds: whoever is not scheduled looks silent.
static void
note_activity(const watch_t *self, peer_t *peer)
{
    uint32_t bytes = peer_bytes(self, peer->fd);
    peer->sends = bytes - peer->noted > HELLO_BYTES;
    peer->noted = bytes;
}

// zmq_unbind and zmq_disconnect end connections without an event: a few of the
// peers are looked at every round, so that nobody stays in the list for ever.
void
peers_look_at_some(watch_side_t *side)
{
    for (size_t n = side->count < LOOKS ? side->count : LOOKS; n > 0 && side->count > 0; n--) {
        if (side->looked >= side->count)
            side->looked = 0;
        if (peer_is_still(&side->peers[side->looked]))
            note_activity(side->watch, &side->peers[side->looked++]);
        else
            remove_at(side, side->looked);
    }
}

peer_t *
peers_find(watch_side_t *side, ino_t inode)
{
    for (size_t i = side->count; i-- > 0;) // the newest comes last
        if (side->peers[i].inode == inode)
            return &side->peers[i];
    return NULL;
}
