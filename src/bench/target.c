// SPDX-License-Identifier: MPL-2.0

#include "bench/target.h"

#include "base/clock.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <czmq.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_MS = 3000 };

// --- References in this program -----------------------------------------------

static int
complain(const char *what)
{
    fprintf(stderr, "zbroker-bench: %s: %s\n", what, zmq_strerror(zmq_errno()));
    return EXIT_UNREACHABLE;
}

static int
bind_side(void *context, int type, const char *endpoint, const bench_options_t *options, void **socket_p)
{
    void *socket = *socket_p = zmq_socket(context, type);
    int hwm = (int)options->broker_hwm, none = 0, on = 1;
    if (hwm >= 0) {
        zmq_setsockopt(socket, ZMQ_SNDHWM, &hwm, sizeof hwm);
        zmq_setsockopt(socket, ZMQ_RCVHWM, &hwm, sizeof hwm);
    }
    if (options->curve)
        keys_for_server(&options->keys, socket);
    // What everybody who runs this proxy in earnest sets: at the default it loses subscriptions.
    if (type == ZMQ_XSUB)
        zmq_setsockopt(socket, ZMQ_SNDHWM, &none, sizeof none);
    if (type == ZMQ_XPUB && options->nodrop)
        zmq_setsockopt(socket, ZMQ_XPUB_NODROP, &on, sizeof on);
    return zmq_bind(socket, endpoint);
}

static int
serve_proxy(const bench_options_t *options, const char *to, const char *from)
{
    void *context = zmq_ctx_new(), *frontend, *backend;
    zmq_ctx_set(context, ZMQ_IO_THREADS, (int)options->io_threads);
    if (bind_side(context, options->pattern->frontend, to, options, &frontend) == -1)
        return complain(to);
    if (bind_side(context, options->pattern->backend, from, options, &backend) == -1)
        return complain(from);
    zmq_proxy(frontend, backend, NULL);
    return complain("zmq_proxy");
}

static int
serve_zproxy(const bench_options_t *options, const char *to, const char *from)
{
    zsys_handler_set(NULL); // or czmq takes SIGTERM, and nobody asks it
    zsys_set_io_threads((size_t)options->io_threads);
    if (options->broker_hwm >= 0) {
        zsys_set_sndhwm((size_t)options->broker_hwm);
        zsys_set_rcvhwm((size_t)options->broker_hwm);
    }
    zactor_t *proxy = zactor_new(zproxy, NULL);
    if (!proxy)
        return complain("zproxy");
    zstr_sendx(proxy, "FRONTEND", zsys_sockname(options->pattern->frontend), to, NULL);
    zsock_wait(proxy);
    zstr_sendx(proxy, "BACKEND", zsys_sockname(options->pattern->backend), from, NULL);
    zsock_wait(proxy);
    for (;;)
        pause();
}

int
target_serve(const bench_options_t *options)
{
    bool czmq = strcmp(options->serve, "zproxy") == 0;
    return (czmq ? serve_zproxy : serve_proxy)(options, options->to.item[0], options->from.item[0]);
}

// --- Starting and stopping ----------------------------------------------------

target_t
target_named(const char *what)
{
    if (strcmp(what, "zmq_proxy") == 0)
        return (target_t){ .name = what, .kind = TARGET_PROXY };
    if (strcmp(what, "zproxy") == 0)
        return (target_t){ .name = what, .kind = TARGET_ZPROXY };
    return (target_t){ .name = what, .kind = TARGET_COMMAND, .command = what };
}

// A port nobody listens on, of those that no outgoing connection gets by chance: a
// client that knocks at such a port while nobody is there may end up talking to itself.
static int
hold_port(unsigned *port)
{
    for (unsigned tries = 0; tries < 1000; tries++) {
        *port = *port < 31000 ? *port + 1 : 10000;
        struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                       .sin_port = htons((uint16_t)*port) };
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd == -1)
            return -1;
        if (bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
            return fd;
        close(fd);
    }
    return -1;
}

