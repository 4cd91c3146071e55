// SPDX-License-Identifier: MPL-2.0
// shield.h - what protects libzmq from the network. Two of its faults end or stop the
// process, and any client can cause them. So the executable has its own accept4(2),
// epoll_ctl(2) and epoll_wait(2), which go before the C library's. Linked into the
// executable only.
//
//   shield_accept.c  libzmq aborts when accept(2) says EMFILE to an ipc listener, and spins
//                    when it says so to a tcp one. The limit of clients (watch.h) takes a
//                    moment, in which the kernel's queue is still accepted. A client that
//                    would get a descriptor of the reserve is disconnected at once, and
//                    comes again later; so is one whose address is denied (entrance.h).
//   shield_hangup.c  libzmq aborts when a peer breaks off while its messages are held back.
//
// The first thread, which serves control and HTTP, is spared: it has the reserve, and hears
// what the kernel says.

#ifndef ZB_SHIELD_H
#define ZB_SHIELD_H

#include <stdbool.h>

// Threads other than the first may accept on descriptors below MOST only. Until the call there is no limit.
void shield_limit(int most);

bool shield_spares_this_thread(void);

#endif
