// SPDX-License-Identifier: MPL-2.0
// tapcommand.h - the words of the command `tap`, as a tapping_conf_t.

#ifndef ZB_TAPCOMMAND_H
#define ZB_TAPCOMMAND_H

#include "admin/answer.h"

#define TAP_ARGUMENTS "ROUTE [topic PREFIX] [count N] [format line|hex|json]"

void tapcommand_run(request_t *request);

#endif
