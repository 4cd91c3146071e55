// SPDX-License-Identifier: MPL-2.0
// test_metrics.c - the exposition format, with a broker that has no sockets.

#include "admin/metrics.h"
#include "fake_broker.h"
#include "test.h"

static broker_t *broker;

static const char ini[] = "[route prices]\n"
                          "type = forwarder\n"
                          "frontend_bind = tcp://127.0.0.1:15555\n"
                          "backend_bind = tcp://127.0.0.1:15556\n"
                          "[route jobs]\n"
                          "type = streamer\n"
                          "frontend_bind = tcp://127.0.0.1:15557\n"
                          "backend_bind = tcp://127.0.0.1:15558\n"
                          "capture_bind = inproc://tap\n";

static text_t page;

static const char *
scrape(void)
{
    text_clear(&page);
    metrics_write(broker, &page);
    return page.data;
}

static bool
has(const char *line)
{
    bool found = strstr(scrape(), line) != NULL;
    if (!found)
        printf("# no %s\n", line);
    return found;
}

static void
test_every_row_is_one_family_with_help_and_type(void)
{
    metric_info_t info;
    const char *at = scrape();
    unsigned i;
    for (i = 0; metric_at(i, &info); i++) {
        text_t head = { 0 };
        text_add(&head, "# HELP %s %s\n# TYPE %s %s\n%s", info.name, info.help, info.name, info.type, info.name);
        at = strstr(at, head.data); // in the order of the table, with a sample behind
        CHECK(at);
        bool counter = strcmp(info.type, "counter") == 0;
        size_t length = strlen(info.name);
        CHECK(counter == (length > 6 && strcmp(info.name + length - 6, "_total") == 0));
        CHECK(info.help[strlen(info.help) - 1] == '.');
        text_free(&head);
        if (!at)
            return;
    }
    CHECK(i == 45);
    size_t heads = 0;
    for (const char *line = page.data; (line = strstr(line, "# HELP ")); line++)
        heads++;
    CHECK(heads == i);
    CHECK(page.data[page.size - 1] == '\n' && !strstr(page.data, "\n\n"));
}

static void
test_sides_are_those_of_the_configuration(void)
{
    CHECK(has("zbroker_messages_sent_total{route=\"jobs\",side=\"capture\"} 0\n"));
    CHECK(has("zbroker_messages_received_total{route=\"prices\",side=\"backend\"} 0\n"));
    CHECK(!strstr(scrape(), "{route=\"prices\",side=\"capture\""));
    CHECK(!strstr(scrape(), "side=\"ingress\""));
    CHECK(!strstr(scrape(), "zbroker_blocked_seconds_total{route=\"jobs\",side=\"capture\""));
}

static void
test_states_are_exclusive(void)
{
    for (int state = 0; state < ROUTE_STATES; state++) {
        broker->routes[1].state = (route_state_t)state;
        char line[100];
        snprintf(line, sizeof line, "zbroker_route_state{route=\"jobs\",state=\"%s\"} 1\n", route_state_name((route_state_t)state));
        CHECK(has(line));
        snprintf(line, sizeof line, "zbroker_route_up{route=\"jobs\",type=\"streamer\"} %d\n", state == ROUTE_RUNNING);
        CHECK(has(line));
        size_t ones = 0;
        for (const char *at = page.data; (at = strstr(at, "zbroker_route_state{route=\"jobs\"")); at++)
            ones += strchr(at, '\n')[-1] == '1';
        CHECK(ones == 1);
    }
    broker->routes[1].state = ROUTE_RUNNING;
}

static void
test_clearing_counters_leaves_them(void)
{
    counters_t *counters = &broker->routes[0].counters;
    counter_set(&counters->sides[SIDE_FRONTEND].messages_received, 18446744073709551615u);
    counter_set(&counters->dropped[DROP_ACL], 3);
    counter_set(&counters->sides[SIDE_BACKEND].blocked_ns, 1500000000);
    text_t error = { 0 };
    CHECK(broker_clear(broker, NULL, &error) == 0);
    CHECK(has("zbroker_messages_received_total{route=\"prices\",side=\"frontend\"} 18446744073709551615\n"));
    CHECK(has("zbroker_messages_dropped_total{route=\"prices\",reason=\"acl\"} 3\n"));
    CHECK(has("zbroker_blocked_seconds_total{route=\"prices\",side=\"backend\"} 1.5\n"));
    text_free(&error);
}

static void
test_each_reason_of_a_side_is_a_series(void)
{
    side_counters_t *side = &broker->routes[1].counters.sides[SIDE_BACKEND];
    counter_set(&side->handshake_failures[HANDSHAKE_LIMITED], 5);
    counter_set(&side->cut[CUT_AUTH], 6);
    counter_set(&side->queued_bytes, 7);
    CHECK(has("zbroker_handshake_failures_total{route=\"jobs\",side=\"backend\",reason=\"limited\"} 5\n"));
    CHECK(has("zbroker_handshake_failures_total{route=\"jobs\",side=\"backend\",reason=\"auth\"} 0\n"));
    CHECK(has("zbroker_cut_total{route=\"jobs\",side=\"backend\",reason=\"auth\"} 6\n"));
    CHECK(has("zbroker_queued_bytes{route=\"jobs\",side=\"backend\"} 7\n"));
    CHECK(has("zbroker_route_engine{route=\"jobs\",engine=\"zmq\"} 1\n"));
}

static void
test_the_histogram_is_cumulative(void)
{
    counters_t *counters = &broker->routes[1].counters;
    for (unsigned i = 0; i < SIZE_BUCKETS; i++)
        counter_set(&counters->sizes[i], 1);
    counter_set(&counters->sides[SIDE_FRONTEND].received_bytes, 1000);
    counter_set(&counters->sides[SIDE_BACKEND].received_bytes, 34);
    CHECK(has("zbroker_message_size_bytes_bucket{route=\"jobs\",le=\"64\"} 1\n"));
    CHECK(has("zbroker_message_size_bytes_bucket{route=\"jobs\",le=\"256\"} 2\n"));
    CHECK(has("zbroker_message_size_bytes_bucket{route=\"jobs\",le=\"16777216\"} 10\n"));
    CHECK(has("zbroker_message_size_bytes_bucket{route=\"jobs\",le=\"+Inf\"} 11\n"));
    CHECK(has("zbroker_message_size_bytes_sum{route=\"jobs\"} 1034\n"));
    CHECK(has("zbroker_message_size_bytes_count{route=\"jobs\"} 11\n"));
}

int
main(void)
{
    broker = fake_broker_new(ini);
    RUN(test_every_row_is_one_family_with_help_and_type);
    RUN(test_sides_are_those_of_the_configuration);
    RUN(test_states_are_exclusive);
    RUN(test_clearing_counters_leaves_them);
    RUN(test_each_reason_of_a_side_is_a_series);
    RUN(test_the_histogram_is_cumulative);
    text_free(&page);
    fake_broker_destroy(&broker);
    return test_done();
}
