// SPDX-License-Identifier: MPL-2.0
#include "net/listener.h"

#include "base/mem.h"
#include "net/listener_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Every listener of the process, so that the watch thread can close them all when descriptors run short.
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static listener_t *all;
static unsigned all_closed;
static int backlog_cap;
static void (*on_gone)(const char *wanted, void *arg);
static void *gone_arg;

// --- what the kinds ask --------------------------------------------------------------

int
listener_backlog(const side_conf_t *side)
{
    int wanted = (int)side_option(side, "backlog", 100);
    return backlog_cap && wanted > backlog_cap ? backlog_cap : wanted;
}

void
listener_backlog_cap(int backlog_most)
{
    backlog_cap = backlog_most;
}

void
listener_each_at(int port, void (*fn)(const listener_t *listener, void *arg), void *arg)
{
    pthread_mutex_lock(&all_lock);
    for (const listener_t *i = all; i; i = i->next)
        if (i->port == port)
            fn(i, arg);
    pthread_mutex_unlock(&all_lock);
}

void
listener_on_gone(void (*gone)(const char *wanted, void *arg), void *arg)
{
    on_gone = gone;
    gone_arg = arg;
}

void
listener_tell_gone(const listener_t *self)
{
    if (on_gone)
        on_gone(self->wanted, gone_arg);
}

// --- accepting -----------------------------------------------------------------------

static void
set_closed(listener_t *self, unsigned closed)
{
    bool was = self->closed;
    self->closed = closed;
    if (self->fd != -1 && was != (bool)closed)
        self->kind->accept(self);
}

void
listener_accept(listener_t *self, closed_for_t reason, bool on)
{
    pthread_mutex_lock(&all_lock);
    set_closed(self, on ? self->closed & ~(unsigned)reason : self->closed | reason);
    pthread_mutex_unlock(&all_lock);
}

void
listener_full(listener_t *self, bool full)
{
    pthread_mutex_lock(&all_lock);
    self->full += full ? 1u : -1u;
    unsigned others = self->closed & ~(unsigned)CLOSED_SIDE_FULL;
    set_closed(self, self->full ? others | CLOSED_SIDE_FULL : others);
    pthread_mutex_unlock(&all_lock);
}

void
listener_accept_all(closed_for_t reason, bool on)
{
    pthread_mutex_lock(&all_lock);
    all_closed = on ? all_closed & ~(unsigned)reason : all_closed | reason;
    for (listener_t *i = all; i; i = i->next)
        set_closed(i, on ? i->closed & ~(unsigned)reason : i->closed | reason);
    pthread_mutex_unlock(&all_lock);
}

// --- files that have gone, addresses that are on their way out -------------------------

// Caller holds the lock. While it does not accept, the file is elsewhere.
static listener_t *
find_missing(const char *wanted)
{
    for (listener_t *i = all; i; i = i->next)
        if (i->file.inode && !i->tried && !i->closed && strcmp(i->wanted, wanted) == 0 &&
            !ipcfile_is_at(&i->file, i->file.path))
            return i;
    return NULL;
}

bool
listener_is_missing(const char *wanted)
{
    pthread_mutex_lock(&all_lock);
    bool is_missing = find_missing(wanted);
    pthread_mutex_unlock(&all_lock);
    return is_missing;
}

bool
listener_note_missing(const char *wanted)
{
    pthread_mutex_lock(&all_lock);
    listener_t *missing = find_missing(wanted);
    bool is_news = missing && !missing->missing;
    if (missing)
        missing->missing = true;
    pthread_mutex_unlock(&all_lock);
    return is_news;
}

static bool
binds(const conf_t *conf, const char *endpoint)
{
    for (size_t i = 0; i < conf->route_count; i++)
        for (side_t side = 0; side < SIDES; side++)
            if (side_has_endpoint(&conf->routes[i]->sides[side], endpoint, false))
                return true;
    return false;
}

void
listener_make_way_for(const conf_t *wanted)
{
    pthread_mutex_lock(&all_lock);
    for (listener_t *i = all; i; i = i->next)
        i->leaving = wanted && i->port && !binds(wanted, i->wanted);
    pthread_mutex_unlock(&all_lock);
}

// --- life ------------------------------------------------------------------------------

static void
enlist(listener_t *self)
{
    pthread_mutex_lock(&all_lock);
    self->next = all;
    all = self;
    set_closed(self, all_closed);
    pthread_mutex_unlock(&all_lock);
}

static void
delist(listener_t *self)
{
    pthread_mutex_lock(&all_lock);
    for (listener_t **at = &all; *at; at = &(*at)->next)
        if (*at == self) {
            *at = self->next;
            break;
        }
    pthread_mutex_unlock(&all_lock);
}

