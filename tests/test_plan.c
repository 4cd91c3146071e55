// SPDX-License-Identifier: MPL-2.0
#include "base/mem.h"
#include "conf/load.h"
#include "conf/plan.h"
#include "test.h"

#define HEAD "[zbroker]\nlog_level = info\n"
#define A "[route a]\ntype = forwarder\nfrontend_bind = tcp://127.0.0.1:5001\nbackend_bind = tcp://127.0.0.1:5002\nengine = zmq\n"
#define WITH(engine)                                                                                                      \
    "[route b]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:5003\nbackend_bind = tcp://127.0.0.1:5004\nengine = " #engine "\n"
#define B WITH(zmq)
#define WIRE WITH(wire)

static conf_t *
load(const char *text)
{
    diag_t *diag = diag_new();
    conf_t *conf = conf_load_text("x.ini", text, strlen(text), diag);
    if (!conf) {
        diag_print(diag, stdout);
        printf("Bail out! a configuration that is right was refused\n");
        exit(EXIT_FAILURE);
    }
    diag_destroy(&diag);
    return conf;
}

static void
check_plan(const char *running, const char *wanted, const char *expected)
{
    conf_t *old = load(running), *new = load(wanted);
    plan_t *plan = plan_make(new, &old->settings, (const route_conf_t *const *)old->routes, old->route_count);
    text_t text = { 0 };
    plan_print(plan, &text);
    CHECK_TEXT(text.data, expected);
    CHECK(plan_is_empty(plan) == (strcmp(expected, "nothing to do\n") == 0));
    CHECK(plan->count >= new->route_count);
    for (size_t i = 0; i < plan->count; i++) {
        const plan_step_t *step = &plan->steps[i];
        CHECK(!step->running == (step->action == PLAN_START) && !step->wanted == (step->action == PLAN_STOP));
    }
    text_free(&text);
    plan_destroy(&plan);
    CHECK(!plan);
    conf_destroy(&old);
    conf_destroy(&new);
}

static void
the_same_values_are_nothing_to_do(void)
{
    check_plan(HEAD A B, HEAD A B, "nothing to do\n");
    check_plan("", "", "nothing to do\n");
    // However they are written, and in whatever order.
    check_plan(A "backend_handshake_ivl = 5000ms\nbackend_linger = auto\n" B, "; c\n" B A "frontend_sndhwm = 0\n",
               "nothing to do\n");
    check_plan("[defaults]\nrcvhwm = 5\n" A, A "rcvhwm = 5\n", "nothing to do\n");
}

// What changed in a file that a key names, not the key.
static void
content_is_a_line_and_may_re_create_its_route(void)
{
    conf_t *conf = load(A B);
    plan_t *plan = plan_make(conf, &conf->settings, (const route_conf_t *const *)conf->routes, conf->route_count);
    text_t text = { 0 };
    plan_add_content(plan, "c", "acl", "/acl changed", RELOAD_LIVE);
    CHECK(plan_is_empty(plan));
    plan_add_content(plan, "a", "acl", "/acl changed", RELOAD_LIVE);
    CHECK(!plan_is_empty(plan) && plan->steps[0].action == PLAN_KEEP && plan->steps[1].action == PLAN_KEEP);
    plan_add_content(plan, "b", "server_cert", "/cert: new key 1.. -> 2..", RELOAD_ROUTE);
    CHECK(plan->steps[0].action == PLAN_REPLACE && plan->steps[1].action == PLAN_KEEP);
    plan_print(plan, &text);
    CHECK_TEXT(text.data, "route b: server_cert /cert: new key 1.. -> 2.. (re-created)\nroute a: acl /acl changed (live)\n");
    text_free(&text);
    plan_destroy(&plan);
    conf_destroy(&conf);
}

static void
an_engine_re_creates_its_route(void)
{
    check_plan(B, WIRE, "route b: engine zmq -> wire (re-created)\n"
                                                             "route b: frontend_heartbeat_ivl 0 -> 5s (re-created)\n"
                                                             "route b: backend_heartbeat_ivl 0 -> 5s (re-created)\n");
    check_plan(B, WITH(zbroker), "nothing to do\n");
}

