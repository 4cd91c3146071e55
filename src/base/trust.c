// SPDX-License-Identifier: MPL-2.0
//
// The path is walked from / downwards. What was judged cannot be changed by those
// who are not trusted, so names can be used for the next step.
#include "base/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    LINKS_MAX = 40,
    GROUPS_MAX = 256,
    OTHERS_WRITE = S_IWGRP | S_IWOTH,
    FLAGS = O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY,
};

static const struct {
    mode_t refused, warned;
    const char *fault, *chmod;
} rules[] = {
    [TRUST_RIGHTS] = { OTHERS_WRITE, 0, "lets others write to it", "go-w" },
    [TRUST_HASHES] = { OTHERS_WRITE, S_IRWXO, "is open to others", "640, or 600" },
    [TRUST_SECRET] = { S_IRWXG | S_IRWXO, S_IRGRP, "is open to others", "600" },
};

typedef struct {
    char at[PATH_MAX];   // where we are, without links in it; "" is /
    char rest[PATH_MAX]; // still to go
    int links;
    struct stat st; // of where we are
    char *words;
} path_walk_t;

__attribute__((format(printf, 2, 3))) static int
fail(char *words, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(words, TRUST_WORDS, format, args);
    va_end(args);
    return -1;
}

// --- one thing on the way ---------------------------------------------------------------

// WHAT and PATH name it, "" for the file that is asked for.
static int
judge_owner(const struct stat *st, const char *what, const char *path, char *words)
{
    if (st->st_uid == 0 || st->st_uid == geteuid())
        return 0;
    if (geteuid() == 0 && *words)
        return 0; // one warning is enough
    fail(words, "%s%.200s%sbelongs to user %u, neither root nor the user of this process", what, path, *path ? " " : "",
         (unsigned)st->st_uid);
    return geteuid() == 0 ? 0 : -1;
}

// In a folder that others may write to, files are safe with the sticky bit, and a list of files without writers.
static int
judge_folder(const struct stat *st, const char *path, bool is_last, char *words)
{
    struct statvfs system;
    if (judge_owner(st, "the folder ", path, words) == -1)
        return -1;
    if (!(st->st_mode & OTHERS_WRITE) || (st->st_mode & S_ISVTX && !is_last))
        return 0;
    if (st->st_mode & S_ISVTX && statvfs(path, &system) == 0 && system.f_flag & ST_RDONLY)
        return 0;
    return fail(words, "others may write to the folder %.200s, mode %04o: chmod go-w", path,
                (unsigned)st->st_mode & 07777);
}

static bool
is_our_group(gid_t group)
{
    gid_t groups[GROUPS_MAX];
    int count = getgroups(GROUPS_MAX, groups);
    if (geteuid() == 0 || group == 0 || group == getegid())
        return true;
    for (int i = 0; i < count; i++)
        if (groups[i] == group)
            return true;
    return false;
}

static int
say_mode(mode_t mode, trust_kind_t kind, char *words)
{
    return fail(words, "mode %04o %s: chmod %s", (unsigned)mode, rules[kind].fault, rules[kind].chmod);
}

static int
judge_file(const struct stat *st, trust_kind_t kind, char *words)
{
    mode_t mode = st->st_mode & 07777, refused = mode & rules[kind].refused, warned = mode & rules[kind].warned;
    bool is_only_read = !(mode & (S_IWUSR | OTHERS_WRITE)) && is_our_group(st->st_gid);
    if (refused & ~(is_only_read ? warned : 0))
        return say_mode(mode, kind, words);
    if (judge_owner(st, "", "", words) == -1)
        return -1;
    if (warned && !*words)
        say_mode(mode, kind, words);
    return 0;
}

// --- the way ----------------------------------------------------------------------------

static void
step_up(path_walk_t *self)
{
    char *slash = strrchr(self->at, '/');
    if (slash)
        *slash = '\0';
}

// The target of the link where we are comes before what is still to go.
static int
follow(path_walk_t *self)
{
    char target[PATH_MAX];
    size_t rest = strlen(self->rest);
    ssize_t size = readlink(self->at, target, sizeof target);
    if (size == -1)
        return fail(self->words, "cannot open: %s", strerror(errno));
    if (++self->links > LINKS_MAX || (size_t)size + 1 + rest >= sizeof self->rest)
        return fail(self->words, "cannot open: %s", strerror(ELOOP));
    memmove(self->rest + size + 1, self->rest, rest + 1);
    memcpy(self->rest, target, (size_t)size);
    self->rest[size] = '/';
    if (*target == '/')
        *self->at = '\0';
    else
        step_up(self);
    return 0;
}

