// SPDX-License-Identifier: MPL-2.0
// show.h - the commands that show routes: as tables, or as JSON.

#ifndef ZB_SHOW_H
#define ZB_SHOW_H

#include "admin/reply.h"

void show_routes(request_t *request); // all, or the one that is named
void show_route(request_t *request);
void show_stats(request_t *request);
void show_clients(request_t *request);
void show_subscriptions(request_t *request);

#endif
