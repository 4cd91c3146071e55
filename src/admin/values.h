// SPDX-License-Identifier: MPL-2.0
// values.h - the commands about what a forwarder remembers.

#ifndef ZB_ADMIN_VALUES_H
#define ZB_ADMIN_VALUES_H

#include "admin/reply.h"

void show_values(request_t *request);
void act_clear_values(request_t *request);

#endif
