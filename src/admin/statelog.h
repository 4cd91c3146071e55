// SPDX-License-Identifier: MPL-2.0
// statelog.h - the state and the counters of every route as lines of the log, for SIGUSR2.

#ifndef ZB_STATELOG_H
#define ZB_STATELOG_H

#include "broker/broker.h"

void statelog_write(broker_t *broker);

#endif
