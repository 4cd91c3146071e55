// SPDX-License-Identifier: MPL-2.0
// view.h - the commands whose answer is drawn for people instead of passed on:
// what each asks the daemon, and which function draws the answer.

#ifndef ZB_CTL_VIEW_H
#define ZB_CTL_VIEW_H

#include "base/document.h"
#include "ctl/sheet.h"

#include <stdbool.h>
#include <stddef.h>

enum { VIEW_ANSWERS = 2 };

// What there is to draw.
typedef struct {
    sheet_t *sheet;
    const document_value_t *answers[VIEW_ANSWERS];
    bool of_one; // route, which was named
    bool slow;   // only clients with a backlog
} view_t;

typedef struct {
    const char *command;
    int arguments;                  // this many; -1: any
    bool changed;                   // only with --changed
    const char *asks[VIEW_ANSWERS]; // the first one gets the arguments
    void (*draw)(const view_t *view);
} view_row_t;

// NULL: the answer is passed on.
const view_row_t *view_find(const char *command, size_t arguments, bool changed);

#endif
