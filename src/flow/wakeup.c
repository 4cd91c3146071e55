// SPDX-License-Identifier: MPL-2.0
#include "flow/wakeup.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <zmq.h>

// As in zmq_poller(3); zmq.h hides them where the library was built without drafts.
typedef struct {
    void *(*create)(void);
    int (*add)(void *poller, void *socket, void *arg, short events);
    int (*descriptor)(void *poller, int *fd);
    int (*destroy)(void **poller_p);
} poller_api_t;

static void
look_up(const char *name, void *function, size_t size)
{
    void *found = dlsym(RTLD_DEFAULT, name);
    memcpy(function, &found, size); // C knows no cast from one to the other
}

static poller_api_t
poller_api(void)
{
    poller_api_t api;
    look_up("zmq_poller_new", &api.create, sizeof api.create);
    look_up("zmq_poller_add", &api.add, sizeof api.add);
    look_up("zmq_poller_fd", &api.descriptor, sizeof api.descriptor);
    look_up("zmq_poller_destroy", &api.destroy, sizeof api.destroy);
    return api;
}

static int
ask_poller(wakeup_t *self, void *socket)
{
    poller_api_t api = poller_api();
    if (!api.create || !api.add || !api.descriptor || !api.destroy) {
        errno = ENOTSUP;
        return -1;
    }
    self->poller = api.create();
    if (self->poller && api.add(self->poller, socket, NULL, ZMQ_POLLIN) == 0
        && api.descriptor(self->poller, &self->fd) == 0)
        return 0;
    int error = errno;
    wakeup_close(self);
    errno = error;
    return -1;
}

int
wakeup_open(wakeup_t *self, void *socket)
{
    size_t size = sizeof self->fd;
    *self = (wakeup_t){ .fd = -1 };
    if (zmq_getsockopt(socket, ZMQ_FD, &self->fd, &size) == 0)
        return 0;
    self->fd = -1;
    return errno == EINVAL ? ask_poller(self, socket) : -1;
}

// A poller's descriptor is signalled once for each time that the mailbox was
// empty, and nothing but a read takes that back. Before the commands are run:
// what comes in between signals again.
static void
take_signals(int fd)
{
    uint64_t signals[8];
    while (read(fd, signals, sizeof signals) > 0) {
    }
}

int
wakeup_heard(const wakeup_t *self, void *socket)
{
    int ready = 0;
    size_t size = sizeof ready;
    if (self->poller)
        take_signals(self->fd);
    zmq_getsockopt(socket, ZMQ_EVENTS, &ready, &size);
    return ready;
}

void
wakeup_close(wakeup_t *self)
{
    if (self->poller)
        poller_api().destroy(&self->poller);
    *self = (wakeup_t){ .fd = -1 };
}
