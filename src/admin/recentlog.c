// SPDX-License-Identifier: MPL-2.0
#include "admin/recentlog.h"

#include "admin/listing.h"
#include "admin/reply.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EVENTS_MAX = 1024, ERRORS_SHOWN = 100 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static logged_t ring[EVENTS_MAX];
static size_t written;

// The words, and how often they came.
static void
keep_words(logged_t *event, const char *text)
{
    const char *tail = event_tail(text), *repeated = strstr(text, " (repeated ");
    size_t size = tail ? (size_t)(tail - text) : strlen(text);
    bool again = tail && repeated > tail;
    snprintf(event->text, sizeof event->text, "%.*s%s", (int)size, text, again ? repeated : "");
}

static void
keep_route(logged_t *event, const char *text)
{
    size_t size = 0;
    const char *route = event_value(text, "route", &size);
    snprintf(event->route, sizeof event->route, "%.*s", (int)size, route ? route : "");
}

static void
observe(log_level_t level, const char *text, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    logged_t *event = &ring[written++ % EVENTS_MAX];
    event->wall_ns = clock_wall_ns();
    event->level = level;
    keep_words(event, text);
    keep_route(event, text);
    pthread_mutex_unlock(&mutex);
}

void
recentlog_start(void)
{
    log_observe(observe, NULL);
}

// The newest first: those about ROUTE (NULL: all), of LEVEL or worse.
static size_t
pick(const char *route, log_level_t level, logged_t *at, size_t room)
{
    size_t count = 0;
    pthread_mutex_lock(&mutex);
    size_t oldest = written > EVENTS_MAX ? written - EVENTS_MAX : 0;
    for (size_t i = written; i > oldest && count < room; i--) {
        const logged_t *event = &ring[(i - 1) % EVENTS_MAX];
        if (event->level <= level && (!route || strcmp(event->route, route) == 0))
            at[count++] = *event;
    }
    pthread_mutex_unlock(&mutex);
    return count;
}

size_t
recentlog_of(const char *route, logged_t *at, size_t room)
{
    return pick(route, LOG_LEVEL_TRACE, at, room);
}

size_t
recentlog_of_level(log_level_t level, logged_t *at, size_t room)
{
    return pick(NULL, level, at, room);
}

// --- shown ---------------------------------------------------------------------------

static const listing_field_t fields[] = {
    { "time", "TIME", 0 },
    { "level", "LEVEL", 0 },
    { "route", NULL, 0 },
    { "text", "TEXT", 0 },
};

static void
list_events(listing_t *list, const logged_t *events, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        listing_time(list, events[i].wall_ns);
        listing_text(list, log_level_name(events[i].level));
        listing_text(list, *events[i].route ? events[i].route : NULL);
        listing_text(list, events[i].text);
    }
}

void
recentlog_write(json_t *json, const char *key, const logged_t *events, size_t count)
{
    listing_t list = listing_into(json, fields, COUNT(fields));
    json_array(json, key);
    list_events(&list, events, count);
    json_array_end(json);
}

void
errors_show(request_t *request)
{
    listing_t list;
    logged_t *events = xcalloc(ERRORS_SHOWN, sizeof *events);
    size_t count = recentlog_of_level(LOG_LEVEL_WARNING, events, ERRORS_SHOWN);
    listing_open(&list, request->out, request->json, "errors", fields, COUNT(fields));
    list_events(&list, events, count);
    listing_close(&list);
    free(events);
}
