// SPDX-License-Identifier: MPL-2.0
// process.h - the section [zbroker]: keys of the process, typed and with defaults.

#ifndef ZB_PROCESS_H
#define ZB_PROCESS_H

#include "conf/conf.h"
#include "conf/raw.h"

void process_load(conf_t *conf, const raw_section_t *section, diag_t *diag);

#endif
