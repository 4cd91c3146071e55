// SPDX-License-Identifier: MPL-2.0
// check.h - from the raw sections to typed routes: every key is known, every
// value in range, every default filled in, and what cannot work together is
// told. Each fault is reported once, at the line that has to change.

#ifndef ZB_CHECK_H
#define ZB_CHECK_H

#include "conf/conf.h"
#include "conf/raw.h"

// Fill CONF from RAW. With an error in DIAG what is in CONF is fit to be
// destroyed, nothing else.
void check_all(conf_t *conf, const raw_t *raw, diag_t *diag);

#endif