static void
engine_wire_takes_limits_over_while_it_runs(void)
{
    check_plan(WIRE, WIRE "backend_sndhwm = 5\nqueue_bytes = 1M\nmax_parts = 9\n",
               "route b: queue_bytes 0 -> 1M (live)\nroute b: frontend_max_parts 1024 -> 9 (live)\n"
               "route b: backend_max_parts 1024 -> 9 (live)\nroute b: backend_sndhwm 1000 -> 5 (live)\n");
    check_plan(B, B "backend_sndhwm = 5\n", "route b: backend_sndhwm 1000 -> 5 (re-created)\n");
}

static void
a_word_that_comes_to_another_engine_re_creates_its_route(void)
{
    conf_t *old = load(B), *new = load(B);
    old->routes[0]->engine = ENGINE_WIRE;
    new->routes[0]->engine = ENGINE_ZMQ;
    plan_t *plan = plan_make(new, &old->settings, (const route_conf_t *const *)old->routes, old->route_count);
    text_t text = { 0 };
    plan_print(plan, &text);
    CHECK_TEXT(text.data, "route b: engine wire -> zmq (re-created)\n");
    text_free(&text);
    plan_destroy(&plan);
    conf_destroy(&old);
    conf_destroy(&new);
}

static void
an_option_re_creates_its_route_only(void)
{
    check_plan(A B, A "backend_sndhwm = 10000\n" B, "route a: backend_sndhwm 1000 -> 10000 (re-created)\n");
    check_plan("[defaults]\nrcvhwm = 5\n" A B "frontend_rcvhwm = 5\nbackend_rcvhwm = 5\n",
               A B "frontend_rcvhwm = 5\nbackend_rcvhwm = 5\n",
               "route a: frontend_rcvhwm 5 -> 1000 (re-created)\nroute a: backend_rcvhwm 5 -> 1000 (re-created)\n");
}

static void
endpoints_and_limits_change_live(void)
{
    check_plan(A, A "frontend_bind = tcp://127.0.0.1:5009\n",
               "route a: frontend_bind added: tcp://127.0.0.1:5009 (live)\n");
    check_plan(A "backend_connect = tcp://x:1\n", A, "route a: backend_connect removed: tcp://x:1 (live)\n");
    check_plan(A "frontend_bind = tcp://127.0.0.1:6001\n", A "frontend_bind = tcp://127.0.0.1:6002\n",
               "route a: frontend_bind tcp://127.0.0.1:6001 -> tcp://127.0.0.1:6002 (live)\n");
    check_plan(A, A "backend_max_clients = 9\nlinger = 1s\nallow = ::1\n",
               "route a: frontend_linger auto -> 1s (live)\nroute a: backend_max_clients 0 -> 9 (live)\nroute a: "
               "backend_linger auto -> 1s (live)\n"
               "route a: frontend_allow added: ::1 (live)\nroute a: backend_allow added: ::1 (live)\n");
}

static void
another_acl_re_creates_its_route(void)
{
    check_plan(A, A "frontend_acl = /a\n",
               "route a: frontend_acl added: /a (re-created)\n");
}

static void
a_live_change_goes_along_with_a_heavier_one(void)
{
    check_plan(A, A "backend_max_clients = 9\nbackend_tos = 4\n",
               "route a: backend_max_clients 0 -> 9 (re-created)\nroute a: backend_tos 0 -> 4 (re-created)\n");
}

static void
a_capture_comes_and_goes_live(void)
{
    check_plan(A, A "capture_bind = ipc://@tap\ncapture_sndhwm = 5\n",
               "route a: capture_bind added: ipc://@tap (live)\nroute a: capture_sndhwm added: 5 (live)\n");
    check_plan(A "capture_bind = ipc://@tap\n", A, "route a: capture_bind removed: ipc://@tap (live)\n");
    check_plan(A "capture_bind = ipc://@tap\n", A "capture_bind = ipc://@tap\ncapture_sndhwm = 5\n",
               "route a: capture_sndhwm 1000 -> 5 (re-created)\n");
}

