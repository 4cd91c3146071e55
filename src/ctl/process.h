// SPDX-License-Identifier: MPL-2.0
// process.h - what is shown of the daemon as a whole: that it answers, its
// version, what went wrong lately, what its configuration sets.

#ifndef ZB_CTL_PROCESS_H
#define ZB_CTL_PROCESS_H

#include "ctl/view.h"

void process_ping(const view_t *view);
void process_version(const view_t *view);
void process_errors(const view_t *view);
void process_changed(const view_t *view);

#endif
