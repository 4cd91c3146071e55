// SPDX-License-Identifier: MPL-2.0
// detail.h - one route, key by key, in sections. Keys and sections are those of
// the daemon's answer, so that a key of a later daemon is shown, too.

#ifndef ZB_CTL_DETAIL_H
#define ZB_CTL_DETAIL_H

#include "ctl/view.h"

void detail_figures(const view_t *view);
void detail_everything(const view_t *view);

// A table of TIME, LEVEL and TEXT.
void detail_events(sheet_t *sheet, const document_value_t *events);

// Those of a section's OPTIONS that are not the default, as an INI file has them.
void detail_options(sheet_t *sheet, const document_value_t *options, const char *indent);

#endif
