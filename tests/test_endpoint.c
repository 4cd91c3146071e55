// SPDX-License-Identifier: MPL-2.0
#include "conf/endpoint.h"
#include "test.h"

#include <zmq.h>

static endpoint_t
parse(const char *text, bool connect)
{
    endpoint_t endpoint;
    char reason[256];
    size_t offset;
    if (endpoint_parse(text, connect, &endpoint, reason, sizeof reason, &offset) == -1) {
        printf("# %s: %s\n", text, reason);
        test_ok = false;
    }
    return endpoint;
}

static void
check_refused(const char *text, bool connect, size_t where, const char *expected)
{
    endpoint_t endpoint;
    char reason[256] = "";
    size_t offset = 999;
    int rc = endpoint_parse(text, connect, &endpoint, reason, sizeof reason, &offset);
    if (rc != -1 || offset != where || !strstr(reason, expected)) {
        printf("# %s: %d, \"%s\" at %zu, expected \"%s\" at %zu\n", text, rc, reason, offset, expected, where);
        test_ok = false;
    }
}

static void
check_text(const char *text, bool connect, const char *expected)
{
    endpoint_t endpoint = parse(text, connect), again = parse(endpoint.text, connect);
    CHECK_TEXT(endpoint.text, expected);
    CHECK_TEXT(again.text, expected);
}

static void
tcp_has_a_host_and_a_port(void)
{
    endpoint_t endpoint = parse("tcp://127.0.0.1:5555", false);
    CHECK(endpoint.transport == TRANSPORT_TCP && endpoint.port == 5555 && endpoint.loopback && !endpoint.wildcard);
    CHECK_TEXT(endpoint.host, "127.0.0.1");
    endpoint = parse("tcp://*:65535", false);
    CHECK(endpoint.port == 65535 && !endpoint.loopback);
    endpoint = parse("tcp://*:*", false);
    CHECK(endpoint.port == 0 && endpoint.wildcard);
    endpoint = parse("tcp://[::1]:1", false);
    CHECK_TEXT(endpoint.host, "::1");
    CHECK(endpoint.loopback);
    endpoint = parse("tcp://[fe80::1%eth0]:5", true);
    CHECK_TEXT(endpoint.host, "fe80::1%eth0");
    CHECK(!endpoint.loopback);
    endpoint = parse("tcp://lo:5", false);
    CHECK(endpoint.loopback);
    endpoint = parse("tcp://localhost:5", true);
    CHECK(endpoint.loopback);
    endpoint = parse("tcp://eth0.100:5", false);
    CHECK(!endpoint.loopback);
    endpoint = parse("tcp://[::ffff:127.0.0.1]:5", false);
    CHECK(endpoint.loopback);
    endpoint = parse("tcp://192.168.1.1:0;Server.Example:5555", true);
    CHECK_TEXT(endpoint.source, "192.168.1.1:0");
    CHECK_TEXT(endpoint.host, "server.example");
}

static void
what_is_given_to_libzmq_is_normal(void)
{
    check_text("tcp://127.0.0.1:00080", false, "tcp://127.0.0.1:80");
    check_text("tcp://*:0", false, "tcp://*:*");
    check_text("tcp://*:!", false, "tcp://*:*");
    check_text("tcp://[0:0:0:0:0:0:0:1]:5", false, "tcp://[::1]:5");
    check_text("tcp://[*]:5", false, "tcp://[::]:5");
    check_text("tcp://eth0:*;[FD00::1]:7", true, "tcp://eth0:0;[fd00::1]:7");
    check_text("tcp://Host.Example:7", true, "tcp://host.example:7");
    check_text("ipc:///run//zb/./x.sock", false, "ipc:///run/zb/x.sock");
    check_text("ipc://@name//as/it/is", false, "ipc://@name//as/it/is");
    check_text("ipc://*", false, "ipc://*");
    check_text("inproc://a b", false, "inproc://a b");
    check_text("ws://*:80/path/x", false, "ws://*:80/path/x");
    check_text("wss://[::1]:443", true, "wss://[::1]:443");
    check_text("pgm://eth0;239.192.1.1:5555", true, "pgm://eth0;239.192.1.1:5555");
    check_text("epgm://239.192.1.1:5555", true, "epgm://239.192.1.1:5555");
    check_text("norm://2,eth0;239.192.1.1:5555", true, "norm://2,eth0;239.192.1.1:5555");
    check_text("norm://2,239.192.1.1:5555", true, "norm://2,239.192.1.1:5555");
    check_text("tipc://{5560,0,10}", false, "tipc://{5560,0,10}");
    check_text("tipc://<*>", false, "tipc://<*>");
    check_text("tipc://{5560,0}", true, "tipc://{5560,0}");
    check_text("tipc://{5560,0}@1.2.3", true, "tipc://{5560,0}@1.2.3");
    check_text("tipc://<1.2.3:4>", true, "tipc://<1.2.3:4>");
}

