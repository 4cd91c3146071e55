// SPDX-License-Identifier: MPL-2.0
#include "zmq/entrance.h"

#include "base/mem.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// By descriptor. libzmq closes its own when it gets round to it, so an entry stays until the
// next listener has that number: no connection is accepted on a descriptor that is closed.
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entrance_t **entrances;
static size_t room;
static const admission_t *guard;

void
entrance_ask(const admission_t *asked)
{
    pthread_mutex_lock(&lock);
    guard = asked;
    pthread_mutex_unlock(&lock);
}

static void
make_room(size_t fd)
{
    if (fd < room)
        return;
    entrances = xrealloc(entrances, 2 * fd + 1, sizeof *entrances);
    memset(entrances + room, 0, (2 * fd + 1 - room) * sizeof *entrances);
    room = 2 * fd + 1;
}

void
entrance_note(int fd, const entrance_t *where)
{
    pthread_mutex_lock(&lock);
    make_room((size_t)fd);
    if (!entrances[fd])
        entrances[fd] = xcalloc(1, sizeof *entrances[fd]);
    *entrances[fd] = *where;
    pthread_mutex_unlock(&lock);
}

// False: it has none.
static bool
print_address(const struct sockaddr_storage *peer, char text[INET6_ADDRSTRLEN])
{
    const struct sockaddr_in *in = (const struct sockaddr_in *)peer;
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)peer;
    if (peer->ss_family == AF_INET)
        return inet_ntop(AF_INET, &in->sin_addr, text, INET6_ADDRSTRLEN);
    if (peer->ss_family != AF_INET6)
        return false;
    bool mapped = IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr);
    return inet_ntop(mapped ? AF_INET : AF_INET6, &in6->sin6_addr.s6_addr[mapped ? 12 : 0], text, INET6_ADDRSTRLEN);
}

bool
entrance_admits(int fd, const struct sockaddr_storage *peer)
{
    char address[INET6_ADDRSTRLEN];
    if (!print_address(peer, address))
        return peer->ss_family == AF_UNIX || peer->ss_family == AF_TIPC;
    pthread_mutex_lock(&lock);
    const entrance_t *where = (size_t)fd < room ? entrances[fd] : NULL;
    bool admitted = !where || !guard || guard->address(guard->arg, where->route, where->side, address) == ADMISSION_WELCOME;
    pthread_mutex_unlock(&lock);
    return admitted;
}
