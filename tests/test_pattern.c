// SPDX-License-Identifier: MPL-2.0
#include "flow/ways.h"
#include "test.h"

#include <zmq.h>

enum { TYPES = 21, CLIENT = 13, GATHER = 16, SCATTER = 17, CHANNEL = 20 };

static void
every_route_type_joins_two_sockets_that_can_be_joined(void)
{
    for (unsigned i = 0; pattern_at(i); i++) {
        const pattern_t *pattern = pattern_at(i);
        CHECK(pattern_find(pattern->name) == pattern);
        if (pattern->frontend == -1)
            continue;
        CHECK(pattern_flow(pattern->frontend, pattern->backend) == pattern->flow);
        CHECK(pattern->draft == (socket_type_is_draft(pattern->frontend) || socket_type_is_draft(pattern->backend)));
    }
}

static void
the_table_is_that_of_the_manual(void)
{
    static const struct {
        const char *name;
        int frontend, backend, flow;
    } expected[] = {
        { "forwarder", ZMQ_XSUB, ZMQ_XPUB, FLOW_BOTH }, { "queue", ZMQ_ROUTER, ZMQ_DEALER, FLOW_BOTH },
        { "streamer", ZMQ_PULL, ZMQ_PUSH, FLOW_DOWN },  { "pair", ZMQ_PAIR, ZMQ_PAIR, FLOW_BOTH },
        { "pipeline", GATHER, SCATTER, FLOW_DOWN },
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const pattern_t *pattern = pattern_find(expected[i].name);
        CHECK(pattern && pattern->frontend == expected[i].frontend && pattern->backend == expected[i].backend);
        CHECK(pattern && (int)pattern->flow == expected[i].flow && pattern_may_have(pattern, SIDE_INGRESS) == (i == 0));
    }
    CHECK(pattern_find("custom") && pattern_find("QUEUE") && !pattern_find("device"));
}

static void
names_and_numbers_of_socket_types_agree(void)
{
    for (int type = 0; type < TYPES; type++)
        CHECK(socket_type_find(socket_type_name(type)) == type);
    CHECK(socket_type_find("xrep") == ZMQ_ROUTER && socket_type_find("XREQ") == ZMQ_DEALER &&
          socket_type_find("Xsub") == ZMQ_XSUB);
    CHECK(socket_type_find("") == -1 && socket_type_find("SUBS") == -1);
    CHECK_TEXT(socket_type_name(ZMQ_ROUTER), "ROUTER");
    CHECK(socket_type_at(0) && !socket_type_at(1000));
}

static void
a_pair_has_a_flow_or_a_reason(void)
{
    for (int frontend = 0; frontend < TYPES; frontend++)
        for (int backend = 0; backend < TYPES; backend++) {
            flow_t flow = pattern_flow(frontend, backend), mirrored = pattern_flow(backend, frontend);
            CHECK(!flow == (pattern_refusal(frontend, backend) != NULL));
            // What goes down one way round goes up the other.
            CHECK(!(flow & FLOW_DOWN) == !(mirrored & FLOW_UP) && !(flow & FLOW_UP) == !(mirrored & FLOW_DOWN));
            CHECK(!(flow & FLOW_DOWN) || (socket_type_receives(frontend) && socket_type_sends(backend)));
        }
    CHECK(pattern_refusal(-1, 99));
}

static void
lockstep_and_addressed_sockets_are_refused(void)
{
    CHECK(!pattern_flow(ZMQ_REP, ZMQ_REQ) && !pattern_flow(ZMQ_ROUTER, ZMQ_REQ) && !pattern_flow(ZMQ_REP, ZMQ_DEALER));
    CHECK(!pattern_flow(ZMQ_ROUTER, ZMQ_ROUTER) && !pattern_flow(ZMQ_ROUTER, ZMQ_STREAM));
    CHECK(!pattern_flow(ZMQ_PULL, ZMQ_PULL) && !pattern_flow(ZMQ_PUSH, ZMQ_PUB));
    CHECK(!pattern_flow(ZMQ_XSUB, ZMQ_PUSH) && !pattern_flow(ZMQ_PULL, ZMQ_XPUB));
    CHECK(pattern_flow(ZMQ_STREAM, ZMQ_DEALER) == FLOW_BOTH && pattern_flow(ZMQ_SUB, ZMQ_PUB) == FLOW_DOWN);
    CHECK(pattern_flow(ZMQ_PUSH, ZMQ_PULL) == FLOW_UP && pattern_flow(ZMQ_XPUB, ZMQ_XSUB) == FLOW_BOTH);
}

