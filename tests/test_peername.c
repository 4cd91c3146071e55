// SPDX-License-Identifier: MPL-2.0
#include "flow/peername.h"
#include "test.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void
check_split(const char *text, const char *expected, ino_t inode)
{
    char host[64];
    CHECK(peername_split(text, strlen(text), host, sizeof host) == inode);
    CHECK_TEXT(host, expected);
}

static void
the_inode_is_taken_out_wherever_it_stands(void)
{
    check_split("192.0.2.7#4711", "192.0.2.7", 4711);
    check_split("fe80::1%eth0#18446744073709551615", "fe80::1%eth0", (ino_t)18446744073709551615u);
    check_split("localhost#12:1000:1001:77", "localhost:1000:1001:77", 12);
}

static void
a_plain_address_stays_what_it_is(void)
{
    check_split("192.0.2.7", "192.0.2.7", 0);
    check_split("localhost:0:0:1", "localhost:0:0:1", 0);
    check_split("", "", 0);
    check_split("#", "", 0);
    check_split("a#b", "ab", 0);
}

static void
what_is_too_long_is_cut_off(void)
{
    char host[8];
    CHECK(peername_split("192.0.2.77#5", 12, host, sizeof host) == 5);
    CHECK_TEXT(host, "192.0.2");
    CHECK(peername_split("abc#5:defghijk", 14, host, sizeof host) == 5);
    CHECK_TEXT(host, "abc:def");
}

static void
only_a_socket_has_an_inode(void)
{
    int pair[2], file[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe(file) == 0);
    CHECK(peername_inode(pair[0]) != 0);
    CHECK(peername_inode(pair[0]) != peername_inode(pair[1]));
    CHECK(peername_inode(file[0]) == 0);
    CHECK(peername_inode(-1) == 0);
    for (int i = 0; i < 2; i++) {
        close(pair[i]);
        close(file[i]);
    }
}

int
main(void)
{
    RUN(the_inode_is_taken_out_wherever_it_stands);
    RUN(a_plain_address_stays_what_it_is);
    RUN(what_is_too_long_is_cut_off);
    RUN(only_a_socket_has_an_inode);
    return test_done();
}
