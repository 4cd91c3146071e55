// SPDX-License-Identifier: MPL-2.0
// routelist.h - tables with a row for each route: its figures, its endpoints.

#ifndef ZB_CTL_ROUTELIST_H
#define ZB_CTL_ROUTELIST_H

#include "ctl/view.h"

void routelist_figures(const view_t *view);
void routelist_endpoints(const view_t *view);

// --- for top ---

// A column of figures: its heading, the key that sorts by it. NULL heading: past the end.
const char *routelist_heading(size_t column, char *key);
double routelist_figure(const document_value_t *route, size_t column);

// The table of ROUTES, below a row that sums them up if there are several.
void routelist_print(sheet_t *sheet, const document_value_t *const *routes, size_t count);

// "running", or what is to be said before: "blocked". And how bad that is.
const char *routelist_state(const document_value_t *route);
tone_t routelist_tone(const document_value_t *route);

#endif
