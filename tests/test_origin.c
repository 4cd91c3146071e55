// SPDX-License-Identifier: MPL-2.0
// Whom a peer is counted with.
#include "net/address.h"
#include "net/origin.h"

#include "test.h"

#include <sys/socket.h>
#include <unistd.h>

static void
test_an_address_is_an_origin_and_so_is_a_network_of_ipv6(void)
{
    static const struct {
        const char *one, *other;
        bool alike;
    } pairs[] = {
        { "192.0.2.1", "192.0.2.1", true },
        { "192.0.2.1", "192.0.2.2", false },
        { "192.0.2.1", "::ffff:192.0.2.1", true },
        { "2001:db8::1", "2001:db8::ffff:0:0:7", true },
        { "2001:db8:0:1::1", "2001:db8:0:2::1", false },
        { "fe80::1%eth0", "fe80::2", true },
        { "::", "0.0.0.0", false },
        { "", "unknown", true },
        { "", "0.0.0.0", false },
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
        CHECK((origin_of_host(pairs[i].one) == origin_of_host(pairs[i].other)) == pairs[i].alike);
}

// The origin of who has connected to HOST.
static uint64_t
origin_of_client(const char *host)
{
    address_t at;
    CHECK(address_numeric(&at, host, 0));
    int listener = socket(at.at.ss_family, SOCK_STREAM, 0), client = socket(at.at.ss_family, SOCK_STREAM, 0);
    CHECK(bind(listener, (struct sockaddr *)&at.at, at.length) == 0 && listen(listener, 1) == 0);
    CHECK(address_bound(&at, listener) && connect(client, (struct sockaddr *)&at.at, at.length) == 0);
    int fd = accept(listener, NULL, NULL);
    uint64_t origin = origin_of_peer(fd);
    close(fd);
    close(client);
    close(listener);
    return origin;
}

static void
test_a_connection_has_the_origin_of_its_address(void)
{
    CHECK(origin_of_client("127.0.0.1") == origin_of_host("127.0.0.1"));
}

static void
test_an_ipc_peer_has_the_origin_of_its_user(void)
{
    int ends[2], others[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, others) == 0);
    CHECK(origin_of_peer(ends[0]) == origin_of_peer(others[1]));
    CHECK(origin_of_peer(ends[0]) != origin_of_host(""));
    close(ends[0]);
    close(ends[1]);
    close(others[0]);
    close(others[1]);
}

int
main(void)
{
    RUN(test_an_address_is_an_origin_and_so_is_a_network_of_ipv6);
    RUN(test_a_connection_has_the_origin_of_its_address);
    RUN(test_an_ipc_peer_has_the_origin_of_its_user);
    return test_done();
}
