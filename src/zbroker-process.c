// SPDX-License-Identifier: MPL-2.0
#include "zbroker-process.h"

#include "base/clock.h"

#include <czmq.h>
#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

// A dump holds keys and passwords, and so does what a process of the same user
// may read or trace: where the administrator wants no dump, both are refused.
// execve(2) undoes it, so it is the first thing in main.
void
process_close_memory(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_CORE, &limit) == -1 || limit.rlim_cur == 0)
        prctl(PR_SET_DUMPABLE, 0);
}

static const int signals[] = { SIGTERM, SIGINT, SIGHUP, SIGUSR2 };

// Blocked before any thread exists, so that every thread has them blocked and
// only the loop's descriptor tells of them.
int
process_become(const char *user)
{
    const struct passwd *known = getpwnam(user);
    if (!known) {
        errno = ENOENT;
        return -1;
    }
    if (known->pw_uid == geteuid())
        return 0;
    bool changed = initgroups(user, known->pw_gid) == 0
                   && setresgid(known->pw_gid, known->pw_gid, known->pw_gid) == 0
                   && setresuid(known->pw_uid, known->pw_uid, known->pw_uid) == 0;
    return changed ? 0 : -1;
}

int
process_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&set, signals[i]);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); // a file that may not grow is a full disk
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

// czmq takes over SIGINT and SIGTERM at its first socket, logs to standard
// output and lets ZSYS_* variables change its sockets: none of it in a daemon.
void
process_tame_czmq(void)
{
    static const char *const variables[] = { "ZSYS_IO_THREADS", "ZSYS_THREAD_SCHED_POLICY", "ZSYS_THREAD_PRIORITY",
                                             "ZSYS_MAX_SOCKETS", "ZSYS_MAX_MSGSZ", "ZSYS_LINGER", "ZSYS_SNDHWM",
                                             "ZSYS_RCVHWM", "ZSYS_PIPEHWM", "ZSYS_IPV6", "ZSYS_LOGSTREAM",
                                             "ZSYS_LOGIDENT", "ZSYS_LOGSENDER", "ZSYS_AUTO_USE_FD", "ZSYS_ZERO_COPY_RECV" };
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    setenv("ZSYS_SIGHANDLER", "false", 1);
    zsys_handler_set(NULL);
}

// As large as the limit of the shell makes them, else.
void
process_thread_stacks(size_t bytes)
{
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, bytes);
    pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
}

// libzmq numbers the clients of a ROUTER by rand() and never seeds it.
uint64_t
process_seed(void)
{
    struct {
        unsigned seed;
        uint64_t epoch;
    } random;
    if (getrandom(&random, sizeof random, 0) != sizeof random) {
        random.seed = (unsigned)(clock_mono_ns() ^ getpid());
        random.epoch = (uint64_t)clock_wall_ns();
    }
    srand(random.seed);
    return random.epoch;
}

// As many descriptors as the administrator allows, for every client is one.
uint64_t
process_raise_descriptor_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == -1)
        return 1024;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    return limit.rlim_cur;
}

// How many descriptors are open now: those of the process itself.
uint64_t
process_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    uint64_t count = 0;
    while (folder && readdir(folder))
        count++;
    if (folder)
        closedir(folder);
    return count;
}

// The limit in FILE of a cgroup; "max", or no such file, is none.
static uint64_t
read_limit(const char *folder, const char *file)
{
    char path[1100];
    uint64_t limit = UINT64_MAX;
    snprintf(path, sizeof path, "%s/%s", folder, file);
    FILE *from = fopen(path, "r");
    if (from && fscanf(from, "%" SCNu64, &limit) != 1)
        limit = UINT64_MAX;
    if (from)
        fclose(from);
    return limit;
}

// Of all cgroups that FOLDER is in, up to ROOT.
static uint64_t
least_limit(char *folder, size_t root, const char *file)
{
    uint64_t least = UINT64_MAX;
    for (;;) {
        uint64_t limit = read_limit(folder, file);
        least = limit < least ? limit : least;
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < root)
            return least;
        *slash = '\0';
    }
}

// Of version 2, and of version 1 where the controllers are mounted one by one.
static uint64_t
cgroup_limit(void)
{
    static const struct {
        const char *line, *root, *file;
    } kinds[] = {
        { "0::", "/sys/fs/cgroup", "memory.max" },
        { ":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes" },
    };
    char line[768], folder[1024];
    uint64_t least = UINT64_MAX;
    FILE *from = fopen("/proc/self/cgroup", "r");
    while (from && fgets(line, sizeof line, from))
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            char *at = strstr(line, kinds[i].line);
            if (!at)
                continue;
            line[strcspn(line, "\n")] = '\0';
            snprintf(folder, sizeof folder, "%s%s", kinds[i].root, at + strlen(kinds[i].line));
            uint64_t limit = least_limit(folder, strlen(kinds[i].root), kinds[i].file);
            least = limit < least ? limit : least;
        }
    if (from)
        fclose(from);
    return least;
}

uint64_t
process_memory(void)
{
    uint64_t machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE), limit = cgroup_limit();
    return limit < machine ? limit : machine;
}
