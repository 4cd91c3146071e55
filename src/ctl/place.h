// SPDX-License-Identifier: MPL-2.0
// place.h - where the control socket is.

#ifndef ZB_CTL_PLACE_H
#define ZB_CTL_PLACE_H

#include "base/text.h"
#include "ctl/exits.h"

#define PLACE_FILE ZB_SYSCONFDIR "/zbroker.ini"
#define PLACE_SOCKET ZB_RUNSTATEDIR "/zbroker/control.sock"

// SOCKET if that is given, else what FILE says, else what the usual file says, else the usual place, into *PATH, which
// the caller frees; or why not, into REASON.
exit_t place_find(const char *socket, const char *file, char **path, text_t *reason);

#endif
