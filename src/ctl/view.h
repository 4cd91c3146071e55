// SPDX-License-Identifier: MPL-2.0
// view.h - what there is to draw for people, of a command whose answer is not passed on.

#ifndef ZB_CTL_VIEW_H
#define ZB_CTL_VIEW_H

#include "base/document.h"
#include "ctl/sheet.h"

#include <stdbool.h>

enum { VIEW_ANSWERS = 2 };

typedef struct {
    sheet_t *sheet;
    const document_value_t *answers[VIEW_ANSWERS];
    bool of_one; // route, which was named
    bool slow;   // only clients with a backlog
} view_t;

#endif
