// SPDX-License-Identifier: MPL-2.0
#include "base/trust.h"

#include "base/mem.h"

#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOMEBODY = 1234, SERVICE = 65534 };

static char folder[] = "/tmp/zb-trust-XXXXXX";
static char words[TRUST_WORDS];

static char *
path_of(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void
write_file(const char *name, mode_t mode)
{
    char *path = path_of(name);
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd == -1 || fchmod(fd, mode) == -1)
        abort();
    close(fd);
    free(path);
}

static void
make_folder(const char *name, mode_t mode)
{
    char *path = path_of(name);
    if ((mkdir(path, 0700) == -1 && access(path, F_OK) == -1) || chmod(path, mode) == -1)
        abort();
    free(path);
}

static void
make_link(const char *name, const char *target)
{
    char *path = path_of(name);
    if (symlink(target, path) == -1)
        abort();
    free(path);
}

static void
give(const char *name, uid_t owner, gid_t group)
{
    char *path = path_of(name);
    if (lchown(path, owner, group) == -1)
        abort();
    free(path);
}

// 'y' it is trusted, 'w' with a warning, 'n' it is not. To open it comes to the same.
static char
trusted(const char *name, trust_kind_t kind)
{
    char *path = path_of(name), again[TRUST_WORDS];
    struct stat st;
    int rc = trust_check(path, kind, words);
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
        int fd = trust_open(path, kind, again);
        CHECK((fd == -1) == (rc == -1));
        CHECK_TEXT(again, words);
        if (fd != -1)
            close(fd);
    }
    CHECK(rc == 0 || *words);
    free(path);
    return rc == -1 ? 'n' : *words ? 'w' : 'y';
}

// --- modes ----------------------------------------------------------------------------

static void
what_the_mode_lets_others_do_decides(void)
{
    static const struct {
        mode_t mode;
        char rights, hashes, secret;
    } cases[] = {
        { 0600, 'y', 'y', 'y' }, { 0400, 'y', 'y', 'y' }, { 0440, 'y', 'y', 'w' }, { 0640, 'y', 'y', 'n' },
        { 0444, 'y', 'w', 'n' }, { 0644, 'y', 'w', 'n' }, { 0604, 'y', 'w', 'n' }, { 0660, 'n', 'n', 'n' },
        { 0620, 'n', 'n', 'n' }, { 0602, 'n', 'n', 'n' }, { 0666, 'n', 'n', 'n' }, { 0460, 'n', 'n', 'n' },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        write_file("file", cases[i].mode);
        CHECK(trusted("file", TRUST_RIGHTS) == cases[i].rights);
        CHECK(trusted("file", TRUST_HASHES) == cases[i].hashes);
        CHECK(trusted("file", TRUST_SECRET) == cases[i].secret);
    }
    write_file("file", 0666);
    trusted("file", TRUST_RIGHTS);
    CHECK_TEXT(words, "mode 0666 lets others write to it: chmod go-w");
    trusted("file", TRUST_SECRET);
    CHECK_TEXT(words, "mode 0666 is open to others: chmod 600");
}

static void
a_folder_that_others_may_write_to_spoils_what_is_in_it(void)
{
    make_folder("in", 0755);
    make_folder("in/out", 0755);
    write_file("in/out/file", 0600);
    CHECK(trusted("in/out/file", TRUST_SECRET) == 'y');
    make_folder("in", 0775);
    CHECK(trusted("in/out/file", TRUST_SECRET) == 'n');
    char *expected = xasprintf("others may write to the folder %s/in, mode 0775: chmod go-w", folder);
    CHECK_TEXT(words, expected);
    free(expected);
    CHECK(trusted("in/out", TRUST_RIGHTS) == 'n');
    // The sticky bit keeps their hands off what is there, but lets them add to a list of files.
    make_folder("in", 01777);
    CHECK(trusted("in/out/file", TRUST_RIGHTS) == 'y');
    CHECK(trusted("in/out", TRUST_RIGHTS) == 'y');
    CHECK(trusted("in", TRUST_RIGHTS) == 'n');
}

// --- names ----------------------------------------------------------------------------

static void
links_lead_on(void)
{
    make_folder("real", 0755);
    write_file("real/file", 0600);
    make_link("now", "real");
    make_link("direct", "now/file");
    make_link("real/up", "../direct");
    make_link("loop", "loop");
    make_link("nowhere", "nothing");
    CHECK(trusted("direct", TRUST_SECRET) == 'y');
    CHECK(trusted("real/up", TRUST_SECRET) == 'y');
    CHECK(trusted("now/./../now//file", TRUST_SECRET) == 'y');
    CHECK(trusted("loop", TRUST_SECRET) == 'n' && strstr(words, "cannot open: "));
    CHECK(trusted("nowhere", TRUST_SECRET) == 'n' && strstr(words, "cannot open: "));
    CHECK(trusted("real/file/more", TRUST_SECRET) == 'n' && strstr(words, "cannot open: "));
    make_folder("real", 0777);
    CHECK(trusted("direct", TRUST_SECRET) == 'n');
}

