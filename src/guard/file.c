// SPDX-License-Identifier: MPL-2.0
#include "guard/file.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *
read_all(int fd, const char *file, size_t max, size_t *size, diag_t *diag)
{
    size_t room = 4096;
    char *text = xcalloc(1, room);
    for (*size = 0;;) {
        ssize_t got = read(fd, text + *size, room - *size - 1);
        if (got == 0)
            break;
        if (got == -1 && errno != EINTR) {
            diag_error(diag, (place_t){ file, 0, 0 }, "cannot read: %s", strerror(errno));
            free(text);
            return NULL;
        }
        *size += got > 0 ? (size_t)got : 0;
        if (*size > max) {
            diag_error(diag, (place_t){ file, 0, 0 }, "larger than %zu bytes", max);
            free(text);
            return NULL;
        }
        if (*size + 1 == room)
            text = xrealloc(text, room *= 2, 1);
    }
    text[*size] = '\0';
    return text;
}

file_state_t
file_state(int folder, const char *name)
{
    enum { SETTLED_S = 2 }; // more than the grain of any file system's clock
    struct stat st;
    if (fstatat(folder, name, &st, 0) == -1)
        return (file_state_t){ 0 }; // reading it will say so
    return (file_state_t){ .device = st.st_dev,
                           .inode = st.st_ino,
                           .size = st.st_size,
                           .written = st.st_mtim,
                           .changed = st.st_ctim,
                           .settled = st.st_ctim.tv_sec + SETTLED_S < time(NULL) };
}

static bool
same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool
file_is_unchanged(const file_state_t *now, const file_state_t *before)
{
    return before->settled && now->device == before->device && now->inode == before->inode && now->size == before->size
           && same_time(now->written, before->written) && same_time(now->changed, before->changed);
}

int
file_check(const char *file, trust_kind_t kind, diag_t *diag)
{
    char words[TRUST_WORDS];
    int rc = trust_check(file, kind, words);
    if (rc == -1)
        diag_error(diag, (place_t){ file, 0, 0 }, "%s", words);
    else if (*words)
        diag_warning(diag, (place_t){ file, 0, 0 }, "%s", words);
    return rc;
}

char *
file_read(const char *file, trust_kind_t kind, size_t max, size_t *size, diag_t *diag)
{
    char words[TRUST_WORDS];
    int fd = trust_open(file, kind, words);
    if (fd == -1) {
        diag_error(diag, (place_t){ file, 0, 0 }, "%s", words);
        return NULL;
    }
    char *text = read_all(fd, file, max, size, diag);
    close(fd);
    return text;
}