// Two of them, different because both are held until both are known. Whoever takes
// one before our broker does makes the run fail.
static int
pick_ports(target_t *self)
{
    unsigned port = 10000 + (unsigned)(getpid() * 97 + clock_mono_ms()) % 20000;
    int held[2];
    for (int i = 0; i < 2; i++) {
        held[i] = hold_port(&port);
        snprintf(self->endpoint[i], sizeof self->endpoint[i], "tcp://127.0.0.1:%u", port);
    }
    for (int i = 0; i < 2; i++)
        if (held[i] != -1)
            close(held[i]);
    return held[0] == -1 || held[1] == -1 ? -1 : 0;
}

static int
pick_endpoints(target_t *self, const bench_options_t *options)
{
    self->pointer[0] = self->endpoint[0];
    self->pointer[1] = self->endpoint[1];
    self->to = (place_list_t){ .endpoint = &self->pointer[0], .count = 1 };
    self->from = (place_list_t){ .endpoint = &self->pointer[1], .count = 1 };
    if (strcmp(options->transport, "tcp") == 0)
        return pick_ports(self);
    snprintf(self->endpoint[0], sizeof self->endpoint[0], "ipc://%s/to.sock", self->folder);
    snprintf(self->endpoint[1], sizeof self->endpoint[1], "ipc://%s/from.sock", self->folder);
    return 0;
}

static bool
sets(const bench_options_t *options, const char *key)
{
    for (size_t i = 0; i < options->set.count; i++)
        if (strncmp(options->set.item[i], key, strlen(key)) == 0)
            return true;
    return false;
}

static int
write_cert(const target_t *self, const bench_options_t *options)
{
    char path[96];
    snprintf(path, sizeof path, "%s/server.cert", self->folder);
    return options->curve ? keys_write_cert(&options->keys, path) : 0;
}

static int
write_conf(const target_t *self, const bench_options_t *options, const char *path)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return -1;
    fprintf(file, "[zbroker]\ncontrol = %s/control.sock\nio_threads = %lld\nlog_level = warning\nlog_target = stderr\n\n",
            self->folder, (long long)options->io_threads);
    const char *front = options->ack ? "ack" : "frontend", *back = options->ack ? "worker_ack" : "backend";
    fprintf(file, "[route bench]\ntype = %s\n%s_bind = %s\n%s_bind = %s\n", options->pattern->route_type, front,
            self->endpoint[0], back, self->endpoint[1]);
    if (options->ack)
        fprintf(file, "store = all\n");
    if (options->ack && !sets(options, "store_dir="))
        fprintf(file, "store_dir = %s/store\n", self->folder);
    if (options->broker_hwm >= 0) {
        fprintf(file, "frontend_rcvhwm = %lld\nbackend_sndhwm = %lld\n", (long long)options->broker_hwm,
                (long long)options->broker_hwm);
        if (options->pattern->replies)
            fprintf(file, "frontend_sndhwm = %lld\nbackend_rcvhwm = %lld\n", (long long)options->broker_hwm,
                    (long long)options->broker_hwm);
    }
    if (options->curve)
        fprintf(file, "security = curve\nserver_cert = %s/server.cert\nclient_certs = any\n", self->folder);
    if (options->nodrop && options->pattern->backend == ZMQ_XPUB)
        fprintf(file, "backend_xpub_nodrop = yes\n");
    for (size_t i = 0; i < options->set.count; i++)
        fprintf(file, "%s\n", options->set.item[i]);
    return fclose(file);
}

// COMMAND with {to} and {from} put in.
static char *
fill_in(const target_t *self)
{
    text_t line = { 0 };
    text_add(&line, "exec ");
    for (const char *at = self->command; *at;) {
        if (strncmp(at, "{to}", 4) == 0) {
            text_add(&line, "%s", self->endpoint[0]);
            at += 4;
        } else if (strncmp(at, "{from}", 6) == 0) {
            text_add(&line, "%s", self->endpoint[1]);
            at += 6;
        } else
            text_char(&line, *at++);
    }
    return text_take(&line);
}

static void
run_command(const target_t *self)
{
    int null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    execl("/bin/sh", "sh", "-c", fill_in(self), (char *)NULL);
    _exit(127);
}

