// SPDX-License-Identifier: MPL-2.0
// least.h - a streamer whose next message goes to the worker with the least waiting for
// it: in its queue, and in the kernel, which is asked at most once a millisecond and a
// few workers at a time. Between that, what is given is counted. What a worker's own
// system and socket have taken is not known.

#ifndef ZB_WIRE_LEAST_H
#define ZB_WIRE_LEAST_H

#include "wire/internal.h"

// What its key makes of the port, of whichever side: also of those who are connected.
void least_configure(wport_t *port);

#endif
