// SPDX-License-Identifier: MPL-2.0
#include "base/clock.h"
#include "base/text.h"
#include "broker/systemd.h"
#include "net/address.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { BARRIER_MS = 5000 };

static int notifier = -1;
static int64_t watchdog_usec;

static int
open_notifier(const char *name)
{
    address_t address;
    if ((*name != '/' && *name != '@') || strlen(name) < 2 || !address_unix(&address, name))
        return -1;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd != -1 && connect(fd, (struct sockaddr *)&address.at, address.length) == -1) {
        close(fd);
        return -1;
    }
    // systemd reads soon, or not at all: READY must not get lost, and nobody may wait for ever.
    struct timeval patience = { .tv_sec = 1 };
    if (fd != -1)
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    return fd;
}

// WATCHDOG_PID names who is watched; without it, whoever reads it.
static int64_t
read_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    char *end;
    if (!usec || (pid && strtoll(pid, NULL, 10) != getpid()))
        return 0;
    errno = 0;
    long long value = strtoll(usec, &end, 10);
    return errno || *end || end == usec || value <= 0 ? 0 : value;
}

void
systemd_open(void)
{
    const char *name = getenv("NOTIFY_SOCKET");
    systemd_close();
    notifier = name ? open_notifier(name) : -1;
    watchdog_usec = notifier == -1 ? 0 : read_watchdog();
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void
systemd_close(void)
{
    if (notifier != -1)
        close(notifier);
    notifier = -1;
    watchdog_usec = 0;
}

bool
systemd_is_watched(void)
{
    return notifier != -1;
}

// One datagram, FD (-1: none) with it.
static int
notify(const char *text, size_t size, int fd)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr aligned;
    } control = { 0 };
    struct iovec part = { .iov_base = (void *)(uintptr_t)text, .iov_len = size };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (notifier == -1)
        return 0;
    if (fd != -1) {
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof control.bytes;
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    ssize_t done;
    do
        done = sendmsg(notifier, &message, MSG_NOSIGNAL);
    while (done == -1 && errno == EINTR);
    return done == -1 ? -1 : 0;
}

static int say(int fd, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int
say(int fd, const char *format, ...)
{
    if (notifier == -1)
        return 0;
    text_t text = { 0 };
    va_list args;
    va_start(args, format);
    text_vadd(&text, format, args);
    va_end(args);
    int rc = notify(text.data, text.size, fd), why = errno;
    text_free(&text);
    errno = why;
    return rc;
}

void
systemd_ready(void)
{
    say(-1, "READY=1");
}

void
systemd_reloading(void)
{
    say(-1, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_mono_ns() / 1000);
}

void
systemd_stopping(void)
{
    say(-1, "STOPPING=1");
}

void
systemd_status(const char *format, ...)
{
    text_t text = { 0 }, shown = { 0 };
    va_list args;
    va_start(args, format);
    text_vadd(&text, format, args);
    va_end(args);
    text_shown(&shown, text.data, text.size); // a newline would begin another assignment
    say(-1, "STATUS=%s", shown.data);
    text_free(&text);
    text_free(&shown);
}

void
systemd_extend(int64_t usec)
{
    say(-1, "EXTEND_TIMEOUT_USEC=%" PRId64, usec);
}

int64_t
systemd_watchdog_usec(void)
{
    return watchdog_usec;
}

void
systemd_alive(void)
{
    say(-1, "WATCHDOG=1");
}

static bool
is_name(const char *name)
{
    size_t length = strlen(name);
    for (const char *at = name; *at; at++)
        if ((unsigned char)*at < 0x20 || *at == 0x7f || *at == ':')
            return false;
    return length > 0 && length <= 255;
}

int
systemd_store(int fd, const char *name)
{
    if (is_name(name))
        return say(fd, "FDSTORE=1\nFDNAME=%s", name);
    errno = EINVAL;
    return -1;
}

int
systemd_unstore(const char *name)
{
    if (is_name(name))
        return say(-1, "FDSTOREREMOVE=1\nFDNAME=%s", name);
    errno = EINVAL;
    return -1;
}

// Its end of the pipe is closed when it comes to this message.
void
systemd_barrier(void)
{
    int ends[2];
    if (notifier == -1 || pipe2(ends, O_CLOEXEC) == -1)
        return;
    int rc = say(ends[1], "BARRIER=1");
    close(ends[1]);
    struct pollfd seen = { .fd = ends[0] };
    if (rc == 0)
        poll(&seen, 1, BARRIER_MS);
    close(ends[0]);
}
