// SPDX-License-Identifier: MPL-2.0
// process.c - see process.h.

#include "ctl/process.h"

#include "base/mem.h"
#include "ctl/detail.h"

void
process_ping(const view_t *view)
{
    const document_value_t *pid = value_member(view->answers[0], "pid"),
                           *up = value_member(view->answers[0], "uptime_seconds");
    text_t since = { 0 };
    units_put(&since, UNIT_SECONDS, value_is(up, VALUE_NUMBER) ? up->number : 0, true);
    sheet_add(view->sheet, TONE_PLAIN, "zbroker answers: pid %s, up %s\n",
              value_is(pid, VALUE_NUMBER) ? pid->text : "-", since.data);
    text_free(&since);
}

void
process_version(const view_t *view)
{
    static const char *const keys[][2] = { { "zbroker ", "version" },
                                           { ", libzmq ", "libzmq" },
                                           { ", czmq ", "czmq" } };
    sheet_add(view->sheet, TONE_PLAIN, "zbrokerctl %s\n", PACKAGE_VERSION);
    for (size_t i = 0; i < COUNT(keys); i++) {
        sheet_add(view->sheet, TONE_PLAIN, "%s", keys[i][0]);
        sheet_text(view->sheet, TONE_PLAIN, value_text(value_member(view->answers[0], keys[i][1])));
    }
    sheet_add(view->sheet, TONE_PLAIN, "\n");
}

// A daemon of an older version tells no problems: its log has them.
static void
add_reload(sheet_t *sheet, const document_value_t *reload)
{
    if (!reload || value_true(value_member(reload, "ok")))
        return;
    sheet_add(sheet, TONE_ERROR, "The last reload failed.");
    sheet_add(sheet, TONE_PLAIN, "\nThe configuration that runs was read ");
    sheet_time(sheet, &sheet->out, value_text(value_member(reload, "time")));
    sheet_add(sheet, TONE_PLAIN, ".\n");
    for (const document_value_t *problem = value_first(value_member(reload, "problems")); problem;
         problem = problem->next)
        sheet_prose(sheet, TONE_PLAIN, value_text(problem));
    sheet_add(sheet, TONE_PLAIN, "\n");
}

void
process_errors(const view_t *view)
{
    const document_value_t *errors = value_member(view->answers[0], "errors");
    add_reload(view->sheet, value_member(view->answers[1], "last_reload"));
    if (value_first(errors))
        detail_events(view->sheet, errors);
    else
        sheet_add(view->sheet, TONE_PLAIN, "no warnings and no errors\n");
}

static void
add_section(sheet_t *sheet, const char *kind, const char *name, const document_value_t *options)
{
    text_t heading = { 0 };
    text_add(&heading, "[%s%s]", kind, name);
    sheet_text(sheet, TONE_HEADING, heading.data);
    sheet_add(sheet, TONE_PLAIN, "\n");
    detail_options(sheet, options, "");
    text_free(&heading);
}

void
process_changed(const view_t *view)
{
    const document_value_t *answer = view->answers[0];
    if (!view->of_one)
        add_section(view->sheet, "zbroker", "", value_member(answer, "options"));
    for (const document_value_t *route = value_first(value_member(answer, "routes")); route; route = route->next)
        add_section(view->sheet, "route ", value_text(value_member(route, "name")), value_member(route, "options"));
}
