// SPDX-License-Identifier: MPL-2.0
#include "net/tcp.h"

#include "base/mem.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FIELD(name) offsetof(tcp_options_t, name)

// What each option is where the file says nothing: the system's own.
static const struct {
    const char *key;
    size_t field;
    int initial;
} fields[] = {
    { "busy_poll", FIELD(busy_poll), 0 },
    { "priority", FIELD(priority), 0 },
    { "rcvbuf", FIELD(rcvbuf), -1 },
    { "sndbuf", FIELD(sndbuf), -1 },
    { "tcp_keepalive", FIELD(keepalive), -1 },
    { "tcp_keepalive_cnt", FIELD(keepalive_cnt), -1 },
    { "tcp_keepalive_idle", FIELD(keepalive_idle), -1 },
    { "tcp_keepalive_intvl", FIELD(keepalive_intvl), -1 },
    { "tcp_maxrt", FIELD(maxrt), 0 },
    { "tos", FIELD(tos), 0 },
};

typedef enum { BEFORE = 1, AFTER = 2, WITH_KEEPALIVE = 4, AGAIN = 8 } moment_t;

static const struct {
    size_t field;
    int level, name;
    unsigned moments;
    int least; // a lower one is not told to the kernel
} settings[] = {
    { FIELD(sndbuf), SOL_SOCKET, SO_SNDBUF, BEFORE, 0 },
    { FIELD(rcvbuf), SOL_SOCKET, SO_RCVBUF, BEFORE, 0 },
    { FIELD(tos), IPPROTO_IP, IP_TOS, BEFORE | AFTER, 1 },
    { FIELD(tos), IPPROTO_IPV6, IPV6_TCLASS, BEFORE | AFTER, 1 },
    { FIELD(priority), SOL_SOCKET, SO_PRIORITY, BEFORE | AFTER, 1 }, // after IP_TOS, which sets one, too
    { FIELD(busy_poll), SOL_SOCKET, SO_BUSY_POLL, BEFORE | AFTER, 1 },
    { FIELD(keepalive), SOL_SOCKET, SO_KEEPALIVE, AFTER, 0 },
    { FIELD(keepalive_cnt), IPPROTO_TCP, TCP_KEEPCNT, AFTER | WITH_KEEPALIVE, 1 },
    { FIELD(keepalive_idle), IPPROTO_TCP, TCP_KEEPIDLE, AFTER | WITH_KEEPALIVE, 1 },
    { FIELD(keepalive_intvl), IPPROTO_TCP, TCP_KEEPINTVL, AFTER | WITH_KEEPALIVE, 1 },
    { FIELD(maxrt), IPPROTO_TCP, TCP_USER_TIMEOUT, AFTER, 1 },
};

static int *
field_of(tcp_options_t *self, size_t field)
{
    return (int *)(void *)((char *)self + field);
}

static int
value_of(const tcp_options_t *self, size_t field)
{
    return *(const int *)(const void *)((const char *)self + field);
}

void
tcp_options(tcp_options_t *self, const side_conf_t *side)
{
    *self = (tcp_options_t){ 0 };
    for (size_t i = 0; i < COUNT(fields); i++)
        *field_of(self, fields[i].field) = (int)side_option(side, fields[i].key, fields[i].initial);
    for (size_t i = 0; i < side->option_count; i++)
        if (strcmp(side->options[i].option->key, "bindtodevice") == 0)
            snprintf(self->device, sizeof self->device, "%s", side->options[i].value.text);
}

static void
set_all(int fd, const tcp_options_t *options, moment_t moment)
{
    for (size_t i = 0; i < COUNT(settings); i++) {
        int value = value_of(options, settings[i].field);
        bool applies = !(settings[i].moments & WITH_KEEPALIVE) || options->keepalive >= 0;
        int least = moment & AGAIN ? 0 : settings[i].least; // what was told before is taken back
        if (settings[i].moments & moment && applies && value >= least)
            setsockopt(fd, settings[i].level, settings[i].name, &value, sizeof value);
    }
}

int
tcp_prepare(int fd, const tcp_options_t *options)
{
    set_all(fd, options, BEFORE);
    return *options->device
               ? setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, options->device, (socklen_t)strlen(options->device))
               : 0;
}

static int
bind_to_device(int fd, const char *device)
{
    char now[sizeof((tcp_options_t *)0)->device] = "";
    socklen_t size = sizeof now;
    if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, now, &size) == 0 && strncmp(now, device, sizeof now) == 0)
        return 0;
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, (socklen_t)strlen(device));
}

int
tcp_change(int fd, const tcp_options_t *options)
{
    set_all(fd, options, BEFORE | AGAIN);
    return bind_to_device(fd, options->device);
}

// Tried with a socket that has the device of this one: who may take the first device may not take another.
int
tcp_could_change(int fd, const tcp_options_t *options)
{
    char now[sizeof options->device] = "";
    socklen_t size = sizeof now;
    getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, now, &size);
    if (strcmp(now, options->device) == 0)
        return 0;
    int trial = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc = trial == -1 || bind_to_device(trial, now) == -1 ? -1 : bind_to_device(trial, options->device);
    int error = errno;
    if (trial != -1)
        close(trial);
    errno = error;
    return rc;
}

void
tcp_tune(int fd, const tcp_options_t *options)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    set_all(fd, options, AFTER);
}

void
tcp_tune_again(int fd, const tcp_options_t *options)
{
    set_all(fd, options, BEFORE | AFTER | AGAIN);
}
