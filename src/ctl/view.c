// SPDX-License-Identifier: MPL-2.0
// view.c - see view.h.

#include "ctl/view.h"

#include "base/mem.h"
#include "ctl/clientlist.h"
#include "ctl/detail.h"
#include "ctl/process.h"
#include "ctl/routelist.h"

#include <string.h>

// clang-format off
static const view_row_t rows[] = {
    // command        arguments, changed, asks                        draw
    { "show routes",  -1, false, { "show routes" },                   routelist_endpoints },
    { "show stats",    0, false, { "show stats" },                    routelist_figures },
    { "show stats",   -1, false, { "show stats" },                    detail_figures },
    { "show route",   -1, false, { "show route" },                    detail_everything },
    { "show clients", -1, false, { "show clients" },                  clientlist_draw },
    { "show errors",  -1, false, { "show errors", "status" },         process_errors },
    { "show config",  -1, true,  { "show config" },                   process_changed },
    { "ping",         -1, false, { "status" },                        process_ping },
    { "version",      -1, false, { "status" },                        process_version },
};
// clang-format on

const view_row_t *
view_find(const char *command, size_t arguments, bool changed)
{
    for (size_t i = 0; i < COUNT(rows); i++)
        if (strcmp(rows[i].command, command) == 0 && rows[i].changed == changed &&
            (rows[i].arguments == -1 || (size_t)rows[i].arguments == arguments))
            return &rows[i];
    return NULL;
}
