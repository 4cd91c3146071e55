// SPDX-License-Identifier: MPL-2.0
// asked.h - the guard, asked directly (flow/admission.h) by routes that have connections
// of their own. It judges with the same function as the handler that answers libzmq
// (authenticate.h), and says and counts the same.

#ifndef ZB_ASKED_H
#define ZB_ASKED_H

#include "flow/admission.h"
#include "guard/current.h"
#include "guard/passwords.h"

typedef struct asked_guard asked_guard_t;

asked_guard_t *asked_new(current_t *current, passwords_t *passwords); // both are borrowed
const admission_t *asked_admission(const asked_guard_t *self);        // its own, as long as it lives
void asked_free(asked_guard_t **self_p);                              // when VERIFY has ended, and nobody asks any more

#endif
