// SPDX-License-Identifier: MPL-2.0
// detail.h - one route, key by key, in sections. It shows what the daemon's
// answer has, under the names that it has there: what a later daemon adds is
// shown, too.

#ifndef ZB_CTL_DETAIL_H
#define ZB_CTL_DETAIL_H

#include "ctl/view.h"

void detail_figures(const view_t *view);
void detail_everything(const view_t *view);

// Lines about what was said when, which was how bad: TIME LEVEL TEXT, folded.
void detail_events(sheet_t *sheet, const value_t *events);

// What of a section's OPTIONS is not the default, as an INI file has it.
void detail_options(sheet_t *sheet, const value_t *options, const char *indent);

#endif
