// SPDX-License-Identifier: MPL-2.0
// engine.h - which engine moves a route's messages: what the file says, and what
// that comes to.

#ifndef ZB_CONF_ENGINE_H
#define ZB_CONF_ENGINE_H

#include "conf/assigned.h"

const char *engine_name(engine_t engine); // as in the file: "wire", …

// What `engine = auto` takes where engine wire can do all that the route asks for.
engine_t engine_auto(void);

// Resolve the route's engine. Its socket types and endpoints must be known. What
// the route asks for and `engine = wire` cannot do goes to SELF's diag.
void engine_resolve(const check_t *self);

// Is there something that engine wire cannot do? With TELL all of it goes to SELF's diag.
bool engine_wire_refuses(const check_t *self, bool tell);

#endif
