// SPDX-License-Identifier: MPL-2.0
// events.h - the last lines of the log, kept for the status page and `show errors`:
// what happened lately. Fed by the log's observer from any thread; read by the main
// thread.

#ifndef ZB_EVENTS_H
#define ZB_EVENTS_H

#include "base/json.h"
#include "base/log.h"
#include "conf/conf.h"

#include <stddef.h>
#include <stdint.h>

typedef struct {
    int64_t wall_ns;
    log_level_t level;
    char route[ROUTE_NAME_MAX + 1]; // "": it is about none
    char text[240];                 // the words, cut there
} event_t;

// Begin to collect. May be called again.
void events_start(void);

// The last events about ROUTE (NULL: all), the newest first: how many were written to AT.
size_t events_of(const char *route, event_t *at, size_t room);

// Likewise, those of LEVEL or worse.
size_t events_of_level(log_level_t level, event_t *at, size_t room);

// An array under KEY.
void events_write(json_t *json, const char *key, const event_t *events, size_t count);

#endif
