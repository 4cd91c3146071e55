// SPDX-License-Identifier: MPL-2.0
#include "broker/program.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/trust.h"
#include "broker/savedstate.h"
#include "flow/savedroute.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATE_VARIABLE "ZBROKER_STATE" // the number of the memfd, until it is read
#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#endif

enum {
    TRIAL_MS = 10000,
    OUTPUT_MAX = 64 * 1024,
};

static struct {
    char path[PATH_MAX];
    char **argv, **environment;
    size_t argc, variables;
    int fd; // of the file that was tried, -1: none
} program = { .fd = -1 };

// --- how we were started -------------------------------------------------------------

// A name without a slash was looked for by the shell: then the kernel knows what it found.
static void
find_path(const char *name)
{
    char folder[PATH_MAX] = "";
    bool relative = name[0] != '/';
    if (!strchr(name, '/')) {
        ssize_t size = readlink("/proc/self/exe", program.path, sizeof program.path - 1);
        program.path[size > 0 ? size : 0] = '\0';
        return;
    }
    if (relative && !getcwd(folder, sizeof folder))
        return;
    int size = snprintf(program.path, sizeof program.path, "%s%s%s", folder, relative ? "/" : "", name);
    if (size >= (int)sizeof program.path)
        *program.path = '\0';
}

static bool
is_variable(const char *setting, const char *const *names)
{
    for (; *names; names++) {
        size_t size = strlen(*names);
        if (strncmp(setting, *names, size) == 0 && setting[size] == '=')
            return true;
    }
    return false;
}

// The environment of the start but NAMES, and ANOTHER (NULL: no other).
static char **
environment_without(const char *const *names, char *another)
{
    size_t kept = 0;
    char **environment = xcalloc(program.variables + 2, sizeof *environment);
    for (size_t i = 0; i < program.variables; i++)
        if (!is_variable(program.environment[i], names))
            environment[kept++] = program.environment[i];
    environment[kept] = another;
    return environment;
}

static char **
copy_words(char **words, size_t *count)
{
    for (*count = 0; words[*count];)
        ++*count;
    char **copy = xcalloc(*count + 1, sizeof *copy);
    for (size_t i = 0; i < *count; i++)
        copy[i] = xstrdup(words[i]);
    return copy;
}

void
program_remember(char **argv)
{
    find_path(argv[0] ? argv[0] : "");
    program.argv = copy_words(argv, &program.argc);
    program.environment = copy_words(environ, &program.variables);
}

// --- trying it -----------------------------------------------------------------------

typedef struct {
    pid_t pid;
    int output;
} child_t;

static int
cannot_run(int why, text_t *error)
{
    text_add(error, "%s: cannot run: %s", program.path, strerror(why));
    return -1;
}

static int
start_child(child_t *child, char **argv, text_t *error)
{
    static const char *const not_theirs[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC",  "WATCHDOG_PID", "LISTEN_PID",
                                              "LISTEN_FDS",    "LISTEN_FDNAMES", STATE_VARIABLE, NULL };
    char file[64];
    int ends[2];
    sigset_t none, ignored;
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    if (pipe2(ends, O_CLOEXEC) == -1)
        return cannot_run(errno, error);
    snprintf(file, sizeof file, "/proc/self/fd/%d", program.fd);
    sigemptyset(&none);
    sigemptyset(&ignored);
    sigaddset(&ignored, SIGPIPE);
    sigaddset(&ignored, SIGXFSZ);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &ignored);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 1);
    posix_spawn_file_actions_adddup2(&actions, ends[1], 2);
    char **environment = environment_without(not_theirs, NULL);
    int rc = posix_spawn(&child->pid, file, &actions, &attributes, argv, environment);
    free(environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    close(ends[1]);
    child->output = ends[0];
    if (rc == 0)
        return 0;
    close(ends[0]);
    return cannot_run(rc, error);
}

