// SPDX-License-Identifier: MPL-2.0
// process.h - views of the daemon as a whole: ping, version, errors, and the
// configuration where it is not the default.

#ifndef ZB_CTL_PROCESS_H
#define ZB_CTL_PROCESS_H

#include "ctl/view.h"

void process_ping(const view_t *view);
void process_version(const view_t *view);
void process_errors(const view_t *view);
void process_changed(const view_t *view);

#endif
