// SPDX-License-Identifier: MPL-2.0
// test_page.c - the files of the page, and the table that the daemon writes for
// readers without JavaScript, with a broker that has no sockets.

#include "admin/page.h"
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
    for (size_t i = 0; i < COUNT(expected); i++) {
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
test_the_plain_table_has_the_numbers_of_each_route(void)
{
    broker_t *broker = fake_broker_new(ROUTE("one") ROUTE("two"));
    fake_route_t *route = &broker->routes[0];
    counter_set(&route->counters.sides[SIDE_FRONTEND].messages_received, 1234567);
    counter_set(&route->cleared.sides[SIDE_FRONTEND].messages_received, 1);
    counter_set(&route->counters.dropped[DROP_HWM], 30);
    counter_set(&route->counters.dropped[DROP_ACL], 12);
    route->rate_in = 98.5;
    broker->routes[1].state = ROUTE_PAUSED;
    write_page(broker);
    CHECK(times("<tr data-route=") == 2 && times("<!--ROWS-->") == 0);
    CHECK(shows("<tr data-route=\"one\"><th scope=\"row\" data-field=\"name\">one</th><td data-field=\"type\">streamer</td>"));
    CHECK(shows("data-in=\"frontend\" data-field=\"messages_received\" value=\"1234566\">1234566</data>"));
    CHECK(shows("data-in=\"rates\" data-field=\"in_1s\" value=\"98.5\">98.5</data>"));
    CHECK(shows("data-in=\"\" data-field=\"dropped\" value=\"42\">42</data>"));
    CHECK(shows("<td data-field=\"state\">paused</td>") && shows("<td>paused: nothing is read or sent</td>"));
    const char *noscript = strstr(page.data, "<noscript>\n"), *row = strstr(page.data, "<tr data-route"), *end = row ? strstr(row, "</noscript>") : NULL;
    CHECK(noscript && noscript < row && end && strstr(end, "<template id=\"row-template\">"));
    fake_broker_destroy(&broker);
}

static void
test_what_comes_from_outside_stays_text(void)
{
    broker_t *broker = fake_broker_new(ROUTE("one"));
    snprintf(broker->conf->routes[0]->name, sizeof broker->conf->routes[0]->name, "<b>x</b>\"' &amp;<!--ROWS-->\x01\xff");
    broker->routes[0].state = ROUTE_FAILED;
    broker->routes[0].failure = "<script>alert(1)</script>";
    write_page(broker);
    CHECK(times("<b>") == 0 && times("<script>") == 0 && times("\x01") == 0 && times("\xff") == 0);
    CHECK(times("&lt;b&gt;x&lt;/b&gt;&quot;&#39; &amp;amp;&lt;!--ROWS--&gt;\\x01\\xff") == 2); // the attribute and the text
    CHECK(shows("<td>failed: &lt;script&gt;alert(1)&lt;/script&gt;</td>"));
    fake_broker_destroy(&broker);
}

int
main(void)
{
    RUN(test_each_file_is_found_with_its_type);
    RUN(test_the_plain_table_has_the_numbers_of_each_route);
    RUN(test_what_comes_from_outside_stays_text);
    text_free(&page);
    return test_done();
}
