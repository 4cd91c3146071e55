// SPDX-License-Identifier: MPL-2.0
// clientlist.h - the table of clients, the largest backlog first.

#ifndef ZB_CTL_CLIENTLIST_H
#define ZB_CTL_CLIENTLIST_H

#include "ctl/view.h"

void clientlist_draw(const view_t *view);

// The table of a list of CLIENTS, at most MAX of them (0: all).
void clientlist_print(sheet_t *sheet, const document_value_t *clients, bool with_route, bool slow, size_t max);

#endif