static char
trusted_in(const char *list, const char *name)
{
    char *at = path_of(list), *path = xasprintf("%s/%s/%s", folder, list, name);
    int fd = open(at, O_RDONLY | O_DIRECTORY), file = trust_open_in(fd, path, TRUST_RIGHTS, words);
    char result = file == -1 ? 'n' : *words ? 'w' : 'y';
    if (file != -1)
        close(file);
    close(fd);
    free(path);
    free(at);
    return result;
}

static void
of_a_folder_that_was_checked_only_links_are_walked(void)
{
    make_folder("list", 0755);
    make_folder("apart", 0755);
    write_file("apart/file", 0644);
    write_file("list/file", 0644);
    make_link("list/link", "../apart/file");
    CHECK(trusted_in("list", "file") == 'y' && trusted_in("list", "link") == 'y');
    write_file("list/file", 0646);
    make_folder("apart", 0777);
    CHECK(trusted_in("list", "file") == 'n' && trusted_in("list", "link") == 'n');
    CHECK(trusted_in("list", "nothing") == 'n' && strstr(words, "cannot open: "));
}

static void
only_a_file_is_opened(void)
{
    CHECK(trust_open(folder, TRUST_RIGHTS, words) == -1);
    CHECK_TEXT(words, "not a regular file");
    CHECK(trust_open("/dev/null", TRUST_RIGHTS, words) == -1);
    char *name = xcalloc(1, 70000);
    memset(name, 'x', 69999);
    CHECK(trust_open(name, TRUST_RIGHTS, words) == -1);
    for (size_t i = 0; i < 69999; i += 2)
        name[i] = '/';
    CHECK(trust_open(name, TRUST_RIGHTS, words) == -1);
    free(name);
}

// --- owners ---------------------------------------------------------------------------

static char
trusted_by_service(const char *name, trust_kind_t kind)
{
    if (seteuid(SERVICE) == -1)
        abort();
    char result = trusted(name, kind);
    if (seteuid(0) == -1)
        abort();
    return result;
}

static void
what_belongs_to_somebody_else_is_refused_and_root_is_warned(void)
{
    if (geteuid() != 0) {
        puts("# only root can give files away");
        return;
    }
    make_folder("own", 0755);
    write_file("own/file", 0644);
    CHECK(trusted_by_service("own/file", TRUST_RIGHTS) == 'y');
    give("own/file", SERVICE, 0);
    CHECK(trusted_by_service("own/file", TRUST_RIGHTS) == 'y');
    CHECK(trusted("own/file", TRUST_RIGHTS) == 'w');
    CHECK_TEXT(words, "belongs to user 65534, neither root nor the user of this process");
    give("own/file", SOMEBODY, 0);
    CHECK(trusted_by_service("own/file", TRUST_RIGHTS) == 'n');
    give("own/file", 0, 0);
    give("own", SOMEBODY, 0);
    CHECK(trusted_by_service("own/file", TRUST_RIGHTS) == 'n');
    CHECK(trusted("own/file", TRUST_RIGHTS) == 'w');
    give("own", 0, 0);
    make_link("own/link", "file");
    CHECK(trusted_by_service("own/link", TRUST_RIGHTS) == 'y');
    give("own/link", SOMEBODY, 0);
    CHECK(trusted_by_service("own/link", TRUST_RIGHTS) == 'n');
    CHECK(trusted("own/link", TRUST_RIGHTS) == 'w');
    // A secret for a group that is none of ours.
    write_file("own/secret", 0440);
    give("own/secret", SERVICE, SOMEBODY);
    CHECK(trusted_by_service("own/secret", TRUST_SECRET) == 'n');
    give("own/secret", SERVICE, getegid());
    CHECK(trusted_by_service("own/secret", TRUST_SECRET) == 'w');
}

int
main(void)
{
    if (!mkdtemp(folder) || chmod(folder, 0755) == -1)
        abort();
    RUN(what_the_mode_lets_others_do_decides);
    RUN(a_folder_that_others_may_write_to_spoils_what_is_in_it);
    RUN(links_lead_on);
    RUN(of_a_folder_that_was_checked_only_links_are_walked);
    RUN(only_a_file_is_opened);
    RUN(what_belongs_to_somebody_else_is_refused_and_root_is_warned);
    char *command = xasprintf("rm -rf %s", folder);
    int rc = system(command);
    free(command);
    return rc == 0 ? test_done() : 1;
}
