// SPDX-License-Identifier: MPL-2.0
// bell.h - one thread rings, another one's poll(2) hears: an eventfd(2).

#ifndef ZB_BELL_H
#define ZB_BELL_H

int bell_new(void); // a descriptor, readable once it was rung; -1 with errno
void bell_ring(int bell);
void bell_hear(int bell); // it is not readable any more, however often it was rung

#endif
