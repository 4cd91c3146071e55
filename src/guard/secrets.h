// SPDX-License-Identifier: MPL-2.0
// secrets.h - the keys and passwords of one side, read with its policy, in memory of
// libsodium's: not dumped, not swapped, between guard pages, wiped when freed.

#ifndef ZB_SECRETS_H
#define ZB_SECRETS_H

#include "flow/admission.h"

// What SIDE, which others come to (SERVER) or which goes to others, needs. NULL: nothing, or it cannot be read, as the
// policy's own check has said.
const admission_secrets_t *secrets_load(const side_conf_t *side, bool server);

// Held once more, in any thread; the last secrets_free wipes and frees them.
const admission_secrets_t *secrets_share(const admission_secrets_t *self);
void secrets_free(const admission_secrets_t **self_p);

#endif
