// SPDX-License-Identifier: MPL-2.0
// record.c - see record.h.

#include "ctl/record.h"

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "conf/suggest.h"
#include "conf/units.h"
#include "ctl/interrupt.h"
#include "ctl/recording.h"
#include "ctl/relay.h"
#include "ctl/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BARE_MS = 1000,        // of a time without a unit
    LONGEST_MS = 86400000, // a day
    PROGRESS_MS = 200,
    WRITTEN_AT_ONCE = 65536, // bytes
};

static const char missed[] = "{\"missed\":"; // how the last line begins

typedef struct {
    connection_t *connection;
    recording_t file;
    text_t tap;   // what the daemon is told
    text_t lines; // not written yet
    int64_t for_ms, begin_ms, shown_ms;
    uint64_t messages, missed;
    bool json, begun, told, shows;
} recorder_t;

// --- the command line ----------------------------------------------------------------

// Where a failed command says why. False.
__attribute__((format(printf, 2, 3))) static bool
complain(const recorder_t *self, const char *format, ...)
{
    va_list args;
    text_t why = { 0 }, line = { 0 };
    va_start(args, format);
    text_vadd(&why, format, args);
    va_end(args);
    json_t json = json_document(&line);
    json_string(&json, "error", why.data);
    json_document_end(&json);
    if (self->json)
        fputs(line.data, stdout);
    else
        fprintf(stderr, "error: %s\n", why.data);
    text_free(&why);
    text_free(&line);
    return false;
}

static bool
pass(recorder_t *self, const char *word, const char *value)
{
    arguments_quote(&self->tap, word);
    arguments_quote(&self->tap, value);
    return true;
}

static bool
take_time(recorder_t *self, const char *word, const char *value)
{
    if (units_time(value, BARE_MS, &self->for_ms) == 0 && self->for_ms > 0 && self->for_ms <= LONGEST_MS)
        return true;
    return complain(self, "%s %s: not a time of up to 24h, such as 10s", word, value);
}

static const struct {
    const char *word;
    bool (*take)(recorder_t *self, const char *word, const char *value);
} words[] = { { "topic", pass }, { "count", pass }, { "for", take_time } };

static bool
complain_of(const recorder_t *self, const char *word)
{
    return complain(self, "%s what? usage: record " RECORD_ARGUMENTS, word);
}

static bool
take_word(recorder_t *self, const char *word, const char *value)
{
    suggest_t suggestion = suggest_for(word);
    for (size_t i = 0; i < COUNT(words); i++) {
        suggest_offer(&suggestion, words[i].word);
        if (strcmp(words[i].word, word) == 0)
            return value ? words[i].take(self, word, value) : complain_of(self, word);
    }
    if (*suggestion.best)
        return complain(self, "unknown word %s; did you mean %s?", word, suggestion.best);
    return complain(self, "unknown word %s; usage: record " RECORD_ARGUMENTS, word);
}

static bool
take_words(recorder_t *self, const arguments_t *arguments)
{
    char **given = arguments->words + arguments->named;
    size_t count = arguments->word_count - arguments->named;
    bool good = count >= 2 || complain_of(self, "record");
    text_add(&self->tap, "tap");
    if (good)
        arguments_quote(&self->tap, given[0]);
    for (size_t i = 2; i < count && good; i += 2)
        good = take_word(self, given[i], i + 1 < count ? given[i + 1] : NULL);
    text_add(&self->tap, " json");
    return good;
}

// --- progress ------------------------------------------------------------------------

static void
show_progress(recorder_t *self)
{
    int64_t now_ms = clock_mono_ms();
    text_t line = { 0 };
    if (!self->shows || now_ms - self->shown_ms < PROGRESS_MS)
        return;
    self->shown_ms = now_ms;
    text_add(&line, "\r\033[K%" PRIu64 " messages, ", self->messages);
    units_put(&line, UNIT_BYTES, (double)self->file.size, true);
    text_add(&line, ", ");
    units_put(&line, UNIT_SECONDS, (double)(now_ms - self->begin_ms) / 1000, true);
    fputs(line.data, stderr);
    text_free(&line);
}

