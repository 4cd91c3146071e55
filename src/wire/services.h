// SPDX-License-Identifier: MPL-2.0
// services.h - the backend of a queue that knows its services: which of them gets the
// next request, how many each may have unanswered, and what becomes of a request whose
// service does not answer. A socket type like others; a queue without such keys has the
// plain one (spread.h), and nothing of this.
//
// A request that nobody may take now waits where it came in, at its client. One that was
// given to a service and is to be given again waits here, before all others.

#ifndef ZB_WIRE_SERVICES_H
#define ZB_WIRE_SERVICES_H

#include "wire/internal.h"

// What its keys make of the port, of whichever side: also of those who are connected.
void services_configure(wport_t *port);

// What a route before this one knew: also where the keys are gone. Of the socket type's record, and of the plain one's.
void services_restore(wport_t *port, record_fields_t from);

void services_each(route_t *self, client_service_fn_t *fn, void *arg); // of the engine's record

#endif
