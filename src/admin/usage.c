// SPDX-License-Identifier: MPL-2.0
#include "admin/usage.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static int64_t
count_fds(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (!folder)
        return 0;
    int64_t count = -3; // ".", ".." and the folder itself
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

void
usage_read(usage_t *self)
{
    *self = (usage_t){ 0 };
    struct timespec cpu;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu) == 0)
        self->cpu_seconds = (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9;
    FILE *file = fopen("/proc/self/statm", "re");
    long long pages = 0;
    if (file && fscanf(file, "%*d %lld", &pages) == 1)
        self->rss_bytes = pages * sysconf(_SC_PAGESIZE);
    if (file)
        fclose(file);
    self->open_fds = count_fds();
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        self->max_fds = limit.rlim_cur > INT64_MAX ? INT64_MAX : (int64_t)limit.rlim_cur;
}
