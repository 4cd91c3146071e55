// SPDX-License-Identifier: MPL-2.0
// audit.h - a verdict counted and logged: contrib/fail2ban knows the line.

#ifndef ZB_AUDIT_H
#define ZB_AUDIT_H

#include "guard/authenticate.h"

void audit(const verdict_t *verdict, security_t mechanism); // in any thread

#endif
