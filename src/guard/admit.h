// SPDX-License-Identifier: MPL-2.0
// admit.h - one request, one policy, one verdict: the rules of who comes in, without socket, thread or clock.

#ifndef ZB_ADMIT_H
#define ZB_ADMIT_H

#include "guard/policy.h"
#include "guard/zap.h"

#include <sys/types.h>

typedef struct {
    int status;         // ZAP_WELCOME, …; 0: a password must be checked first
    const char *reason; // of a refusal: one word, for the log
    const entry_t *entry; // NULL: no such side
    char address[256];  // as shown: an IPv4 address as such, "ipc" for a local peer
    ino_t inode;        // of its connection, 0: not known
    char user[256];     // the User-Id: of whom it is, or claims to be
    char key[41];       // CURVE: the public key as Z85, else ""
    const char *hash;   // PLAIN: what the password must fit; NULL: there is no such user
} verdict_t;

void admit(verdict_t *self, const policy_t *policy, const zap_request_t *request);

// A connection of which only the ADDRESS is known yet: refused, or it may go on. A GUARDED side
// that the policy does not know any more refuses every address.
void admit_address(verdict_t *self, const policy_t *policy, const char *route, side_t side, bool guarded, const char *address);

#endif
