// SPDX-License-Identifier: MPL-2.0
// origin.h - whom a limit counts a peer with, as a number: all of one IPv4 address, of the /64 of an IPv6 address,
// which is one customer's, or of the user of an ipc peer. Nobody outside can choose whose numbers are alike.

#ifndef ZB_ORIGIN_H
#define ZB_ORIGIN_H

#include <stdint.h>

uint64_t origin_of_peer(int fd); // at the other end of a connection

// By what is known of it, "192.0.2.7", "2001:db8::7". What is no address, as "" for ipc, all counts as one.
uint64_t origin_of_host(const char *host);

#endif
