// SPDX-License-Identifier: MPL-2.0
// relay.c - see relay.h.

#include "ctl/relay.h"

#include "base/mem.h"
#include "ctl/interrupt.h"

#include <stdio.h>
#include <string.h>

enum { INDENT = 2 };

static bool
begins_with(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

// Of a line of `status' or of a plan.
static tone_t
tone_of(const char *line)
{
    static const char *const levels[] = { "error", "warning" };
    for (size_t i = 0; i < COUNT(levels); i++)
        if (begins_with(line, levels[i]) && line[strlen(levels[i])] == ':')
            return sheet_tone_of(levels[i]);
    return TONE_PLAIN;
}

static void
put_line(sheet_t *sheet, const char *line, relay_t how)
{
    text_t folded = { 0 };
    if (how == RELAY_PROSE && sheet->for_people) {
        table_fold(&folded, line, INDENT, sheet->width);
        line = folded.data ? folded.data : line;
    }
    sheet_add(sheet, tone_of(line), "%s", line);
    sheet_add(sheet, TONE_PLAIN, "\n");
    text_free(&folded);
}

exit_t
relay_answer(connection_t *connection, sheet_t *sheet, relay_t how)
{
    const char *line;
    size_t size;
    exit_t result = EXIT_OK, failure = EXIT_OK;
    next_t next;
    bool begun = false, told = false;
    while ((next = connection_next(connection, &line, &size, &failure)) != NEXT_END) {
        if (next == NEXT_FAILED)
            return failure;
        if (next == NEXT_SIGNAL && interrupt_counted() > 1)
            return EXIT_OK;
        if (next == NEXT_SIGNAL && interrupt_counted() && !told) {
            connection_send(connection, "");
            told = true;
        }
        if (next == NEXT_SIGNAL)
            continue;
        if (!begun && begins_with(line, how == RELAY_JSON ? "{\"error\":" : "error: "))
            result = EXIT_FAILED;
        begun = true;
        if (result == EXIT_FAILED && how != RELAY_JSON)
            fprintf(stderr, "%s\n", line);
        else
            put_line(sheet, line, how);
        if (!connection_has_line(connection) && !sheet_flush(sheet))
            return EXIT_FAILED;
    }
    return sheet_flush(sheet) ? result : EXIT_FAILED;
}

bool
relay_error(const value_t *answer)
{
    const value_t *error = value_member(answer, "error");
    if (!error)
        return false;
    text_t text = { 0 };
    text_shown(&text, value_text(error), strlen(value_text(error)));
    fprintf(stderr, "error: %s\n", text.data);
    for (const value_t *problem = value_first(value_member(answer, "problems")); problem; problem = problem->next) {
        text_clear(&text);
        text_shown(&text, value_text(problem), strlen(value_text(problem)));
        fprintf(stderr, "%s\n", text.data);
    }
    text_free(&text);
    return true;
}