// All that it says, as far as we keep it. False: it takes too long.
static bool
hear_child(const child_t *child, text_t *said)
{
    int64_t deadline_ms = clock_mono_ms() + TRIAL_MS;
    for (;;) {
        char bytes[4096];
        struct pollfd news = { .fd = child->output, .events = POLLIN };
        int64_t left_ms = deadline_ms - clock_mono_ms();
        if (left_ms <= 0)
            return false;
        if (poll(&news, 1, (int)left_ms) <= 0)
            continue;
        ssize_t got = read(child->output, bytes, sizeof bytes);
        if (got <= 0)
            return true;
        if (said->size + (size_t)got <= OUTPUT_MAX)
            text_bytes(said, bytes, (size_t)got);
    }
}

// Run it with OPTION besides our own arguments. 0: it ended well.
static int
ask(const char *option, bool with_ours, text_t *said, text_t *error)
{
    child_t child;
    size_t count = with_ours ? program.argc : 1;
    char **argv = xcalloc(count + 2, sizeof *argv);
    memcpy(argv, program.argv, count * sizeof *argv);
    argv[count] = (char *)option;
    int status = -1, rc = start_child(&child, argv, error);
    free(argv);
    if (rc == -1)
        return -1;
    bool in_time = hear_child(&child, said);
    if (!in_time)
        kill(child.pid, SIGKILL);
    close(child.output);
    while (waitpid(child.pid, &status, 0) == -1 && errno == EINTR)
        continue;
    if (!in_time)
        text_add(error, "%s %s did not end within %d s", program.path, option, TRIAL_MS / 1000);
    return in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static int
open_program(text_t *error)
{
    char words[TRUST_WORDS] = "";
    program.fd = *program.path ? trust_open(program.path, TRUST_RIGHTS, words) : -1;
    if (program.fd == -1)
        text_add(error, "%s: %s", *program.path ? program.path : "the program",
                 *words ? words : "its path is not known");
    return program.fd == -1 ? -1 : 0;
}

// False: it says nothing of formats.
static bool
read_formats(const text_t *said, bool *takes_all)
{
    const char *line = strchr(said->data, '\n');
    int state, routes;
    bool known = line && sscanf(line + 1, PROGRAM_FORMATS, &state, &routes) == 2;
    *takes_all = known && state == SAVEDSTATE_FORMAT_NOW && routes == SAVEDROUTE_FORMAT;
    return known;
}

static int
check_version(bool *takes_all, text_t *error)
{
    static const char ours[] = "zbroker ";
    text_t said = { 0 };
    bool ran = ask("-V", false, &said, error) == 0;
    if (!ran || said.size < strlen(ours) || strncmp(said.data, ours, strlen(ours)) != 0) {
        if (!error->size)
            text_add(error, "%s is no zbroker", program.path);
    } else if (!read_formats(&said, takes_all)) {
        text_add(error, "%s is a zbroker that cannot take over from a running one: restart the service instead",
                 program.path);
    }
    text_free(&said);
    return error->size ? -1 : 0;
}

static int
check_configuration(text_t *error)
{
    text_t said = { 0 };
    int rc = ask("-t", true, &said, error);
    if (rc == -1 && !error->size)
        text_add(error, "%s", said.size ? said.data : "it does not take the configuration");
    text_free(&said);
    return rc;
}

// Which file it is, for whoever asks later.
static void
log_program(void)
{
    unsigned char bytes[16384], hash[crypto_hash_sha256_BYTES];
    char shown[2 * sizeof hash + 1];
    crypto_hash_sha256_state state;
    ssize_t got;
    off_t at = 0;
    crypto_hash_sha256_init(&state);
    for (; (got = pread(program.fd, bytes, sizeof bytes, at)) > 0; at += got)
        crypto_hash_sha256_update(&state, bytes, (unsigned long long)got);
    crypto_hash_sha256_final(&state, hash);
    sodium_bin2hex(shown, sizeof shown, hash, sizeof hash);
    log_event(EVENT_UPGRADE, EVENT_TEXT("path", program.path), EVENT_TEXT("hash", shown));
}

int
program_try(bool *takes_all, text_t *error)
{
    program_close();
    if (open_program(error) == 0 && check_version(takes_all, error) == 0 && check_configuration(error) == 0) {
        log_program();
        return 0;
    }
    program_close();
    return -1;
}

void
program_close(void)
{
    if (program.fd != -1)
        close(program.fd);
    program.fd = -1;
}

// --- running it ----------------------------------------------------------------------

static int
write_all(int fd, const uint8_t *at, size_t size)
{
    while (size > 0) {
        ssize_t written = write(fd, at, size);
        if (written == -1 && errno != EINTR)
            return -1;
        at += written > 0 ? written : 0;
        size -= written > 0 ? (size_t)written : 0;
    }
    return 0;
}

static int
put_into_memory(const record_t *state)
{
    int fd = memfd_create("zbroker-state", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
    if (fd == -1 && errno == EINVAL) // a kernel before 6.3
        fd = memfd_create("zbroker-state", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd == -1)
        return -1;
    if (write_all(fd, state->data, state->size) == 0 && fcntl(fd, F_ADD_SEALS, SEALS) == 0)
        return fd;
    close(fd);
    return -1;
}

static void
close_on_exec(int fd, bool on)
{
    int flags = fcntl(fd, F_GETFD);
    if (flags != -1)
        fcntl(fd, F_SETFD, on ? flags | FD_CLOEXEC : flags & ~FD_CLOEXEC);
}

static void
keep(const int *fds, size_t count, int memory, bool on)
{
    for (size_t i = 0; i < count; i++)
        close_on_exec(fds[i], !on);
    close_on_exec(memory, !on);
}

static void
run(int memory)
{
    static const char *const old[] = { "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", STATE_VARIABLE, NULL };
    char variable[64];
    snprintf(variable, sizeof variable, STATE_VARIABLE "=%d", memory);
    char **environment = environment_without(old, variable);
    syscall(SYS_execveat, program.fd, "", program.argv, environment, AT_EMPTY_PATH);
    free(environment);
}

int
program_run(const record_t *state, const int *fds, size_t count, text_t *error)
{
    int dumpable = prctl(PR_GET_DUMPABLE);
    prctl(PR_SET_DUMPABLE, 0); // the memfd is to be seen by nobody
    int memory = put_into_memory(state);
    if (memory != -1) {
        close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
        keep(fds, count, memory, true);
        run(memory);
    }
    text_add(error, "%s: %s", program.path, strerror(errno));
    if (memory != -1) {
        keep(fds, count, memory, false);
        close(memory);
    }
    prctl(PR_SET_DUMPABLE, dumpable);
    program_close();
    return -1;
}

// --- what was left to us -------------------------------------------------------------

static bool
is_sealed(int fd)
{
    int seals = fcntl(fd, F_GET_SEALS);
    return seals != -1 && (seals & SEALS) == SEALS;
}

static int
state_descriptor(void)
{
    const char *text = getenv(STATE_VARIABLE);
    char *end;
    long fd = text ? strtol(text, &end, 10) : -1;
    bool is_one = text && end != text && !*end && fd > 2 && fd < INT_MAX;
    unsetenv(STATE_VARIABLE);
    return is_one && is_sealed((int)fd) ? (int)fd : -1;
}

static bool
read_all(int fd, record_t *state)
{
    struct stat status;
    if (fstat(fd, &status) == -1 || status.st_size <= 0)
        return false;
    size_t size = (size_t)status.st_size, done = 0;
    if (record_map(state, fd, size))
        return true;
    *state = record_of_size(size);
    state->size = size;
    while (done < size) {
        ssize_t got = pread(fd, state->data + done, size - done, (off_t)done);
        if (got <= 0)
            break;
        done += (size_t)got;
    }
    if (done < size)
        record_forget(state);
    return done == size;
}

bool
program_inherit(record_t *state)
{
    int fd = state_descriptor();
    if (fd == -1)
        return false;
    int dumpable = prctl(PR_GET_DUMPABLE);
    prctl(PR_SET_DUMPABLE, 0);
    close_range(3, UINT_MAX, CLOSE_RANGE_CLOEXEC);
    bool there = read_all(fd, state);
    close(fd);
    prctl(PR_SET_DUMPABLE, dumpable);
    return there;
}
