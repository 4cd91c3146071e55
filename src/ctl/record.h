// SPDX-License-Identifier: MPL-2.0
// record.h - the messages of a route into a file as they pass: what `tap' shows as
// JSON, written by us and not by the daemon. zbroker-bench plays it back.

#ifndef ZB_CTL_RECORD_H
#define ZB_CTL_RECORD_H

#include "ctl/arguments.h"
#include "ctl/connection.h"

// Until an interrupt that is counted, or as long as ARGUMENTS say.
exit_t record_run(connection_t *connection, const arguments_t *arguments);

#endif