static void
adopt(listener_t *self, int fd, bool ours)
{
    self->fd = fd;
    self->listens = true;
    self->foreign = !ours;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    assert(self->kind); // nobody hands over others
    self->kind->adopt(self, ours);
}

static const listener_kind_t *
kind_of(transport_t transport)
{
    if (transport_is_over_tcp(transport))
        return &listener_tcp;
    return transport == TRANSPORT_IPC ? &listener_ipc : NULL;
}

static listener_t *
new_listener(const endpoint_conf_t *endpoint, const side_conf_t *side, int fd, bool ours, bool tried, diag_t *diag)
{
    char reason[256] = "";
    listener_t *self = xcalloc(1, sizeof *self);
    self->tried = tried;
    self->wanted = xstrdup(endpoint->at.text);
    self->kind = kind_of(endpoint->at.transport);
    self->port = self->kind == &listener_tcp ? endpoint->at.port : 0;
    self->wildcard = endpoint->at.wildcard;
    self->holders = 1;
    self->fd = -1;
    self->file = IPCFILE_NONE;

    int rc = 0;
    if (fd != -1)
        adopt(self, fd, ours);
    else if (self->kind)
        rc = self->kind->open(self, &endpoint->at, side, reason, sizeof reason);
    int error = errno;
    enlist(self);
    if (rc == 0 && self->wildcard && self->fd != -1)
        self->endpoint = self->kind->resolve(self);
    if (rc == 0)
        return self;
    diag_error(diag, endpoint->place, "cannot bind %s: %s", endpoint->at.text, reason);
    diag_cause(diag, error);
    listener_close(&self, false);
    return NULL;
}

listener_t *
listener_open(const endpoint_conf_t *endpoint, const side_conf_t *side, int fd, bool ours, diag_t *diag)
{
    return new_listener(endpoint, side, fd, ours, false, diag);
}

int
listener_try(const endpoint_conf_t *endpoint, const side_conf_t *side, diag_t *diag)
{
    listener_t *self = new_listener(endpoint, side, -1, false, true, diag);
    int rc = self ? 0 : -1;
    listener_close(&self, false);
    return rc;
}

static int
change(listener_t *self, const endpoint_conf_t *endpoint, const side_conf_t *side, bool really, diag_t *diag)
{
    char reason[256] = "";
    if (self->fd == -1 || self->foreign)
        return 0;
    pthread_mutex_lock(&all_lock); // who closes it moves its file
    int rc = self->kind->change(self, &endpoint->at, side, really, reason, sizeof reason), error = errno;
    pthread_mutex_unlock(&all_lock);
    if (rc == 0)
        return 0;
    diag_error(diag, endpoint->place, "cannot change %s: %s", endpoint->at.text, reason);
    diag_cause(diag, error);
    return -1;
}

int
listener_change(listener_t *self, const endpoint_conf_t *endpoint, const side_conf_t *side, diag_t *diag)
{
    return change(self, endpoint, side, true, diag);
}

int
listener_could_change(listener_t *self, const endpoint_conf_t *endpoint, const side_conf_t *side, diag_t *diag)
{
    return change(self, endpoint, side, false, diag);
}

listener_t *
listener_share(listener_t *self)
{
    self->holders++;
    return self;
}

bool
listener_is_shared(const listener_t *self)
{
    return self->holders > 1;
}

void
listener_close(listener_t **self_p, bool keep_file)
{
    listener_t *self = *self_p;
    *self_p = NULL;
    if (!self || --self->holders > 0)
        return;
    delist(self);
    if (self->kind)
        self->kind->close(self, keep_file);
    if (self->fd != -1)
        close(self->fd);
    free(self->folder);
    free(self->bound_as);
    free(self->endpoint);
    free(self->wanted);
    free(self);
}

// --- its names -------------------------------------------------------------------------

// libzmq resolves an ipc path even when it is given a descriptor.
char *
listener_bind_text(const listener_t *self)
{
    return self->file.path ? xasprintf("ipc://%s", self->file.path) : xstrdup(self->wanted);
}

// A route that shares the listener may be reading the text.
static void
keep_text(char **text, const char *wanted)
{
    if (*text && strcmp(*text, wanted) == 0)
        return;
    free(*text);
    *text = xstrdup(wanted);
}

void
listener_bound(listener_t *self, const char *name)
{
    if (self->wildcard && self->fd == -1)
        keep_text(&self->endpoint, name);
    keep_text(&self->bound_as, name);
}

const char *
listener_endpoint(const listener_t *self)
{
    return self->endpoint ? self->endpoint : self->wanted;
}

bool
listener_is_wildcard(const listener_t *self)
{
    return self->wildcard;
}

const char *
listener_bound_as(const listener_t *self)
{
    return self->bound_as ? self->bound_as : self->wanted;
}

const char *
listener_wanted(const listener_t *self)
{
    return self->wanted;
}

int
listener_fd(const listener_t *self)
{
    return self->fd;
}
