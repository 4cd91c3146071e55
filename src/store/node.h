// SPDX-License-Identifier: MPL-2.0
// node.h - the name by which the messages of one store are told from those of others:
// random, and kept in its folder.

#ifndef ZB_STORE_NODE_H
#define ZB_STORE_NODE_H

#include "base/diag.h"

#include <stdbool.h>

enum { NODE_DIGITS = 32 };

// That of the store in FOLDER, made if it has none. 0, or -1 with DIAG.
int node_of(const char *folder, char node[NODE_DIGITS + 1], diag_t *diag, place_t place);

// Does a message with this id, "NODE-SEQUENCE", come from such a store? No other message ever has it.
bool node_gave_id(const char *id);

#endif