static void
end_progress(const recorder_t *self)
{
    if (self->shown_ms > 0)
        fputs("\r\033[K", stderr);
}

static void
show_result(const recorder_t *self)
{
    if (strcmp(self->file.path, "-") == 0)
        return;
    printf(self->json ? "{\"recorded\":%" PRIu64 ",\"missed\":%" PRIu64 "}\n"
                      : "recorded %" PRIu64 "\nmissed %" PRIu64 "\n",
           self->messages, self->missed);
}

// --- the answer ----------------------------------------------------------------------

// The daemon has refused the tap.
static bool
is_refusal(const recorder_t *self, const char *line, size_t size)
{
    if (self->begun)
        return false;
    document_t *document = document_read(line, size);
    bool refusal = document && value_member(document_root(document), "error");
    if (refusal && self->json)
        puts(line);
    else if (refusal)
        relay_error(document_root(document));
    document_free(&document);
    return refusal;
}

static void
take_line(recorder_t *self, const char *line, size_t size)
{
    bool last = strncmp(line, missed, sizeof missed - 1) == 0;
    if (last)
        self->missed = strtoull(line + sizeof missed - 1, NULL, 10);
    else
        self->messages++;
    text_bytes(&self->lines, line, size);
    text_char(&self->lines, '\n');
}

// A disk that is slow would hold us up: signals must come through.
static bool
flush(recorder_t *self)
{
    interrupt_let(true);
    bool written = self->lines.size == 0 || recording_write(&self->file, &self->lines, &self->connection->reason);
    interrupt_let(false);
    text_clear(&self->lines);
    show_progress(self);
    return written;
}

static bool
is_time_to_flush(const recorder_t *self)
{
    return self->lines.size >= WRITTEN_AT_ONCE || !connection_has_line(self->connection);
}

static void
end_if_interrupted(recorder_t *self)
{
    if (interrupt_counted() && !self->told)
        connection_send(self->connection, "", -1);
    self->told = interrupt_counted();
}

static exit_t
write_answer(recorder_t *self)
{
    const char *line;
    size_t size;
    exit_t failure = EXIT_OK;
    next_t next;
    while ((next = connection_next(self->connection, &line, &size, &failure)) < NEXT_FAILED && next != NEXT_END) {
        if (next == NEXT_LINE && is_refusal(self, line, size))
            return EXIT_FAILED;
        if (next == NEXT_LINE) {
            self->begun = true;
            take_line(self, line, size);
        }
        if (is_time_to_flush(self) && !flush(self))
            return EXIT_FAILED;
        end_if_interrupted(self);
    }
    return flush(self) ? failure : EXIT_FAILED;
}

static exit_t
record(recorder_t *self)
{
    self->begin_ms = clock_mono_ms();
    self->shows = isatty(STDERR_FILENO) && !self->json;
    connection_send(self->connection, self->tap.data, -1);
    if (self->for_ms > 0)
        interrupt_after(self->for_ms);
    exit_t result = write_answer(self);
    end_progress(self);
    if (!recording_close(&self->file, &self->connection->reason) && result == EXIT_OK)
        result = EXIT_FAILED;
    if (result == EXIT_OK)
        show_result(self);
    return result;
}

// With -j, why it has failed; zbrokerctl tells others.
static void
explain(const recorder_t *self)
{
    text_t *reason = &self->connection->reason;
    if (!self->json || reason->size == 0)
        return;
    complain(self, "%s", reason->data);
    text_clear(reason);
}

exit_t
record_run(connection_t *connection, const arguments_t *arguments)
{
    recorder_t self = { .connection = connection, .json = arguments->json };
    exit_t result = EXIT_FAILED;
    text_bytes(&self.lines, "", 0);
    if (take_words(&self, arguments) &&
        recording_open(&self.file, arguments->words[arguments->named + 1], &connection->reason))
        result = record(&self);
    if (result == EXIT_FAILED)
        explain(&self);
    text_free(&self.tap);
    text_free(&self.lines);
    return result;
}
