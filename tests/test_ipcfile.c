// SPDX-License-Identifier: MPL-2.0
// Whose the file of a UNIX socket is: what may be in its way, who has its lock, and what is removed.
#include "net/ipcfile.h"

#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/zb-ipcfile-XXXXXX";
static char path[64], lock_path[80], elsewhere[80], reason[256];

static bool
is_there(const char *name)
{
    struct stat there;
    return lstat(name, &there) == 0;
}

static int
bind_it(ipcfile_t *self)
{
    int fd = ipcfile_bind(self, path, 0640, (gid_t)-1, reason, sizeof reason);
    if (fd != -1)
        CHECK(listen(fd, 1) == 0);
    return fd;
}

static void
remove_it(ipcfile_t *self, int fd)
{
    ipcfile_remove(self, path);
    ipcfile_close(self);
    close(fd);
    CHECK(!is_there(path) && !is_there(lock_path));
}

// --- what is in the way --------------------------------------------------------------

static void
make_plain_file(void)
{
    close(open(path, O_CREAT | O_WRONLY, 0600));
}

// Of a process that was killed: it listens no more, and left its lock there.
static void
make_dead_socket(void)
{
    ipcfile_t dead;
    int fd = bind_it(&dead);
    CHECK(fd != -1);
    close(fd);
    ipcfile_close(&dead);
    close(open(lock_path, O_CREAT | O_WRONLY, 0600));
}

static int living = -1;

static void
make_living_socket(void)
{
    ipcfile_t file;
    living = bind_it(&file);
    ipcfile_close(&file); // it knows nothing of locks
}

static void
make_lock(void)
{
    living = open(lock_path, O_CREAT | O_RDWR, 0600);
    CHECK(flock(living, LOCK_EX | LOCK_NB) == 0);
}

static void
make_nothing(void)
{
}

static const struct {
    void (*make)(void);
    int error; // 0: it is no hindrance
    const char *reason;
} ways[] = {
    { make_nothing, 0, "" },
    { make_dead_socket, 0, "" },
    { make_plain_file, EEXIST, "there is a file that is not a socket; it was left alone" },
    { make_living_socket, EADDRINUSE, "in use by another process" },
    { make_lock, EADDRINUSE, "in use by another process" },
};

static void
only_a_dead_socket_makes_way(void)
{
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct stat before = { 0 }, after = { 0 };
        ipcfile_t self;
        *reason = '\0';
        ways[i].make();
        lstat(path, &before);
        errno = 0;
        int fd = bind_it(&self);
        CHECK((fd != -1) == (ways[i].error == 0) && (fd != -1 || errno == ways[i].error));
        CHECK_TEXT(reason, ways[i].reason);
        if (fd != -1) {
            remove_it(&self, fd);
            continue;
        }
        ipcfile_remove(&self, path);
        ipcfile_close(&self);
        lstat(path, &after);
        CHECK(before.st_ino == after.st_ino);
        unlink(path);
        if (living != -1)
            close(living);
        living = -1;
        unlink(lock_path);
    }
}

// --- what is ours --------------------------------------------------------------------

static void
the_mode_is_in_force_and_the_lock_is_held(void)
{
    struct stat there;
    ipcfile_t self, other;
    int fd = bind_it(&self);
    CHECK(stat(path, &there) == 0 && (there.st_mode & 07777) == 0640 && is_there(lock_path));
    CHECK(ipcfile_is_at(&self, path));
    CHECK(bind_it(&other) == -1 && errno == EADDRINUSE && !ipcfile_is_at(&other, path));
    ipcfile_close(&other);
    CHECK(is_there(lock_path));
    remove_it(&self, fd);
}

static void
what_somebody_has_put_there_is_left_alone(void)
{
    ipcfile_t self;
    int fd = bind_it(&self);
    CHECK(rename(path, elsewhere) == 0 && ipcfile_is_at(&self, elsewhere) && !ipcfile_is_at(&self, path));
    make_plain_file();
    ipcfile_remove(&self, path);
    CHECK(is_there(path));
    ipcfile_remove(&self, elsewhere);
    CHECK(!is_there(elsewhere));
    unlink(path);
    remove_it(&self, fd);
}

static void
the_file_of_the_program_before_is_ours_with_its_lock(void)
{
    ipcfile_t before, self;
    int fd = bind_it(&before);
    CHECK(ipcfile_adopt(&self, path, reason, sizeof reason) == -1 && errno == EADDRINUSE &&
          !ipcfile_is_at(&self, path));
    ipcfile_close(&self);
    ipcfile_close(&before);
    CHECK(is_there(path) && ipcfile_adopt(&self, path, reason, sizeof reason) == 0 && ipcfile_is_at(&self, path));
    remove_it(&self, fd);
}

static void
an_abstract_name_has_no_file(void)
{
    ipcfile_t self;
    char name[80];
    snprintf(name, sizeof name, "@%s", path);
    int fd = ipcfile_bind(&self, name, 0600, (gid_t)-1, reason, sizeof reason);
    CHECK(fd != -1 && !self.path && self.lock == -1 && !ipcfile_is_at(&self, name));
    ipcfile_close(&self);
    close(fd);
}

int
main(void)
{
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    snprintf(path, sizeof path, "%s/socket", folder);
    snprintf(lock_path, sizeof lock_path, "%s.lock", path);
    snprintf(elsewhere, sizeof elsewhere, "%s.closed", path);
    RUN(only_a_dead_socket_makes_way);
    RUN(the_mode_is_in_force_and_the_lock_is_held);
    RUN(what_somebody_has_put_there_is_left_alone);
    RUN(the_file_of_the_program_before_is_ours_with_its_lock);
    RUN(an_abstract_name_has_no_file);
    rmdir(folder);
    return test_done();
}
