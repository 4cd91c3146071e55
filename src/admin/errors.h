// SPDX-License-Identifier: MPL-2.0
// errors.h - the command `show errors`: the latest warnings and errors of the log.

#ifndef ZB_ERRORS_H
#define ZB_ERRORS_H

#include "admin/reply.h"

void errors_show(request_t *request);

#endif
