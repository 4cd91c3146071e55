// SPDX-License-Identifier: MPL-2.0
// accept.h - the last wall before the descriptors run out.
//
// libzmq aborts when accept(2) says EMFILE to an ipc listener, and spins when
// it says so to a tcp one. Closing the listeners at a limit (watch.h) is polite
// but takes a moment, in which whoever is in the kernel's queue still comes in.
// So the executable has its own accept4(2): whoever gets a descriptor from the
// reserve is sent away at once, and comes again later.
//
// A client whose address is denied (flow/entrance.h) is disconnected here too.
//
// Linked into the executable only, for its definition goes before the C library's.

#ifndef ZB_ACCEPT_H
#define ZB_ACCEPT_H

// Threads other than the first may have descriptors below MOST only; the rest
// is for control and HTTP, which are served by the first. Until the call there is no limit.
void accept_limit(int most);

#endif
