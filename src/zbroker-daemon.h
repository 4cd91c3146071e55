// SPDX-License-Identifier: MPL-2.0
// zbroker-daemon.h - the daemon from start to end: which parts there are, in which
// order they come and go, and the main loop between.

#ifndef ZB_ZBROKER_DAEMON_H
#define ZB_ZBROKER_DAEMON_H

#include "base/diag.h"
#include "base/record.h"
#include "conf/conf.h"
#include "guard/policy.h"
#include "zbroker-options.h"

// Returns when it has been stopped: an exit code, with the reasons in DIAG unless it is EXIT_OK. Takes CONF and POLICY,
// which is what the guard has read of it. BEFORE is what the program before has left, empty: there was none.
int daemon_run(const options_t *options, conf_t **conf_p, policy_t **policy_p, record_t *before, diag_t *diag);

#endif
