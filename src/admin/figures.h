// SPDX-License-Identifier: MPL-2.0
// figures.h - numbers as people read them on the page; app.js writes them alike.
// Each appends to OUT, which may then hold HTML.

#ifndef ZB_FIGURES_H
#define ZB_FIGURES_H

#include "base/text.h"

void figures_count(text_t *out, double value);    // 1 234 567: the groups are set apart by style, and copy as one number
void figures_rate(text_t *out, double value);     // a count, small ones to a tenth
void figures_bytes(text_t *out, double value);    // 1.5 MiB
void figures_share(text_t *out, double value);    // of 0..1, in per cent
void figures_seconds(text_t *out, double value);  // 1.5 s
void figures_duration(text_t *out, double value); // 3 d 4 h: the two greatest units

#endif
