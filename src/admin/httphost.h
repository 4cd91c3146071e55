// SPDX-License-Identifier: MPL-2.0
// httphost.h - is a request meant for us? An attacker's name can be made to resolve to
// our address (DNS rebinding), an address cannot: addresses are accepted, and of names
// only those that are ours.

#ifndef ZB_HTTPHOST_H
#define ZB_HTTPHOST_H

#include <stdbool.h>

// HEADER is the value of `Host`, with or without a port. Ours are addresses, localhost, CONFIGURED and MACHINE.
bool httphost_is_ours(const char *header, const char *configured, const char *machine);

#endif
