// SPDX-License-Identifier: MPL-2.0

#include "bench/proc.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The first SIZE - 1 bytes of /proc/PID/REST, terminated. False if there is none.
static bool
slurp(pid_t pid, const char *rest, char *data, size_t size)
{
    char path[96];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, rest);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    size_t got = fread(data, 1, size - 1, file);
    data[got] = 0;
    fclose(file);
    return got > 0;
}

static uint64_t
cpu_of_stat(const char *stat)
{
    // The name may hold blanks and parentheses: count fields after the last one.
    const char *at = strrchr(stat, ')');
    uint64_t user = 0, system = 0;
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64, &user, &system) != 2)
        return 0;
    return (user + system) * (1000000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

static void
read_thread(pid_t pid, int tid, proc_thread_t *thread)
{
    char path[64], text[4096];
    memset(thread, 0, sizeof *thread);
    thread->tid = tid;
    snprintf(path, sizeof path, "task/%d/schedstat", tid);
    if (!slurp(pid, path, text, sizeof text) || sscanf(text, "%" SCNu64, &thread->cpu_ns) != 1 || thread->cpu_ns == 0) {
        snprintf(path, sizeof path, "task/%d/stat", tid);
        if (slurp(pid, path, text, sizeof text))
            thread->cpu_ns = cpu_of_stat(text);
    }
    snprintf(path, sizeof path, "task/%d/comm", tid);
    if (slurp(pid, path, text, sizeof text))
        snprintf(thread->name, sizeof thread->name, "%.*s", (int)strcspn(text, "\n"), text);
    snprintf(path, sizeof path, "task/%d/status", tid);
    const char *at = slurp(pid, path, text, sizeof text) ? strstr(text, "\nvoluntary_ctxt_switches:") : NULL;
    if (at)
        sscanf(at, "\nvoluntary_ctxt_switches: %" SCNu64, &thread->switches);
}

void
proc_read(pid_t pid, proc_t *self)
{
    memset(self, 0, sizeof *self);
    char text[256];
    uint64_t pages = 0;
    if (pid <= 0 || !slurp(pid, "statm", text, sizeof text) || sscanf(text, "%*u %" SCNu64, &pages) != 1)
        return;
    self->rss_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);

    snprintf(text, sizeof text, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(text);
    if (!tasks)
        return;
    for (struct dirent *entry; (entry = readdir(tasks));) {
        int tid = atoi(entry->d_name);
        if (tid <= 0)
            continue;
        proc_thread_t thread;
        read_thread(pid, tid, &thread);
        self->cpu_ns += thread.cpu_ns;
        self->switches += thread.switches;
        if (self->threads < PROC_THREADS)
            self->thread[self->threads] = thread;
        self->threads++;
    }
    closedir(tasks);
    self->known = self->threads > 0;
}

void
proc_since(const proc_t *from, const proc_t *to, proc_t *used)
{
    *used = *to;
    used->known = from->known && to->known;
    // A thread that ended in between takes its time with it: never below zero.
    used->cpu_ns = to->cpu_ns > from->cpu_ns ? to->cpu_ns - from->cpu_ns : 0;
    used->switches = to->switches > from->switches ? to->switches - from->switches : 0;
    for (size_t i = 0; i < to->threads && i < PROC_THREADS; i++)
        for (size_t k = 0; k < from->threads && k < PROC_THREADS; k++)
            if (from->thread[k].tid == to->thread[i].tid) {
                used->thread[i].cpu_ns -= from->thread[k].cpu_ns;
                used->thread[i].switches -= from->thread[k].switches;
            }
}
