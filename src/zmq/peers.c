// SPDX-License-Identifier: MPL-2.0
#include "zmq/peers.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
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
remove_at(watch_side_t *side, size_t i)
{
    log_event(EVENT_CLIENT_GONE, EVENT_TEXT("route", side->route), EVENT_TEXT("side", side_name(side->side)),
              EVENT_NUMBER("client", side->peers[i].id), EVENT_TEXT("peer", side->peers[i].peer));
    memmove(&side->peers[i], &side->peers[i + 1], (side->count - i - 1) * sizeof side->peers[i]);
    side->count--;
    counter_add(&side->counters->disconnections, 1);
    peers_count(side);
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

// With several I/O threads a connection may end before the event that it was accepted.
static void
remove_phantoms(watch_side_t *side, int fd)
{
    for (size_t i = side->count; i-- > 0;)
        if (side->peers[i].fd == fd)
            remove_at(side, i);
}

// Nobody is to come any more, or in this moment; what is accepted while the side drains is half-closed at once.
static void
meet(const watch_side_t *side, peer_t *peer)
{
    if (!peer->inode)
        return;
    if (side->turned_away || clock_mono_ms() < side->cut_until_ms)
        shutdown(peer->fd, SHUT_RDWR);
    else if (side->half_closed)
        peer->half_closed = shutdown(peer->fd, SHUT_WR) == 0;
}

void
peers_add(watch_side_t *side, int fd, bool outgoing)
{
    remove_phantoms(side, fd);
    mem_grow(side->peers, side->count, side->room);
    peer_t *peer = &side->peers[side->count++];
    *peer = (peer_t){ .id = client_next_id(), .fd = fd, .inode = inode_of(fd), .outgoing = outgoing };
    peer->since_wall_ns = clock_wall_ns();
    name_peer(peer, fd);
    counter_add(&side->counters->accepted, 1);
    peers_count(side);
    meet(side, peer);
    log_event(outgoing ? EVENT_CLIENT_REACHED : EVENT_CLIENT_CONNECTED, EVENT_TEXT("route", side->route),
              EVENT_TEXT("side", side_name(side->side)), EVENT_NUMBER("client", peer->id), EVENT_TEXT("peer", peer->peer));
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
            side->looked++;
        else
            remove_at(side, side->looked);
    }
}