// One name further, and no judgement of the last one.
static int
step_down(path_walk_t *self, const char *name, size_t size)
{
    size_t used = strlen(self->at);
    if (used + size + 2 > sizeof self->at)
        return fail(self->words, "cannot open: %s", strerror(ENAMETOOLONG));
    self->at[used] = '/';
    memcpy(self->at + used + 1, name, size);
    self->at[used + 1 + size] = '\0';
    if (lstat(self->at, &self->st) == -1)
        return fail(self->words, "cannot open: %s", strerror(errno));
    bool is_last = !self->rest[strspn(self->rest, "/")];
    if (S_ISLNK(self->st.st_mode))
        return judge_owner(&self->st, "the link ", self->at, self->words) == -1 ? -1 : follow(self);
    if (S_ISDIR(self->st.st_mode))
        return judge_folder(&self->st, self->at, is_last, self->words);
    return is_last ? 0 : fail(self->words, "cannot open: %s", strerror(ENOTDIR));
}

// The next name of the way, off it.
static size_t
next_name(path_walk_t *self, char name[NAME_MAX + 1])
{
    char *from = self->rest + strspn(self->rest, "/");
    size_t size = strcspn(from, "/");
    size_t kept = size < NAME_MAX ? size : NAME_MAX;
    memcpy(name, from, kept);
    name[kept] = '\0';
    memmove(self->rest, from + size, strlen(from + size) + 1);
    return size;
}

static int
start(path_walk_t *self, const char *path)
{
    struct stat root;
    char here[PATH_MAX] = "";
    if (*path != '/' && !getcwd(here, sizeof here))
        return fail(self->words, "cannot open: %s", strerror(errno));
    int size = snprintf(self->rest, sizeof self->rest, "%s/%s", here, path);
    if (size < 0 || (size_t)size >= sizeof self->rest)
        return fail(self->words, "cannot open: %s", strerror(ENAMETOOLONG));
    return stat("/", &root) == 0 ? judge_folder(&root, "/", false, self->words) : 0;
}

// To where PATH leads, all on the way judged but the file itself.
static int
walk(path_walk_t *self, const char *path)
{
    char name[NAME_MAX + 1];
    int rc = start(self, path);
    for (size_t size; rc == 0 && (size = next_name(self, name)) > 0;) {
        if (size > NAME_MAX)
            rc = fail(self->words, "cannot open: %s", strerror(ENAMETOOLONG));
        else if (strcmp(name, "..") == 0)
            step_up(self);
        else if (strcmp(name, ".") != 0)
            rc = step_down(self, name, size);
    }
    return rc;
}

// --- the file -----------------------------------------------------------------------------

int
trust_check(const char *path, trust_kind_t kind, char words[TRUST_WORDS])
{
    path_walk_t way = { .words = words };
    *words = '\0';
    if (walk(&way, path) == -1)
        return -1;
    return S_ISREG(way.st.st_mode) ? judge_file(&way.st, kind, words) : 0;
}

// What was opened, or could not be: ERRNO says why.
static int
take(int fd, trust_kind_t kind, char *words)
{
    struct stat st;
    int rc;
    if (fd == -1 || fstat(fd, &st) == -1)
        rc = fail(words, "cannot open: %s", strerror(errno));
    else
        rc = S_ISREG(st.st_mode) ? judge_file(&st, kind, words) : fail(words, "not a regular file");
    if (rc == 0 || fd == -1)
        return fd;
    close(fd);
    return -1;
}

int
trust_open(const char *path, trust_kind_t kind, char words[TRUST_WORDS])
{
    path_walk_t way = { .words = words };
    *words = '\0';
    return walk(&way, path) == 0 ? take(open(way.at, FLAGS), kind, words) : -1;
}

int
trust_open_in(int folder, const char *path, trust_kind_t kind, char words[TRUST_WORDS])
{
    const char *slash = strrchr(path, '/');
    int fd = openat(folder, slash ? slash + 1 : path, FLAGS);
    if (fd == -1 && errno == ELOOP)
        return trust_open(path, kind, words);
    *words = '\0';
    return take(fd, kind, words);
}
