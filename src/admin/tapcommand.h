// SPDX-License-Identifier: MPL-2.0
// tapcommand.h - the words of the command `tap`, as a tap_request_t.

#ifndef ZB_TAPCOMMAND_H
#define ZB_TAPCOMMAND_H

#include "admin/reply.h"

void tapcommand_run(request_t *request);

#endif
