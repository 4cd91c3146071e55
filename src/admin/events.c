// SPDX-License-Identifier: MPL-2.0
// events.c - see events.h.

#include "admin/events.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { EVENTS_MAX = 1024 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static event_t ring[EVENTS_MAX];
static size_t written;

static void
observe(log_level_t level, const char *text, void *arg)
{
    (void)arg;
    pthread_mutex_lock(&mutex);
    event_t *event = &ring[written++ % EVENTS_MAX];
    event->wall_ns = clock_wall_ns();
    event->level = level;
    snprintf(event->text, sizeof event->text, "%s", text);
    pthread_mutex_unlock(&mutex);
}

void
events_start(void)
{
    log_observe(observe, NULL);
}

static bool
is_about(const event_t *event, const char *route)
{
    static const char subject[] = "route ";
    size_t length = strlen(route);
    return strncmp(event->text, subject, strlen(subject)) == 0 &&
           strncmp(event->text + strlen(subject), route, length) == 0 && event->text[strlen(subject) + length] == ':';
}

size_t
events_of(const char *route, event_t *at, size_t room)
{
    size_t count = 0;
    pthread_mutex_lock(&mutex);
    size_t oldest = written > EVENTS_MAX ? written - EVENTS_MAX : 0;
    for (size_t i = written; i > oldest && count < room; i--) {
        const event_t *event = &ring[(i - 1) % EVENTS_MAX];
        if (!route || is_about(event, route))
            at[count++] = *event;
    }
    pthread_mutex_unlock(&mutex);
    return count;
}