static void
sockets_of_one_frame_are_not_joined_with_those_that_need_two(void)
{
    CHECK(!pattern_flow(ZMQ_ROUTER, SCATTER) && !pattern_flow(GATHER, ZMQ_STREAM) && !pattern_flow(CHANNEL, ZMQ_ROUTER));
    CHECK(pattern_flow(ZMQ_PULL, SCATTER) == FLOW_DOWN && pattern_flow(GATHER, ZMQ_PUSH) == FLOW_DOWN);
    CHECK(pattern_flow(CHANNEL, CLIENT) == FLOW_BOTH && pattern_flow(ZMQ_DEALER, CHANNEL) == FLOW_BOTH);
}

static void
replies_and_subscriptions_bring_in_nothing_new(void)
{
    CHECK(pattern_brings_in(ZMQ_ROUTER, ZMQ_DEALER) && !pattern_brings_in(ZMQ_DEALER, ZMQ_ROUTER));
    CHECK(pattern_brings_in(ZMQ_XSUB, ZMQ_XPUB) && !pattern_brings_in(ZMQ_XPUB, ZMQ_XSUB));
    CHECK(pattern_brings_in(ZMQ_PAIR, ZMQ_PAIR) && pattern_brings_in(ZMQ_DEALER, ZMQ_DEALER));
    CHECK(socket_type_publishes(ZMQ_PUB) && socket_type_publishes(ZMQ_XPUB) && !socket_type_publishes(ZMQ_PUSH));
}

// The ways of a route of these sides, as text.
static void
check_ways(flow_t flow, const int types[SIDES], const char *expected)
{
    route_conf_t conf = { .flow = flow };
    way_t ways[WAYS_MOST];
    char text[200] = "";
    for (side_t side = 0; side < SIDES; side++)
        conf.sides[side].type = types[side];
    size_t count = ways_of(&conf, ways);
    for (size_t i = 0; i < count; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s>%s%s ", side_name(ways[i].from),
                 side_name(ways[i].to), ways[i].brings_in ? "" : " (not new)");
    CHECK_TEXT(text, expected);
}

static void
messages_go_the_ways_that_sides_and_flow_allow(void)
{
    check_ways(FLOW_DOWN, (int[SIDES]){ ZMQ_PULL, ZMQ_PUSH, -1, ZMQ_PUB, -1, -1 }, "frontend>backend ");
    check_ways(FLOW_UP, (int[SIDES]){ ZMQ_PUSH, ZMQ_PULL, -1, -1, -1, -1 }, "backend>frontend ");
    check_ways(FLOW_BOTH, (int[SIDES]){ ZMQ_XSUB, ZMQ_XPUB, ZMQ_PULL, -1, -1, -1 },
               "frontend>backend ingress>backend backend>frontend (not new) ");
    check_ways(FLOW_BOTH, (int[SIDES]){ ZMQ_DEALER, ZMQ_ROUTER, -1, -1, -1, -1 },
               "frontend>backend (not new) backend>frontend ");
    check_ways(FLOW_DOWN, (int[SIDES]){ ZMQ_PULL, ZMQ_PUSH, -1, -1, ZMQ_ROUTER, ZMQ_ROUTER },
               "frontend>backend ack>backend ");
}

static void
sides_have_names(void)
{
    CHECK_TEXT(side_name(SIDE_FRONTEND), "frontend");
    CHECK_TEXT(side_name(SIDE_BACKEND), "backend");
    CHECK_TEXT(side_name(SIDE_INGRESS), "ingress");
    CHECK_TEXT(side_name(SIDE_CAPTURE), "capture");
}

int
main(void)
{
    RUN(every_route_type_joins_two_sockets_that_can_be_joined);
    RUN(the_table_is_that_of_the_manual);
    RUN(names_and_numbers_of_socket_types_agree);
    RUN(a_pair_has_a_flow_or_a_reason);
    RUN(lockstep_and_addressed_sockets_are_refused);
    RUN(sockets_of_one_frame_are_not_joined_with_those_that_need_two);
    RUN(replies_and_subscriptions_bring_in_nothing_new);
    RUN(messages_go_the_ways_that_sides_and_flow_allow);
    RUN(sides_have_names);
    return test_done();
}
