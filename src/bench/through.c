// SPDX-License-Identifier: MPL-2.0

#include "bench/through.h"

#include "base/text.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

// A wildcard host is reached over the loopback.
static void
reach(char *to, size_t size, const char *bound)
{
    static const struct {
        const char *bound, *reached;
    } hosts[] = {
        { "tcp://*:", "tcp://127.0.0.1:" },
        { "tcp://0.0.0.0:", "tcp://127.0.0.1:" },
        { "tcp://[::]:", "tcp://[::1]:" },
        { "ws://*:", "ws://127.0.0.1:" },
        { "ws://0.0.0.0:", "ws://127.0.0.1:" },
    };
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++) {
        size_t length = strlen(hosts[i].bound);
        if (strncmp(bound, hosts[i].bound, length) == 0) {
            snprintf(to, size, "%s%s", hosts[i].reached, bound + length);
            return;
        }
    }
    snprintf(to, size, "%s", bound);
}

// A route that connects somewhere meets the load if that binds there.
static void
add_endpoint(char list[][256], size_t *count, const char *value, bool connects)
{
    if (*count == OPTIONS_LIST || !*value)
        return;
    char *entry = list[(*count)++];
    if (connects)
        snprintf(entry, 256, "@%s", value);
    else
        reach(entry, 256, value);
}

static bool
names_endpoint(const char *key, const char *side)
{
    size_t length = strlen(side);
    return strncmp(key, side, length) == 0 && (strcmp(key + length, "_bind") == 0 || strcmp(key + length, "_connect") == 0);
}

static void
take_key(through_t *self, const char *key, const char *value)
{
    static const char *const sides[2][2] = { { "frontend", "backend" }, { "ack", "worker_ack" } };
    const char *const *side = sides[self->ack];
    if (strcmp(key, "type") == 0)
        snprintf(self->type, sizeof self->type, "%s", value);
    else if (names_endpoint(key, side[0]))
        add_endpoint(self->to, &self->tos, value, strstr(key, "_connect"));
    else if (names_endpoint(key, side[1]))
        add_endpoint(self->from, &self->froms, value, strstr(key, "_connect"));
}

// Cut blanks off both ends, in place.
static char *
trim(char *text)
{
    text += strspn(text, " \t\r");
    for (size_t size = strlen(text); size && strchr(" \t\r", text[size - 1]);)
        text[--size] = 0;
    return text;
}

static int
check(const through_t *self, const char *route, bool found, char error[256])
{
    if (!found) {
        snprintf(error, 256, "there is no route %s", route);
        return -1;
    }
    for (size_t i = 0; i < self->tos + self->froms; i++) {
        const char *endpoint = i < self->tos ? self->to[i] : self->from[i - self->tos];
        size_t length = strlen(endpoint);
        if (length > 2 && strcmp(endpoint + length - 2, ":*") == 0) {
            snprintf(error, 256, "route %s is bound to a free port: ask zbrokerctl show routes, and use --to and --from", route);
            return -1;
        }
    }
    if (self->tos && self->froms)
        return 0;
    snprintf(error, 256, "route %s has no %s%s endpoint", route, self->ack ? "acknowledged " : "", self->tos ? "backend" : "frontend");
    return -1;
}

int
through_parse(through_t *self, const char *dump, const char *route, bool ack, char error[256])
{
    char line[4200], wanted[80];
    bool inside = false, found = false, global = false;
    memset(self, 0, sizeof *self);
    self->ack = ack;
    snprintf(wanted, sizeof wanted, "[route %s]", route);
    while (*dump) {
        size_t length = strcspn(dump, "\n");
        snprintf(line, sizeof line, "%.*s", (int)length, dump);
        dump += length + (dump[length] == '\n');
        char *text = trim(line), *equals = strchr(text, '=');
        if (*text == '[') {
            inside = strcmp(text, wanted) == 0;
            global = strcmp(text, "[zbroker]") == 0;
            found = found || inside;
        } else if (equals && *text != ';' && *text != '#') {
            *equals = 0;
            char *comment = strstr(equals + 1, " ;");
            if (comment)
                *comment = 0;
            char *key = trim(text), *value = trim(equals + 1);
            if (inside)
                take_key(self, key, value);
            else if (global && strcmp(key, "control") == 0)
                snprintf(self->control, sizeof self->control, "%s", value);
        }
    }
    return check(self, route, found, error);
}

// The zbroker of the same build or installation, otherwise what PATH finds.
static void
find_zbroker(char *path, size_t size)
{
    ssize_t length = readlink("/proc/self/exe", path, size - 16);
    path[length > 0 ? length : 0] = 0;
    char *slash = strrchr(path, '/');
    if (slash)
        strcpy(slash + 1, "zbroker");
    if (slash && access(path, X_OK) == 0)
        return;
    // Programs are in bin, daemons in sbin.
    char *parent = NULL;
    if (slash) {
        *slash = 0;
        parent = strrchr(path, '/');
    }
    if (parent) {
        strcpy(parent + 1, "sbin/zbroker");
        if (access(path, X_OK) == 0)
            return;
    }
    snprintf(path, size, "zbroker");
}

int
through_read(through_t *self, const char *conf, const char *route, bool ack, char error[256])
{
    char program[4096], block[4096];
    int ends[2];
    find_zbroker(program, sizeof program);
    if (pipe(ends) == -1) {
        snprintf(error, 256, "no pipe: %s", strerror(errno));
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        execlp(program, program, "-T", "-c", conf, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    text_t dump = { 0 };
    text_add(&dump, "%s", "");
    for (ssize_t got; pid > 0 && ((got = read(ends[0], block, sizeof block)) > 0 || (got == -1 && errno == EINTR));)
        if (got > 0)
            text_bytes(&dump, block, (size_t)got);
    close(ends[0]);
    int status = -1, rc = -1;
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (status == 0)
        rc = through_parse(self, dump.data, route, ack, error);
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        snprintf(error, 256, "there is no zbroker beside zbroker-bench or in PATH to read %.100s with", conf);
    else
        snprintf(error, 256, "zbroker -T -c %.150s failed", conf);
    text_free(&dump);
    return rc;
}

pid_t
through_pid(const through_t *self)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct ucred peer;
    socklen_t size = sizeof peer;
    pid_t pid = 0;
    if (!*self->control || strlen(self->control) >= sizeof address.sun_path)
        return 0;
    strcpy(address.sun_path, self->control);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1)
        return 0;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
        pid = peer.pid;
    close(fd);
    return pid;
}
