// SPDX-License-Identifier: MPL-2.0
// recentlog.h - the last lines of the log, kept for the status page and `show errors`
// (which is in recentlog.c, too): what happened lately. Fed by the log's observer from any thread; read by the main
// thread.

#ifndef ZB_RECENTLOG_H
#define ZB_RECENTLOG_H

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
} logged_t;

// Begin to collect. May be called again.
void recentlog_start(void);

// The last events about ROUTE (NULL: all), the newest first: how many were written to AT.
size_t recentlog_of(const char *route, logged_t *at, size_t room);

// Likewise, those of LEVEL or worse.
size_t recentlog_of_level(log_level_t level, logged_t *at, size_t room);

// An array under KEY.
void recentlog_write(json_t *json, const char *key, const logged_t *events, size_t count);

#endif
