// SPDX-License-Identifier: MPL-2.0
#include "store/folder.h"

#include "base/mem.h"
#include "base/trust.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

// A folder that this process has locked.
typedef struct held {
    struct held *next;
    dev_t dev;
    ino_t ino;
    int lock;
    char *owner;
    unsigned folders; // of it
    bool taken;       // one of them has entered
} held_t;

struct folder {
    int fd;
    held_t *held;
    bool entered;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // over all that are held
static pthread_cond_t left = PTHREAD_COND_INITIALIZER;
static held_t *all;

// --- opening -----------------------------------------------------------------------

static int
make(const char *path)
{
    char *part = xstrdup(path);
    int rc = 0;
    for (char *slash = strchr(part + 1, '/'); slash && rc == 0; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        rc = mkdir(part, 0700) == -1 && errno != EEXIST ? -1 : 0;
        *slash = '/';
    }
    free(part);
    return rc == 0 && mkdir(path, 0700) == -1 && errno != EEXIST ? -1 : rc;
}

// Why others could have a hand in it, or read it. NULL: they cannot.
static const char *
fault_of(const struct stat *st)
{
    if (!S_ISDIR(st->st_mode))
        return "it is no folder";
    if (st->st_uid != geteuid())
        return "it belongs to another user than the one of this process";
    return st->st_mode & (S_IRWXG | S_IRWXO) ? "it is open to others: chmod 700" : NULL;
}

static int
open_checked(const char *path, struct stat *st, diag_t *diag, place_t place)
{
    char words[TRUST_WORDS];
    int fd = make(path) == -1 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd == -1 || fstat(fd, st) == -1) {
        int error = errno;
        diag_error(diag, place, "cannot open the store %s: %s", path, strerror(error));
        diag_cause(diag, error);
    } else if (fault_of(st))
        diag_error(diag, place, "cannot use the store %s: %s", path, fault_of(st));
    else if (trust_check(path, TRUST_RIGHTS, words) == -1)
        diag_error(diag, place, "cannot use the store %s: %s", path, words);
    else
        return fd;
    if (fd != -1)
        close(fd);
    return -1;
}

static held_t *
find_held(const struct stat *st)
{
    held_t *held = all;
    while (held && (held->dev != st->st_dev || held->ino != st->st_ino))
        held = held->next;
    return held;
}

static held_t *
lock_it(int fd, const struct stat *st, const char *owner)
{
    int file = openat(fd, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file == -1 || flock(file, LOCK_EX | LOCK_NB) == -1) {
        int error = errno;
        if (file != -1)
            close(file);
        errno = error;
        return NULL;
    }
    held_t *held = xcalloc(1, sizeof *held);
    *held = (held_t){ all, st->st_dev, st->st_ino, file, xstrdup(owner), 0, false };
    all = held;
    return held;
}

static held_t *
hold(int fd, const struct stat *st, const char *path, const char *owner, diag_t *diag, place_t place)
{
    held_t *held = find_held(st);
    if (held && strcmp(held->owner, owner) != 0) {
        diag_error(diag, place, "the store %s is in use by the route %s", path, held->owner);
        return NULL;
    }
    if (!held && !(held = lock_it(fd, st, owner))) {
        diag_error(diag, place, "%s the store %s: %s", errno == EWOULDBLOCK ? "cannot use" : "cannot lock", path,
                   errno == EWOULDBLOCK ? "another process uses it" : strerror(errno));
        return NULL;
    }
    held->folders++;
    return held;
}

folder_t *
folder_open(const char *path, const char *owner, diag_t *diag, place_t place)
{
    struct stat st;
    int fd = open_checked(path, &st, diag, place);
    if (fd == -1)
        return NULL;
    pthread_mutex_lock(&lock);
    held_t *held = hold(fd, &st, path, owner, diag, place);
    pthread_mutex_unlock(&lock);
    if (!held) {
        close(fd);
        return NULL;
    }
    folder_t *self = xcalloc(1, sizeof *self);
    *self = (folder_t){ fd, held, false };
    return self;
}

// What is missing is made below the first folder that is there.
static int
could_be_made(const char *path)
{
    struct stat st;
    char *part = xstrdup(path), *slash;
    while (stat(part, &st) == -1 && errno == ENOENT && (slash = strrchr(part, '/')) && slash > part)
        *slash = '\0';
    int rc = access(part, W_OK | X_OK);
    free(part);
    return rc;
}

