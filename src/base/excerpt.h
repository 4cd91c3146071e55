// SPDX-License-Identifier: MPL-2.0
// excerpt.h - problems as they read on a terminal: each with its line and a caret, and how many there are.

#ifndef ZB_EXCERPT_H
#define ZB_EXCERPT_H

#include "base/diag.h"

#include <stdio.h>

// All of DIAG. A line that DIAG keeps to itself, that is too long for a terminal, or whose file is no regular one
// any more is left out; its problem is not. Nothing where there is no problem.
void excerpt_print(diag_t *diag, FILE *out);

#endif
