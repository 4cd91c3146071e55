// SPDX-License-Identifier: MPL-2.0
// test_page.c - the page that the daemon writes for readers without JavaScript,
// with a broker that has no sockets.

#include "admin/page.h"
#include "base/clock.h"
#include "base/mem.h"
#include "fake_broker.h"
#include "test.h"

#define ROUTE(name) "[route " name "]\ntype = streamer\nfrontend_bind = ipc:///tmp/" name "-in\nbackend_bind = ipc:///tmp/" name "-out\n"

static text_t page;

static void
write_page(broker_t *broker)
{
    text_clear(&page);
    page_write(broker, &page);
}

static size_t
times(const char *part)
{
    size_t count = 0;
    for (const char *at = page.data; (at = strstr(at, part)); at++)
        count++;
    return count;
}

static bool
shows(const char *part)
{
    if (!times(part))
        printf("# no \"%s\" in the page\n", part);
    return times(part) > 0;
}

static void
test_each_file_is_found_with_its_type(void)
{
    static const char *const expected[][2] = {
        { "/", "text/html; charset=utf-8" },       { "/app.js", "text/javascript; charset=utf-8" },
        { "/app.css", "text/css; charset=utf-8" }, { "/favicon.svg", "image/svg+xml" },
        { "/uPlot.LICENSE", "text/plain; charset=utf-8" }, { "/uPlot.iife.min.js", "text/javascript; charset=utf-8" },
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        const page_asset_t *asset = page_find(expected[i][0]);
        CHECK(asset && asset->size > 100);
        CHECK_TEXT(asset ? asset->content_type : NULL, expected[i][1]);
        CHECK(asset && asset->bytes[asset->size] == 0 && strlen((const char *)asset->bytes) == asset->size);
    }
    CHECK(!page_find("/index.html"));
    CHECK(!page_find("/../page.c"));
    CHECK(!page_find(""));
}

static void
test_every_placeholder_is_filled_but_those_of_the_template(void)
{
    broker_t *broker = fake_broker_new(ROUTE("one") ROUTE("two"));
    write_page(broker);
    CHECK(times("<tr role=\"row\" class=\"route\"") == 3); // two and the template
    char *template = strstr(page.data, "<template");
    CHECK(template && strstr(template, "{{name}}"));
    if (template)
        *template = '\0';
    CHECK(times("<tr role=\"row\" class=\"route\"") == 2);
    CHECK(times("{{") == 0 && times("<!--ROWS-->") == 0);
    CHECK(shows("data-route=\"one\"") && shows("data-route=\"two\""));
    CHECK(shows("All 2 routes running"));
    CHECK(shows("<code>ipc:///tmp/one-in</code>"));
    fake_broker_destroy(&broker);
}

static void
test_numbers_look_as_the_browser_writes_them(void)
{
    broker_t *broker = fake_broker_new(ROUTE("one"));
    fake_route_t *route = &broker->routes[0];
    counter_set(&route->counters.sides[SIDE_FRONTEND].messages_received, 1234567);
    counter_set(&route->cleared.sides[SIDE_FRONTEND].messages_received, 1);
    counter_set(&route->counters.sides[SIDE_BACKEND].messages_sent, 1234);
    counter_set(&route->counters.dropped[DROP_HWM], 30);
    counter_set(&route->counters.dropped[DROP_ACL], 12);
    route->rate_in = 98.5;
    route->rate_out = 100.4;
    route->blocked_share = 0.25;
    route->history[0] = 10;
    route->history[2] = 20;
    write_page(broker);
    CHECK(shows("data-field=\"messages_received\" data-format=\"count\" value=\"1234566\">1<span>234</span><span>566</span></data>"));
    CHECK(shows("data-field=\"messages_sent\" data-format=\"count\" value=\"1234\">1234</data>"));
    CHECK(shows("value=\"98.5\">98.5</data>"));
    CHECK(shows("value=\"100.4\">100</data>"));
    CHECK(shows("value=\"42\">42</data>"));
    CHECK(shows("value=\"0.25\">25.0 %</data>"));
    CHECK(shows("d=\"M115.9 16.5L118.0 31.0L120.0 2.0\""));
    CHECK(shows("at most 20"));
    fake_broker_destroy(&broker);
}

static void
test_what_comes_from_outside_stays_text(void)
{
    broker_t *broker = fake_broker_new(ROUTE("one"));
    snprintf(broker->conf->routes[0]->name, sizeof broker->conf->routes[0]->name, "<b>x</b>\"' &amp;{{name}}\x01\xff");
    broker->routes[0].state = ROUTE_FAILED;
    broker->routes[0].failure = "<script>alert(1)</script>";
    free(broker->conf->file);
    broker->conf->file = xstrdup("<img src=x>.ini");
    write_page(broker);
    CHECK(times("<b>") == 0 && times("<img src=x>") == 0 && times("<script>") == 0 && times("\x01") == 0 && times("\xff") == 0);
    CHECK(times("&lt;b&gt;x&lt;/b&gt;&quot;&#39; &amp;amp;{{name}}\\x01\\xff") == 2); // the attribute and the text
    CHECK(shows("failed: &lt;script&gt;alert(1)&lt;/script&gt;"));
    CHECK(shows("&lt;img src=x&gt;.ini"));
    CHECK(shows("<p id=\"summary\" class=\"summary error\">The route needs action</p>"));
    fake_broker_destroy(&broker);
}

static void
test_it_says_what_is_wrong_with_the_process(void)
{
    broker_t *broker = fake_broker_new(ROUTE("one") ROUTE("two"));
    broker->routes[1].state = ROUTE_PAUSED;
    broker->status.reload_ok = false;
    write_page(broker);
    CHECK(shows("1 of 2 routes running"));
    CHECK(shows("<dd id=\"reload\" class=\"error\">failed; the one of 0 s ago is in force</dd>"));
    broker->status.stopping = true;
    write_page(broker);
    CHECK(shows("The daemon is stopping"));
    fake_broker_destroy(&broker);
}

static void
test_without_routes_it_says_so(void)
{
    broker_t *broker = fake_broker_new("[zbroker]\n");
    write_page(broker);
    CHECK(shows("No routes are configured: add a [route NAME] section and reload."));
    fake_broker_destroy(&broker);
}

int
main(void)
{
    RUN(test_each_file_is_found_with_its_type);
    RUN(test_every_placeholder_is_filled_but_those_of_the_template);
    RUN(test_numbers_look_as_the_browser_writes_them);
    RUN(test_what_comes_from_outside_stays_text);
    RUN(test_it_says_what_is_wrong_with_the_process);
    RUN(test_without_routes_it_says_so);
    text_free(&page);
    return test_done();
}
