// SPDX-License-Identifier: MPL-2.0
// resolver.h - names of hosts to addresses, by getaddrinfo(3) in threads of its own:
// no route waits for a name server. One for the process; any thread may ask.
//
// A name is looked up once at a time, however many ask for it. At most 8 are at once;
// more wait for their turn. There is no time limit here: whoever asked stops waiting
// with lookup_drop, and may ask again, which waits for the same answer.

#ifndef ZB_RESOLVER_H
#define ZB_RESOLVER_H

#include "net/address.h"

typedef struct resolver resolver_t;
typedef struct lookup lookup_t;

resolver_t *resolver_new(void);
void resolver_free(resolver_t **self_p); // after the last lookup_drop; waits for no name server

// BELL (base/bell.h) is rung when the answer is there, and is not touched after lookup_drop.
lookup_t *lookup_new(resolver_t *resolver, const char *host, bool ipv6, int bell);
void lookup_drop(lookup_t **self_p);

// False: not yet. Else COUNT addresses, without a port, which the caller frees; or 0, and *REASON, which lives as long
// as SELF, says why.
bool lookup_take(lookup_t *self, address_t **addresses, size_t *count, const char **reason);

#endif