static void
an_ingress_re_creates_the_route(void)
{
    check_plan(A, A "ingress_bind = ipc://@in\n", "route a: ingress_bind added: ipc://@in (re-created)\n");
}

static void
routes_start_and_stop_by_name(void)
{
    check_plan(A, B, "route a: removed\nroute b: added\n");
    check_plan("", A B, "route a: added\nroute b: added\n");
    check_plan(A B, "", "route a: removed\nroute b: removed\n");
}

static void
steps_come_in_the_order_in_which_endpoints_get_free(void)
{
    conf_t *old = load(A B "[route c]\ntype = pair\nfrontend_bind = ipc:///tmp/1\nbackend_bind = ipc:///tmp/2\n"
                           "[route z]\ntype = pair\nfrontend_bind = ipc:///tmp/3\nbackend_bind = ipc:///tmp/4\n");
    conf_t *new = load("[route 0]\ntype = pair\nfrontend_bind = ipc:///tmp/1\nbackend_bind = ipc:///tmp/2\n" A
                       "backend_max_clients = 5\n" B
                       "tos = 4\n[route z]\ntype = pair\nfrontend_bind = ipc:///tmp/3\nbackend_bind = ipc:///tmp/4\n");
    static const plan_action_t order[] = { PLAN_STOP, PLAN_REPLACE, PLAN_CHANGE, PLAN_START, PLAN_KEEP };
    plan_t *plan = plan_make(new, &old->settings, (const route_conf_t *const *)old->routes, old->route_count);
    CHECK(plan->count == 5);
    for (size_t i = 0; i < 5 && i < plan->count; i++)
        CHECK(plan->steps[i].action == order[i]);
    plan_destroy(&plan);
    conf_destroy(&old);
    conf_destroy(&new);
}

static void
keys_of_the_process_are_live_or_wait_for_a_restart(void)
{
    check_plan(HEAD A, "[zbroker]\nlog_level = debug\nio_threads = 4\nhttp = 127.0.0.1:9640\n" A,
               "log_level info -> debug (live)\nio_threads 1 -> 4 (needs a restart)\nhttp unset -> 127.0.0.1:9640 "
               "(needs a restart)\n");
}

static void
another_password_in_the_same_file_is_a_change(void)
{
    char path[] = "/tmp/zb-test-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    fprintf(file, "one\n");
    fflush(file);
    char *text = xasprintf("[route a]\ntype = queue\nfrontend_bind = tcp://127.0.0.1:1\nbackend_connect = "
                           "tcp://far:2\nbackend_security = plain\n"
                           "backend_plain_username = me\nbackend_plain_password_file = %s\n",
                           path);
    conf_t *old = load(text);
    rewind(file);
    fprintf(file, "two\n");
    fclose(file);
    conf_t *new = load(text);
    plan_t *plan = plan_make(new, &old->settings, (const route_conf_t *const *)old->routes, old->route_count);
    text_t out = { 0 };
    plan_print(plan, &out);
    CHECK_TEXT(out.data, "route a: backend_plain_password_file old content -> new content (re-created)\n");
    text_free(&out);
    plan_destroy(&plan);
    conf_destroy(&old);
    conf_destroy(&new);
    remove(path);
    free(text);
}

int
main(void)
{
    RUN(the_same_values_are_nothing_to_do);
    RUN(an_engine_re_creates_its_route);
    RUN(engine_wire_takes_limits_over_while_it_runs);
    RUN(a_word_that_comes_to_another_engine_re_creates_its_route);
    RUN(content_is_a_line_and_may_re_create_its_route);
    RUN(an_option_re_creates_its_route_only);
    RUN(endpoints_and_limits_change_live);
    RUN(another_acl_re_creates_its_route);
    RUN(a_live_change_goes_along_with_a_heavier_one);
    RUN(a_capture_comes_and_goes_live);
    RUN(an_ingress_re_creates_the_route);
    RUN(routes_start_and_stop_by_name);
    RUN(steps_come_in_the_order_in_which_endpoints_get_free);
    RUN(keys_of_the_process_are_live_or_wait_for_a_restart);
    RUN(another_password_in_the_same_file_is_a_change);
    return test_done();
}