static void
what_libzmq_would_swallow_is_refused(void)
{
    check_refused("tcp://127.0.0.1:70000", false, 16, "out of range");
    check_refused("tcp://127.0.0.1:80x", false, 16, "not a port");
    check_refused("tcp://127.0.0.1:+80", false, 16, "not a port");
    check_refused("tcp://127.0.0.1:65536", true, 16, "out of range");
    check_refused("tcp://127.0.0.1: 80", false, 16, "not a port");
    check_refused("tcp://127.0.0.1", false, 6, "port is missing");
    check_refused("tcp://127.0.0.1:", false, 16, "port is missing");
    check_refused("tcp://", false, 6, "port is missing");
    check_refused("tcp://:5555", false, 6, "missing");
    check_refused("tcp://localhost:5", false, 6, "host name cannot be bound");
    check_refused("tcp://far.away.example:5", false, 6, "host name cannot be bound");
    check_refused("tcp://*:5", true, 6, "write a host");
    check_refused("tcp://host:0", true, 11, "write a number");
    check_refused("tcp://256.0.0.1:5", true, 6, "IPv4");
    check_refused("tcp://::1:5555", false, 6, "brackets");
    check_refused("tcp://[::1]", false, 11, "port is missing");
    check_refused("tcp://[::1]5", false, 11, "port is missing");
    check_refused("tcp://[::1", false, 6, "]");
    check_refused("tcp://[::g]:5", false, 7, "IPv6");
    check_refused("tcp://[::1%]:5", false, 7, "interface");
    check_refused("tcp://a:1;b:2", false, 6, "connects only");
    check_refused("tcp://[::1;b]:2", true, 7, "IPv6");
    check_refused("tcp://a_host..b:2", true, 6, "host name");
    check_refused("ipc://", false, 6, "missing");
    check_refused("ipc:///a/b/", false, 6, "folder");
    check_refused("ipc://*", true, 6, "write a path");
    check_refused("inproc://", false, 9, "missing");
    check_refused("ws://*:5/a b", false, 10, "blank");
    check_refused("pgm://eth0;10.0.0.1:5", true, 11, "multicast");
    check_refused("norm://0,eth0;239.0.0.1:5", true, 7, "id");
    check_refused("tipc://{1,2}", false, 7, "TYPE");
    check_refused("tipc://{1,2,3}", true, 7, "TYPE");
    check_refused("udp://127.0.0.1:5", false, 0, "no route");
    check_refused("tpc://127.0.0.1:5", false, 0, "did you mean tcp://");
    check_refused("127.0.0.1:5", false, 0, "TRANSPORT");
    check_refused("", false, 0, "missing");
    check_refused("tcp://a\tb:5", true, 7, "control");
    check_refused("://", false, 0, "TRANSPORT");
}

static void
a_unix_path_has_107_bytes(void)
{
    char text[200] = "ipc://";
    memset(text + 6, 'x', 107);
    text[6 + 107] = '\0';
    endpoint_t endpoint = parse(text, false);
    CHECK(strlen(endpoint.path) == 107);
    memset(text + 6, 'x', 108);
    text[6 + 108] = '\0';
    check_refused(text, false, 6, "at most 107");
}

