// SPDX-License-Identifier: MPL-2.0
// top.h - the figures of the routes, again and again, on a terminal in place.

#ifndef ZB_CTL_TOP_H
#define ZB_CTL_TOP_H

#include "ctl/connection.h"
#include "ctl/sheet.h"

// Ask LINE every SECONDS, until a key, a signal or the end of the daemon.
exit_t top_run(connection_t *connection, sheet_t *sheet, const char *line, double seconds);

#endif
