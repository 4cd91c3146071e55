// SPDX-License-Identifier: MPL-2.0
// tapcommand.h - the words of the command `tap`, as a tapping_conf_t.

#ifndef ZB_TAPCOMMAND_H
#define ZB_TAPCOMMAND_H

#include "admin/answer.h"

void tapcommand_run(request_t *request);

#endif
