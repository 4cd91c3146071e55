// SPDX-License-Identifier: MPL-2.0
#include "flow/knocks.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

// Once only, until the next round: whoever is slow to open is not asked without end.
static int
listen_at(watch_t *self, door_t *door, int operation)
{
    struct epoll_event on_knock = { .events = EPOLLIN | EPOLLONESHOT, .data.ptr = door };
    return epoll_ctl(self->doors_epoll, operation, door->fd, &on_knock);
}

void
knocks_answer(watch_t *self)
{
    struct epoll_event knocks[64];
    int n = epoll_wait(self->doors_epoll, knocks, 64, 0);
    for (int i = 0; i < n; i++) {
        const door_t *door = knocks[i].data.ptr;
        door->knock(door->arg);
    }
}

void
knocks_ask_again(watch_t *self)
{
    for (door_t *door = self->doors; door; door = door->next)
        listen_at(self, door, EPOLL_CTL_MOD);
}

int
watch_door(watch_t *self, int fd, void (*knock)(void *arg), void *arg)
{
    door_t *door = xcalloc(1, sizeof *door);
    *door = (door_t){ .fd = fd, .knock = knock, .arg = arg };
    pthread_mutex_lock(&self->lock);
    int rc = listen_at(self, door, EPOLL_CTL_ADD), error = errno;
    if (rc == 0) {
        door->next = self->doors;
        self->doors = door;
    } else
        free(door);
    pthread_mutex_unlock(&self->lock);
    errno = error;
    return rc;
}

void
watch_door_gone(watch_t *self, int fd)
{
    pthread_mutex_lock(&self->lock);
    for (door_t **at = &self->doors; *at; at = &(*at)->next)
        if ((*at)->fd == fd) {
            door_t *door = *at;
            *at = door->next;
            epoll_ctl(self->doors_epoll, EPOLL_CTL_DEL, fd, NULL);
            free(door);
            break;
        }
    pthread_mutex_unlock(&self->lock);
}