static void
texts_of_any_length_are_refused_not_cut(void)
{
    static const char *const starts[] = { "tcp://", "tcp://[", "ipc://",   "inproc://", "ws://",
                                          "pgm://", "norm://", "tipc://{", "",          "tcp://a:1;" };
    static char text[5000];
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++)
        for (size_t length = 20; length < sizeof text - 20; length += 97) {
            memset(text, 'a', length);
            memcpy(text, starts[i], strlen(starts[i]));
            snprintf(text + length, 10, ":5");
            endpoint_t endpoint;
            char reason[64];
            size_t offset;
            int rc = endpoint_parse(text, true, &endpoint, reason, sizeof reason, &offset);
            CHECK(rc == 0 ? strlen(endpoint.text) < sizeof endpoint.text && strcmp(endpoint.text, text) == 0
                          : *reason && offset < strlen(text));
        }
}

static bool
clash(const char *a, const char *b)
{
    endpoint_t x = parse(a, false), y = parse(b, false);
    CHECK(endpoint_clash(&x, &y) == endpoint_clash(&y, &x));
    return endpoint_clash(&x, &y);
}

static void
the_same_port_clashes_where_addresses_overlap(void)
{
    CHECK(clash("tcp://*:5555", "tcp://127.0.0.1:5555"));
    CHECK(clash("tcp://*:5555", "tcp://[::1]:5555"));
    CHECK(clash("tcp://[::]:5555", "tcp://127.0.0.1:5555"));
    CHECK(clash("tcp://0.0.0.0:5555", "tcp://10.0.0.1:5555"));
    CHECK(!clash("tcp://0.0.0.0:5555", "tcp://[::1]:5555"));
    CHECK(clash("tcp://0.0.0.0:5555", "tcp://[::]:5555"));
    CHECK(clash("tcp://lo:5555", "tcp://127.0.0.1:5555"));
    CHECK(clash("tcp://[::ffff:127.0.0.1]:5555", "tcp://127.0.0.1:5555"));
    CHECK(clash("ws://*:5555/a", "tcp://*:5555"));
    CHECK(!clash("tcp://10.0.0.1:5555", "tcp://10.0.0.2:5555"));
    CHECK(!clash("tcp://*:5555", "tcp://*:5556"));
    CHECK(!clash("tcp://*:*", "tcp://*:*"));
    CHECK(!clash("tcp://*:*", "tcp://*:5555"));
    CHECK(clash("ipc:///tmp/a", "ipc:///tmp//a"));
    CHECK(!clash("ipc:///tmp/a", "ipc://@/tmp/a"));
    CHECK(!clash("ipc://*", "ipc://*"));
    CHECK(clash("inproc://a", "inproc://a"));
    CHECK(!clash("inproc://a", "inproc://b"));
    CHECK(!clash("ipc://a", "inproc://a"));
}

static void
transports_of_the_library_are_known(void)
{
    CHECK(transport_works(TRANSPORT_TCP) && transport_works(TRANSPORT_INPROC) && transport_works(TRANSPORT_IPC));
    CHECK(transport_works(TRANSPORT_NORM) == zmq_has("norm"));
    CHECK_TEXT(transport_name(TRANSPORT_EPGM), "epgm");
}

// What we take, libzmq takes: every kind of endpoint that needs no other host.
static void
libzmq_binds_what_the_parser_takes(void)
{
    static const char *const texts[] = { "tcp://127.0.0.1:*",       "tcp://*:0",   "tcp://lo:!", "ipc://*",
                                         "ipc://@zb-test-endpoint", "inproc://a b" };
    void *ctx = zmq_ctx_new();
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        endpoint_t endpoint = parse(texts[i], false);
        void *socket = zmq_socket(ctx, ZMQ_PULL);
        int rc = zmq_bind(socket, endpoint.text);
        if (rc == -1)
            printf("# %s: %s\n", endpoint.text, zmq_strerror(zmq_errno()));
        CHECK(rc == 0);
        zmq_close(socket);
    }
    zmq_ctx_term(ctx);
}

int
main(void)
{
    RUN(tcp_has_a_host_and_a_port);
    RUN(what_is_given_to_libzmq_is_normal);
    RUN(what_libzmq_would_swallow_is_refused);
    RUN(a_unix_path_has_107_bytes);
    RUN(texts_of_any_length_are_refused_not_cut);
    RUN(the_same_port_clashes_where_addresses_overlap);
    RUN(transports_of_the_library_are_known);
    RUN(libzmq_binds_what_the_parser_takes);
    return test_done();
}
