// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "base/text.h"
#include "broker/slot.h"
#include "flow/engine.h"
#include "test.h"

#include <zmq.h>

// A route of an engine that knows its clients.
struct route {
    const route_engine_t *engine;
    const char *name;
    uint64_t ids[2];
    uint64_t kicked;
};

static void
list_clients(route_t *self, client_fn_t *fn, void *arg)
{
    char name[20], id[3] = "a\0b";
    snprintf(name, sizeof name, "%s", self->name);
    for (size_t i = 0; i < COUNT(self->ids); i++) {
        client_t client;
        client_know_nothing(&client);
        client.id = self->ids[i];
        client.route = name; // neither lives longer than the call
        client.routing_id = id;
        client.routing_id_size = sizeof id;
        fn(&client, arg);
        memset(id, 0, sizeof id);
        memcpy(id, "a\0b", sizeof id);
    }
    memset(name, '?', sizeof name - 1);
}

static int
kick(route_t *self, uint64_t id)
{
    if (id != self->ids[0] && id != self->ids[1])
        return -1;
    self->kicked = id;
    return 0;
}

static const route_engine_t knowing = { .name = "knowing", .clients = list_clients, .kick = kick };
static const route_engine_t ignorant = { .name = "ignorant" };

static void
write_down(const client_t *client, void *arg)
{
    text_add(arg, "%s %d, ", client->route, (int)client->id);
    CHECK(client->routing_id_size == 3 && memcmp(client->routing_id, "a\0b", 3) == 0);
}

static route_t prices = { .engine = &knowing, .name = "prices", .ids = { 5, 2 } };
static route_t old_prices = { .engine = &knowing, .name = "prices", .ids = { 1, 4 } };
static route_t jobs = { .engine = &knowing, .name = "jobs", .ids = { 3, 9 } };
static route_t others = { .engine = &ignorant };
static broker_t broker;

static void
check_lists(const char *route, const char *expected)
{
    text_t text = { 0 };
    text_bytes(&text, "", 0);
    broker_clients(&broker, route, write_down, &text);
    CHECK_TEXT(text.data, expected);
    text_free(&text);
}

static void
clients_are_those_of_all_routes_that_know_theirs_by_age(void)
{
    check_lists(NULL, "prices 1, prices 2, jobs 3, prices 4, prices 5, jobs 9, ");
    check_lists("prices", "prices 1, prices 2, prices 4, prices 5, ");
    check_lists("others", "");
    check_lists("off", "");
}

static void
check_kick(const char *route, const char *client, const char *expected)
{
    text_t error = { 0 };
    text_bytes(&error, "", 0);
    CHECK(broker_kick(&broker, route, client, &error) == (*expected ? -1 : 0));
    CHECK_TEXT(error.data, expected);
    text_free(&error);
}

static void
a_client_is_cut_by_the_route_that_has_it(void)
{
    check_kick("prices", "2", "");
    CHECK(prices.kicked == 2 && old_prices.kicked == 0);
    check_kick("prices", "4", "");
    CHECK(prices.kicked == 2 && old_prices.kicked == 4);
    check_kick("prices", "3", "route prices has no client 3");
    check_kick("jobs", "-3", "route jobs has no client -3");
    check_kick("jobs", "3x", "route jobs has no client 3x");
    check_kick("others", "3", "route others has no client 3");
    check_kick("price", "2", "no route price; did you mean prices?");
    CHECK(jobs.kicked == 0);
}

static void
ids_are_never_used_twice(void)
{
    uint64_t first = client_next_id();
    CHECK(first > 0 && client_next_id() > first);
}

int
main(void)
{
    void *ctx = zmq_ctx_new();
    broker_setup_t setup = { .resources = { .watch = watch_new(ctx, NULL) } };
    route_conf_t confs[] = { { .name = "prices" }, { .name = "jobs" }, { .name = "others" }, { .name = "off" } };
    slot_t slots[] = { { .conf = &confs[0], .route = &prices },
                       { .conf = &confs[1], .route = &jobs },
                       { .conf = &confs[2], .route = &others },
                       { .conf = &confs[3] } };
    slot_t *all[] = { &slots[0], &slots[1], &slots[2], &slots[3] };
    char name[] = "prices";
    counters_t counters = { 0 };
    retired_t leaving = { .route = &old_prices, .counters = &counters, .name = name };
    broker = (broker_t){ .setup = &setup, .slots = all, .count = COUNT(all), .retired = &leaving };
    RUN(clients_are_those_of_all_routes_that_know_theirs_by_age);
    RUN(a_client_is_cut_by_the_route_that_has_it);
    RUN(ids_are_never_used_twice);
    watch_t *watch = setup.resources.watch;
    watch_destroy(&watch);
    zmq_ctx_term(ctx);
    return test_done();
}
