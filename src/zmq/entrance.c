// SPDX-License-Identifier: MPL-2.0
#include "zmq/entrance.h"

#include "base/mem.h"
#include "net/address.h"

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

bool
entrance_admits(int fd, const struct sockaddr_storage *peer)
{
    char address[INET6_ADDRSTRLEN];
    address_host(&(address_t){ .at = *peer }, address, sizeof address);
    if (!*address)
        return peer->ss_family == AF_UNIX || peer->ss_family == AF_TIPC;
    pthread_mutex_lock(&lock);
    const entrance_t *where = (size_t)fd < room ? entrances[fd] : NULL;
    bool admitted = !where || !guard || guard->address(guard->arg, where->route, where->side, address) == ADMISSION_WELCOME;
    pthread_mutex_unlock(&lock);
    return admitted;
}
