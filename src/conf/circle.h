// SPDX-License-Identifier: MPL-2.0
// circle.h - routes that feed themselves: one connects to a bind of its own, or of another route that it feeds in turn.

#ifndef ZB_CIRCLE_H
#define ZB_CIRCLE_H

#include "conf/conf.h"

// A warning at each connect that is part of a circle. What connects through other hosts nobody sees from here.
void circle_check(const conf_t *conf, diag_t *diag);

#endif
