// SPDX-License-Identifier: MPL-2.0
// connection.c - see connection.h.

#include "ctl/connection.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { LINE_LIMIT = 256 * 1024 * 1024 };

static exit_t fail(connection_t *self, exit_t result, const char *format, ...) __attribute__((format(printf, 3, 4)));

static exit_t
fail(connection_t *self, exit_t result, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_vadd(&self->reason, format, args);
    va_end(args);
    return result;
}

static exit_t
silent(connection_t *self)
{
    return fail(self, EXIT_NO_ANSWER, "the daemon at %s does not answer", self->path);
}

// --- open and close ------------------------------------------------------------------------

static exit_t
refused(connection_t *self, int error)
{
    if (error == EAGAIN || error == EINPROGRESS) // a daemon that hangs does not accept
        return silent(self);
    if (error == EACCES || error == EPERM)
        return fail(self, EXIT_NO_ANSWER, "no permission for %s: be root or in group zbroker", self->path);
    return fail(self, EXIT_NO_DAEMON, "no daemon at %s: %s", self->path, strerror(error));
}

exit_t
connection_open(connection_t *self, const char *path, int timeout_ms)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct timeval timeout = { .tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000 };
    *self = (connection_t){ .fd = -1, .path = path, .timeout_ms = timeout_ms };
    if (strlen(path) >= sizeof address.sun_path)
        return fail(self, EXIT_NO_DAEMON, "%s: the path is too long", path);
    memcpy(address.sun_path, path, strlen(path));
    self->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (timeout_ms > 0) // of a connect(2), too
        setsockopt(self->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    if (self->fd == -1 || connect(self->fd, (struct sockaddr *)&address, sizeof address) == -1)
        return refused(self, errno);
    return EXIT_OK;
}

void
connection_close(connection_t *self)
{
    if (self->fd != -1)
        close(self->fd);
    text_free(&self->received);
    text_free(&self->reason);
    self->fd = -1;
}

// --- lines -------------------------------------------------------------------------------------

// Send TEXT, or as much of it as there is room for, with DESCRIPTOR: how much was sent.
static size_t
send_with(const connection_t *self, const text_t *text, int descriptor)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec bytes = { text->data, text->size };
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control.room
    };
    control.header =
        (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
    ssize_t sent;
    do
        sent = sendmsg(self->fd, &message, MSG_NOSIGNAL);
    while (sent == -1 && errno == EINTR);
    return sent == -1 ? 0 : (size_t)sent;
}

void
connection_send(connection_t *self, const char *line, int descriptor)
{
    text_t text = { 0 };
    text_add(&text, "%s\n", line);
    size_t sent = descriptor == -1 ? 0 : send_with(self, &text, descriptor);
    while (sent < text.size) {
        ssize_t done = send(self->fd, text.data + sent, text.size - sent, MSG_NOSIGNAL);
        if (done == -1 && errno != EINTR)
            break; // it may have said why: the answer is read
        sent += done > 0 ? (size_t)done : 0;
    }
    text_free(&text);
}

// Cut a line out of what was received.
static bool
cut_line(connection_t *self, const char **line, size_t *size)
{
    size_t left = self->received.size - self->searched;
    char *end = left ? memchr(self->received.data + self->searched, '\n', left) : NULL;
    if (!end) {
        self->searched = self->received.size;
        return false;
    }
    *end = '\0';
    *line = self->received.data + self->used;
    *size = (size_t)(end - *line);
    self->used = self->searched = (size_t)(end - self->received.data) + 1;
    return true;
}

// Forget the lines that were given away.
static void
make_room(connection_t *self)
{
    if (!self->used)
        return;
    memmove(self->received.data, self->received.data + self->used, self->received.size - self->used);
    self->received.size -= self->used;
    self->searched -= self->used;
    self->used = 0;
}

// Wait until something has come. NEXT_LINE: it has.
static next_t
wait_for_it(connection_t *self, exit_t *failure)
{
    struct pollfd items[] = { { .fd = self->fd, .events = POLLIN }, { .fd = STDOUT_FILENO } };
    struct timespec limit = { .tv_sec = self->timeout_ms / 1000, .tv_nsec = self->timeout_ms % 1000 * 1000000L };
    int ready = ppoll(items, 2, self->timeout_ms > 0 ? &limit : NULL, self->mask);
    if (ready == -1)
        return NEXT_SIGNAL;
    if (items[1].revents & POLLERR) { // nobody reads us any more: `| head'
        *failure = EXIT_FAILED;
        return NEXT_FAILED;
    }
    if (ready == 0) {
        *failure = silent(self);
        return NEXT_FAILED;
    }
    return NEXT_LINE;
}

static bool
receive(connection_t *self, exit_t *failure)
{
    char block[65536];
    ssize_t got = recv(self->fd, block, sizeof block, 0);
    if (got <= 0) {
        *failure = fail(self, EXIT_NO_DAEMON, "the daemon closed the connection");
        return false;
    }
    make_room(self);
    text_bytes(&self->received, block, (size_t)got);
    if (self->received.size > LINE_LIMIT) {
        *failure = fail(self, EXIT_FAILED, "the answer is too long");
        return false;
    }
    return true;
}

next_t
connection_next(connection_t *self, const char **line, size_t *size, exit_t *failure)
{
    while (!cut_line(self, line, size)) {
        next_t come = wait_for_it(self, failure);
        if (come != NEXT_LINE)
            return come;
        if (!receive(self, failure))
            return NEXT_FAILED;
    }
    return *size ? NEXT_LINE : NEXT_END;
}

// --- JSON ----------------------------------------------------------------------------------------

document_t *
connection_ask(connection_t *self, const char *line, exit_t *failure)
{
    text_t whole = { 0 };
    const char *piece;
    size_t size;
    next_t next;
    text_add(&whole, "%s json", line);
    connection_send(self, whole.data, -1);
    text_clear(&whole);
    while ((next = connection_next(self, &piece, &size, failure)) == NEXT_LINE || next == NEXT_SIGNAL)
        if (next == NEXT_LINE)
            text_bytes(&whole, piece, size);
    document_t *document = next == NEXT_END ? document_read(whole.data, whole.size) : NULL;
    if (next == NEXT_END && !document)
        *failure = fail(self, EXIT_FAILED, "the daemon's answer to `%s' is no JSON", line);
    text_free(&whole);
    return document;
}

// --- between answers -----------------------------------------------------------------------------

bool
connection_has_line(const connection_t *self)
{
    size_t left = self->received.size - self->searched;
    return left && memchr(self->received.data + self->searched, '\n', left);
}

pause_t
connection_pause(connection_t *self, double seconds, int other)
{
    int64_t end = clock_mono_ms() + (int64_t)(seconds * 1000);
    for (int64_t left; (left = end - clock_mono_ms()) > 0;) {
        struct pollfd items[] = { { .fd = self->fd, .events = POLLIN }, { .fd = other, .events = POLLIN } };
        struct timespec limit = { .tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000 };
        int ready = ppoll(items, 2, &limit, self->mask);
        if (ready > 0 && items[0].revents) {
            text_add(&self->reason, "the daemon closed the connection");
            return PAUSE_LOST;
        }
        if (ready > 0)
            return PAUSE_OTHER;
        if (ready == -1)
            break; // a signal
    }
    return PAUSE_OVER;
}