// In the child: be the broker. Does not return.
static void
become(const target_t *self, const bench_options_t *options)
{
    char path[96];
    prctl(PR_SET_NAME, self->kind == TARGET_PROXY ? "zmq_proxy" : self->kind == TARGET_ZPROXY ? "zproxy" : "broker");
    switch (self->kind) {
    case TARGET_PROXY:
        _exit(serve_proxy(options, self->endpoint[0], self->endpoint[1]));
    case TARGET_ZPROXY:
        _exit(serve_zproxy(options, self->endpoint[0], self->endpoint[1]));
    case TARGET_ZBROKER:
        snprintf(path, sizeof path, "%s/zbroker.ini", self->folder);
        if (write_cert(self, options) == 0 && write_conf(self, options, path) == 0)
            execlp(self->command, self->command, "-c", path, (char *)NULL);
        fprintf(stderr, "zbroker-bench: %s: %s\n", self->command, strerror(errno));
        _exit(127);
    case TARGET_COMMAND:
        run_command(self);
        break;
    case TARGET_GIVEN:
    case TARGET_DIRECT:
        break;
    }
    _exit(127);
}

// Two clients without a broker: every consumer binds an endpoint of its own.
static void
place_directly(target_t *self, const bench_options_t *options)
{
    bool tcp = strcmp(options->transport, "tcp") == 0;
    snprintf(self->endpoint[1], sizeof self->endpoint[1], tcp ? "@tcp://127.0.0.1:*" : "@ipc://*");
    self->pointer[1] = self->endpoint[1];
    self->from = (place_list_t){ .endpoint = &self->pointer[1], .count = 1 };
    self->to = (place_list_t){ 0 };
}

int
target_start(target_t *self, const bench_options_t *options, char error[256])
{
    if (self->kind == TARGET_GIVEN)
        return 0;
    if (self->kind == TARGET_DIRECT) {
        place_directly(self, options);
        return 0;
    }
    snprintf(self->folder, sizeof self->folder, "/tmp/zbroker-bench.XXXXXX");
    if (!mkdtemp(self->folder) || pick_endpoints(self, options) == -1) {
        snprintf(error, 256, "no endpoints for %s: %s", self->name, strerror(errno));
        return -1;
    }
    pid_t parent = getpid();
    self->pid = fork();
    if (self->pid == 0) {
        setpgid(0, 0); // a terminal's ^C is not for it: we stop it
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
            _exit(1);
        become(self, options);
    }
    if (self->pid == -1) {
        snprintf(error, 256, "cannot start %s: %s", self->name, strerror(errno));
        self->pid = 0;
        return -1;
    }
    return 0;
}

bool
target_ended(target_t *self, char error[256])
{
    int status;
    if (self->kind <= TARGET_DIRECT || self->pid == 0 || waitpid(self->pid, &status, WNOHANG) != self->pid)
        return false;
    self->pid = 0;
    if (WIFSIGNALED(status))
        snprintf(error, 256, "%s was ended by signal %d", self->name, WTERMSIG(status));
    else
        snprintf(error, 256, "%s ended with status %d", self->name, WEXITSTATUS(status));
    return true;
}

// With what is in it, two floors deep: a store has a folder of its own.
static void
remove_all(int parent, const char *name, unsigned floors)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd == -1 ? NULL : fdopendir(fd);
    if (!folder)
        return;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 && unlinkat(fd, entry->d_name, 0) == -1 && floors > 1)
            remove_all(fd, entry->d_name, floors - 1);
    closedir(folder);
    unlinkat(parent, name, AT_REMOVEDIR);
}

static void
remove_folder(target_t *self)
{
    if (self->folder[0])
        remove_all(AT_FDCWD, self->folder, 2);
    self->folder[0] = 0;
}

void
target_stop(target_t *self)
{
    if (self->kind <= TARGET_DIRECT)
        return;
    int64_t limit = clock_mono_ms() + STOP_MS;
    if (self->pid > 0)
        kill(self->pid, SIGTERM);
    while (self->pid > 0 && waitpid(self->pid, NULL, WNOHANG) == 0) {
        if (clock_mono_ms() > limit)
            kill(self->pid, SIGKILL);
        peer_sleep_ms(2);
    }
    self->pid = 0;
    remove_folder(self);
}
