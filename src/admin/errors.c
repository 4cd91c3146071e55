// SPDX-License-Identifier: MPL-2.0
// errors.c - the command `show errors`: the latest warnings and errors of the log.

#include "admin/reply.h"

#include "admin/recentlog.h"
#include "admin/table.h"
#include "base/clock.h"
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

enum { ERRORS_SHOWN = 100 };

static void
write_errors(request_t *request, const logged_t *events, size_t count)
{
    json_t json = json_document(request->out);
    recentlog_write(&json, "errors", events, count);
    json_document_end(&json);
}

static void
print_errors(request_t *request, const logged_t *events, size_t count)
{
    static const column_t columns[] = { { "TIME", 0 }, { "LEVEL", 0 }, { "TEXT", 0 } };
    table_t table = table_on(columns, COUNT(columns));
    char time[32];
    for (size_t i = 0; i < count; i++) {
        text_t text = { 0 };
        clock_rfc3339(events[i].wall_ns, time);
        text_shown(&text, events[i].text, strlen(events[i].text));
        table_cell(&table, "%s", time);
        table_cell(&table, "%s", log_level_name(events[i].level));
        table_cell(&table, "%s", text.data);
        text_free(&text);
    }
    table_print(&table, request->out);
    table_free(&table);
}

void
errors_show(request_t *request)
{
    logged_t *events = xcalloc(ERRORS_SHOWN, sizeof *events);
    size_t count = recentlog_of_level(LOG_LEVEL_WARNING, events, ERRORS_SHOWN);
    if (request->json)
        write_errors(request, events, count);
    else
        print_errors(request, events, count);
    free(events);
}
