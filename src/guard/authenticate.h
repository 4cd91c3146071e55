// SPDX-License-Identifier: MPL-2.0
// authenticate.h - one claim, one policy, one verdict: the rules of who comes in, without socket, thread or clock.

#ifndef ZB_AUTHENTICATE_H
#define ZB_AUTHENTICATE_H

#include "guard/policy.h"

typedef struct {
    admission_status_t status; // WAITS: a password must be checked first
    const char *reason;        // of a refusal: one word, for the log
    const policy_entry_t *entry; // NULL: no such side
    char address[256];         // as shown: "ipc" for a local peer
    char user[256];            // the User-Id: of whom it is, or claims to be
    char key[41];              // CURVE: the public key as Z85, else ""
    const char *hash;          // PLAIN: what the password must fit; NULL: there is no such user
} verdict_t;

void authenticate(verdict_t *self, const policy_t *policy, const admission_claim_t *claim);

// A connection of which only the ADDRESS is known yet: refused, or it may go on.
void authenticate_address(verdict_t *self, const policy_t *policy, const char *route, side_t side, const char *address);

#endif
