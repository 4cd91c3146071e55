// SPDX-License-Identifier: MPL-2.0
// status.h - the commands that show the process: how it is, the configuration that
// runs, and what a reload would make of it.

#ifndef ZB_STATUS_H
#define ZB_STATUS_H

#include "admin/reply.h"

void status_show(request_t *request);
void status_config(request_t *request);
void status_plan(request_t *request);

#endif