int
folder_try(const char *path, const char *owner, diag_t *diag, place_t place)
{
    struct stat st;
    if (lstat(path, &st) == -1) {
        int error = errno == ENOENT && could_be_made(path) == 0 ? 0 : errno;
        if (error)
            diag_error(diag, place, "cannot open the store %s: %s", path, strerror(error));
        return error ? -1 : 0;
    }
    folder_t *self = folder_open(path, owner, diag, place);
    int rc = self ? 0 : -1;
    folder_leave(&self);
    return rc;
}

// --- whose turn it is ----------------------------------------------------------------

bool
folder_enter(folder_t *self, const _Atomic bool *given_up)
{
    pthread_mutex_lock(&lock);
    while (self->held->taken && !*given_up)
        pthread_cond_wait(&left, &lock);
    self->entered = !self->held->taken;
    self->held->taken = true;
    pthread_mutex_unlock(&lock);
    return self->entered;
}

void
folder_wake(void)
{
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&left);
    pthread_mutex_unlock(&lock);
}

static void
let_go(held_t *held)
{
    for (held_t **at = &all; *at; at = &(*at)->next)
        if (*at == held) {
            *at = held->next;
            break;
        }
    close(held->lock);
    free(held->owner);
    free(held);
}

void
folder_leave(folder_t **self_p)
{
    folder_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock(&lock);
    if (self->entered)
        self->held->taken = false;
    if (--self->held->folders == 0)
        let_go(self->held);
    pthread_cond_broadcast(&left);
    pthread_mutex_unlock(&lock);
    close(self->fd);
    free(self);
    *self_p = NULL;
}

int
folder_fd(const folder_t *self)
{
    return self->fd;
}

// --- files ---------------------------------------------------------------------------

void
folder_name(const file_name_t *file, char name[FOLDER_NAME])
{
    snprintf(name, FOLDER_NAME, "%08" PRIx32 "-%016" PRIx64 "-%016" PRIx64 ".%s", file->number, file->first, file->salt,
             file->is_done ? "done" : "mdb");
}

bool
folder_read_name(const char *name, file_name_t *file)
{
    char again[FOLDER_NAME];
    if (sscanf(name, "%8" SCNx32 "-%16" SCNx64 "-%16" SCNx64, &file->number, &file->first, &file->salt) != 3)
        return false;
    file->is_done = strstr(name, ".done");
    folder_name(file, again);
    return strcmp(name, again) == 0;
}

static int
compare(const void *a, const void *b)
{
    const file_name_t *first = a, *second = b;
    return first->number < second->number ? -1 : first->number > second->number;
}

file_name_t *
folder_list(const folder_t *self, size_t *count)
{
    int fd = openat(self->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd == -1 ? NULL : fdopendir(fd);
    file_name_t *files = NULL, file;
    size_t room = 0;
    *count = 0;
    if (!dir) {
        if (fd != -1)
            close(fd);
        return NULL;
    }
    files = xcalloc(1, sizeof *files);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (folder_read_name(entry->d_name, &file)) {
            if (*count >= room)
                files = xrealloc(files, room = 2 * room + 8, sizeof *files);
            files[(*count)++] = file;
        }
    closedir(dir);
    qsort(files, *count, sizeof *files, compare);
    return files;
}

int
folder_make_file(const folder_t *self, const file_name_t *file)
{
    char name[FOLDER_NAME];
    folder_name(file, name);
    int fd = openat(self->fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd == -1)
        return -1;
    close(fd);
    return fsync(self->fd);
}

int
folder_open_file(const folder_t *self, const file_name_t *file, int how, uint64_t *bytes)
{
    char name[FOLDER_NAME];
    struct stat st;
    folder_name(file, name);
    int fd = openat(self->fd, name, how | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd == -1)
        return -1;
    if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode)) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    *bytes = (uint64_t)st.st_size;
    return fd;
}

int
folder_end_file(const folder_t *self, file_name_t *file)
{
    file_name_t ended = *file;
    char before[FOLDER_NAME], after[FOLDER_NAME];
    ended.is_done = true;
    folder_name(file, before);
    folder_name(&ended, after);
    if (renameat(self->fd, before, self->fd, after) == -1)
        return -1;
    *file = ended;
    return fsync(self->fd);
}

int
folder_remove_file(const folder_t *self, const file_name_t *file, bool keep)
{
    char name[FOLDER_NAME], kept[FOLDER_NAME + 4];
    folder_name(file, name);
    if (!keep)
        return unlinkat(self->fd, name, 0);
    snprintf(kept, sizeof kept, "%s.bad", name);
    return renameat(self->fd, name, self->fd, kept);
}

uint64_t
folder_room(const folder_t *self)
{
    struct statvfs system;
    if (fstatvfs(self->fd, &system) == -1)
        return UINT64_MAX;
    return (uint64_t)system.f_bavail * system.f_frsize;
}
