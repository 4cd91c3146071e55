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

typedef struct {
    sheet_t *sheet;
    relay_t how;
    bool begun, failed;
} relaying_t;

static void
put_line(const relaying_t *self, const char *line)
{
    text_t folded = { 0 };
    if (self->how == RELAY_PROSE && self->sheet->for_people) {
        table_fold(&folded, line, INDENT, self->sheet->width);
        line = folded.data ? folded.data : line;
    }
    sheet_add(self->sheet, tone_of(line), "%s", line);
    sheet_add(self->sheet, TONE_PLAIN, "\n");
    text_free(&folded);
}

// The first line says whether the command has failed.
static void
take_line(relaying_t *self, const char *line)
{
    if (!self->begun)
        self->failed = begins_with(line, self->how == RELAY_JSON ? "{\"error\":" : "error: ");
    self->begun = true;
    if (self->failed && self->how != RELAY_JSON)
        fprintf(stderr, "%s\n", line);
    else
        put_line(self, line);
}

// A reader that stops would hold us up: signals must come through.
static bool
flush(sheet_t *sheet)
{
    interrupt_let(true);
    bool read = sheet_flush(sheet);
    interrupt_let(false);
    return read;
}

exit_t
relay_answer(connection_t *connection, sheet_t *sheet, relay_t how)
{
    relaying_t self = { .sheet = sheet, .how = how };
    const char *line;
    size_t size;
    exit_t failure = EXIT_OK;
    next_t next;
    bool told = false;
    while ((next = connection_next(connection, &line, &size, &failure)) != NEXT_END) {
        if (next == NEXT_FAILED)
            return failure;
        if (next == NEXT_LINE)
            take_line(&self, line);
        if (!connection_has_line(connection) && !flush(sheet))
            return EXIT_FAILED;
        if (interrupt_counted() && !told)
            connection_send(connection, "", -1);
        told = interrupt_counted();
    }
    return flush(sheet) && !self.failed ? EXIT_OK : EXIT_FAILED;
}

bool
relay_error(const document_value_t *answer)
{
    const document_value_t *error = value_member(answer, "error");
    if (!error)
        return false;
    text_t text = { 0 };
    text_shown(&text, value_text(error), strlen(value_text(error)));
    fprintf(stderr, "error: %s\n", text.data);
    for (const document_value_t *problem = value_first(value_member(answer, "problems")); problem;
         problem = problem->next) {
        text_clear(&text);
        text_shown(&text, value_text(problem), strlen(value_text(problem)));
        fprintf(stderr, "%s\n", text.data);
    }
    text_free(&text);
    return true;
}
