// SPDX-License-Identifier: MPL-2.0
// files.h - the files of ipc binds, which a cleaner of /tmp removes while clients still connect by them.

#ifndef ZB_FILES_H
#define ZB_FILES_H

#include "broker/broker.h"

// FOUND is told of each endpoint of ROUTE whose file has gone while it should accept.
void files_missing(const broker_route_t *route, void (*found)(side_t side, const char *endpoint, void *arg), void *arg);

// Call once a second: what has gone since the last time is logged.
void files_tick(broker_t *broker);

#endif
