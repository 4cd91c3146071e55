// SPDX-License-Identifier: MPL-2.0
// process.h - the section [zbroker]: keys of the process, typed and with defaults.

#ifndef ZB_PROCESS_H
#define ZB_PROCESS_H

#include "conf/conf.h"
#include "conf/raw.h"

// Where the control socket is unless FILE says so: in $RUNTIME_DIRECTORY; without it in the folder of the service's
// instance whose file it is, zbroker@NAME's for SYSCONFDIR/zbroker/NAME.ini, else of the service. The caller frees it.
char *process_control(const char *file);
char *process_store(const char *file, const char *route); // the folder of a route's store


// Is it a file that the service reads, or one of its instances?
bool process_is_of_service(const char *file);

void process_load(conf_t *conf, const raw_section_t *section, diag_t *diag);

#endif
