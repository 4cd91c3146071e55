// SPDX-License-Identifier: MPL-2.0
#include "conf/cidr.h"
#include "test.h"

static bool
matches(const char *list, const char *address)
{
    cidrs_t nets = { 0 };
    char reason[256];
    size_t offset;
    CHECK(cidr_parse(&nets, list, reason, sizeof reason, &offset) == 0);
    bool found = cidr_match(&nets, address);
    cidr_free(&nets);
    return found;
}

static void
check_print(const char *list, const char *expected)
{
    cidrs_t nets = { 0 };
    char reason[256];
    size_t offset;
    text_t out = { 0 };
    CHECK(cidr_parse(&nets, list, reason, sizeof reason, &offset) == 0);
    cidr_print(&nets, &out);
    CHECK_TEXT(out.data, expected);
    text_free(&out);
    cidr_free(&nets);
}

static void
check_refused(const char *list, size_t where)
{
    cidrs_t nets = { 0 };
    char reason[256] = "";
    size_t offset = 999;
    if (cidr_parse(&nets, list, reason, sizeof reason, &offset) != -1 || !*reason || offset != where) {
        printf("# \"%s\": \"%s\" at %zu\n", list, reason, offset);
        test_ok = false;
    }
    cidr_free(&nets);
}

static void
networks_hold_their_addresses_and_no_others(void)
{
    CHECK(matches("10.0.0.0/8", "10.255.1.2"));
    CHECK(!matches("10.0.0.0/8", "11.0.0.1"));
    CHECK(matches("192.168.1.7", "192.168.1.7"));
    CHECK(!matches("192.168.1.7", "192.168.1.8"));
    CHECK(matches("172.16.0.0/12", "172.31.255.255"));
    CHECK(!matches("172.16.0.0/12", "172.32.0.0"));
    CHECK(matches("10.0.0.0/8, 192.168.1.7", "192.168.1.7"));
    CHECK(matches("0.0.0.0/0", "8.8.8.8"));
    CHECK(matches("10.1.2.3/31", "10.1.2.2"));
    CHECK(!matches("10.1.2.3/31", "10.1.2.4"));
    CHECK(matches("fd00::/8", "fdff::1"));
    CHECK(!matches("fd00::/8", "fe80::1"));
    CHECK(matches("2001:db8::/33", "2001:db8:7fff::1"));
    CHECK(!matches("2001:db8::/33", "2001:db8:8000::1"));
    CHECK(matches("::1", "::1"));
}

static void
a_mapped_address_is_the_ipv4_address(void)
{
    CHECK(matches("10.0.0.0/8", "::ffff:10.1.2.3"));
    CHECK(matches("::ffff:10.0.0.0/104", "10.1.2.3"));
    CHECK(!matches("10.0.0.0/8", "::ffff:11.1.2.3"));
    CHECK(!matches("10.0.0.0/8", "::10.1.2.3"));
}

static void
all_of_one_family_is_not_the_other(void)
{
    CHECK(!matches("::/0", "10.1.2.3"));
    CHECK(matches("::/0", "2001:db8::1"));
    CHECK(!matches("0.0.0.0/0", "2001:db8::1"));
    CHECK(matches("0.0.0.0/0, ::/0", "10.1.2.3"));
}

static void
brackets_and_zones_of_an_address_do_not_matter(void)
{
    CHECK(matches("fe80::/10", "fe80::1%eth0"));
    CHECK(matches("fe80::/10", "[fe80::1%eth0]"));
    CHECK(matches("[::1]", "::1"));
    CHECK(matches("::1", "[::1]"));
}

static void
what_is_no_address_is_in_no_network(void)
{
    CHECK(!matches("0.0.0.0/0, ::/0", ""));
    CHECK(!matches("0.0.0.0/0, ::/0", "localhost"));
    CHECK(!matches("0.0.0.0/0, ::/0", "10.1.2"));
    CHECK(!matches("0.0.0.0/0, ::/0", "[::1"));
    CHECK(!matches("0.0.0.0/0, ::/0", "[::1]x"));
    CHECK(!matches("0.0.0.0/0, ::/0", "10.1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20.21.22.23.24"));
    cidrs_t none = { 0 };
    CHECK(!cidr_match(&none, "10.1.2.3"));
}

static void
printing_is_canonical(void)
{
    check_print("10.1.2.3/8", "10.0.0.0/8");
    check_print(" 10.1.2.3 ,  fd00:0:0::1/16 ", "10.1.2.3, fd00::/16");
    check_print("10.1.2.3/32", "10.1.2.3");
    check_print("::FFFF:10.1.2.3/112", "10.1.0.0/16");
    check_print("::1/128", "::1");
    check_print("0.0.0.0/0", "0.0.0.0/0");
    check_print("::/0", "::/0");
    check_print("::ffff:0:0/95", "::fffe:0:0/95");
}

static void
wrong_lists_are_refused_where_they_are_wrong(void)
{
    check_refused("", 0);
    check_refused("10.0.0.0/33", 0);
    check_refused("10.0.0.0/8, 10.0.0.0/-1", 12);
    check_refused("10.0.0.0/8,", 11);
    check_refused(",10.0.0.0/8", 0);
    check_refused("10.0.0.0/", 0);
    check_refused("10.0.0.0/ 8", 0);
    check_refused("10.0.0.0/8 192.168.1.7", 10);
    check_refused("fd00::1, 10.0.0.1 10.0.0.2, 10.0.0.3", 17);
    check_refused("10.0.0.0/0x8", 0);
    check_refused("10.0.0", 0);
    check_refused("10.0.0.256", 0);
    check_refused("host.example", 0);
    check_refused("fd00::/129", 0);
    check_refused("fe80::1%eth0", 0);
    check_refused("10.0.0.0/99999999999999999999", 0);
    check_refused("1111111111111111111111111111111111111111111111111111111111111111111111111111111111111", 0);
}

int
main(void)
{
    RUN(networks_hold_their_addresses_and_no_others);
    RUN(a_mapped_address_is_the_ipv4_address);
    RUN(all_of_one_family_is_not_the_other);
    RUN(brackets_and_zones_of_an_address_do_not_matter);
    RUN(what_is_no_address_is_in_no_network);
    RUN(printing_is_canonical);
    RUN(wrong_lists_are_refused_where_they_are_wrong);
    return test_done();
}
