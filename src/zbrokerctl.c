// SPDX-License-Identifier: MPL-2.0
// zbrokerctl(8) - look at and control a running broker: a command goes to the
// control socket, and the answer is passed on, or drawn.

#include "base/mem.h"
#include "ctl/arguments.h"
#include "ctl/clientlist.h"
#include "ctl/connection.h"
#include "ctl/detail.h"
#include "ctl/interrupt.h"
#include "ctl/place.h"
#include "ctl/process.h"
#include "ctl/record.h"
#include "ctl/relay.h"
#include "ctl/routelist.h"
#include "ctl/top.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// The commands whose answer is drawn: what each asks the daemon, and how the answer is drawn.
typedef struct {
    const char *command;
    int arguments;                  // this many; -1: any
    bool changed;                   // only with --changed
    const char *asks[VIEW_ANSWERS]; // the first one gets the arguments
    void (*draw)(const view_t *view);
} view_row_t;

// clang-format off
static const view_row_t views[] = {
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

typedef struct {
    arguments_t arguments;
    connection_t connection;
    sheet_t sheet;
    const view_row_t *row; // NULL: the answer is passed on
    sigset_t mask;
} ctl_t;

// NULL: the answer is passed on.
static const view_row_t *
find_view(const arguments_t *arguments)
{
    size_t count = arguments->word_count - arguments->named;
    for (size_t i = 0; i < COUNT(views); i++)
        if (arguments_is(arguments, views[i].command) && views[i].changed == arguments->changed &&
            (views[i].arguments == -1 || (size_t)views[i].arguments == count))
            return &views[i];
    return NULL;
}

static exit_t
tell(exit_t result, const text_t *reason)
{
    fflush(stdout);
    if (reason->size)
        fprintf(stderr, "zbrokerctl: %s\n", reason->data);
    return result;
}

// What the view asks, in the order of its questions.
static exit_t
ask(ctl_t *self, document_t *documents[VIEW_ANSWERS])
{
    exit_t failure = EXIT_OK;
    for (size_t i = 0; i < VIEW_ANSWERS && self->row->asks[i]; i++) {
        text_t line = { 0 };
        text_add(&line, "%s", self->row->asks[i]);
        if (i == 0) {
            text_clear(&line);
            arguments_line(&self->arguments, self->row->asks[i], &line);
        }
        documents[i] = connection_ask(&self->connection, line.data, &failure);
        text_free(&line);
        if (!documents[i])
            return failure;
        if (relay_error(document_root(documents[i])))
            return EXIT_FAILED;
    }
    return EXIT_OK;
}

static exit_t
draw(ctl_t *self)
{
    document_t *documents[VIEW_ANSWERS] = { NULL };
    exit_t result = ask(self, documents);
    if (result == EXIT_OK) {
        view_t view = { .sheet = &self->sheet, .slow = self->arguments.slow };
        view.of_one = self->arguments.word_count > self->arguments.named;
        for (size_t i = 0; i < VIEW_ANSWERS && documents[i]; i++)
            view.answers[i] = document_root(documents[i]);
        sheet_measure(&self->sheet);
        self->row->draw(&view);
        if (!sheet_flush(&self->sheet))
            result = EXIT_FAILED;
    }
    for (size_t i = 0; i < VIEW_ANSWERS; i++)
        document_free(&documents[i]);
    return result;
}

// Send the command, and with it the file that it names, if it is to be read by our rights.
static exit_t
send_command(ctl_t *self, const char *line)
{
    const char *file = self->arguments.passed;
    // A pipe without a writer is for the daemon to refuse.
    int descriptor = file ? open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
    if (file && descriptor == -1) {
        text_add(&self->connection.reason, "%s: %s", file, strerror(errno));
        return EXIT_FAILED;
    }
    connection_send(&self->connection, line, descriptor);
    if (descriptor != -1)
        close(descriptor);
    return EXIT_OK;
}

static exit_t
pass_on(ctl_t *self)
{
    text_t line = { 0 };
    bool prose = arguments_is(&self->arguments, "status");
    relay_t how = self->arguments.json ? RELAY_JSON : prose ? RELAY_PROSE : RELAY_LINES;
    arguments_line(&self->arguments, self->row ? self->row->asks[0] : NULL, &line);
    if (how == RELAY_JSON)
        text_add(&line, " json");
    exit_t result = send_command(self, line.data);
    if (result == EXIT_OK)
        result = relay_answer(&self->connection, &self->sheet, how);
    text_free(&line);
    return result;
}

// A table with all columns is the daemon's. What the daemon does not know by itself is drawn in any case.
static bool
is_drawn(const ctl_t *self)
{
    if (!self->row || self->arguments.json)
        return false;
    return !self->arguments.wide || strcmp(self->row->asks[0], self->row->command) != 0;
}

static exit_t
repeat(ctl_t *self)
{
    exit_t result;
    while ((result = is_drawn(self) ? draw(self) : pass_on(self)) == EXIT_OK) {
        if (self->arguments.every_s <= 0 || interrupt_counted())
            break;
        if (!self->arguments.json)
            sheet_add(&self->sheet, TONE_PLAIN, "\n");
        if (!sheet_flush(&self->sheet))
            return EXIT_FAILED;
        if (connection_pause(&self->connection, self->arguments.every_s, -1) == PAUSE_LOST)
            return EXIT_NO_DAEMON;
        if (interrupt_counted())
            break;
    }
    return result;
}

// A stream is asked to end, so that it tells what was missed. What is repeated is meant to be interrupted.
static void
catch_signals(ctl_t *self)
{
    signal(SIGPIPE, SIG_IGN);
    if (self->arguments.verb && self->arguments.verb->manner == STREAMS) {
        interrupt_count(&self->mask);
        self->connection.mask = &self->mask;
    } else if (self->arguments.every_s > 0) {
        interrupt_ends(NULL);
    }
}

static exit_t
run(ctl_t *self)
{
    const arguments_t *arguments = &self->arguments;
    text_t line = { 0 };
    exit_t result;
    self->sheet = sheet_new();
    self->row = find_view(arguments);
    self->connection.timeout_ms = arguments->answer_ms;
    catch_signals(self);
    if (arguments_is(arguments, "top")) {
        arguments_line(arguments, "show stats", &line);
        result = top_run(&self->connection, &self->sheet, line.data, arguments->every_s);
    } else if (arguments_is(arguments, "record")) {
        result = record_run(&self->connection, arguments);
    } else {
        result = repeat(self);
    }
    sheet_free(&self->sheet);
    text_free(&line);
    return result;
}

int
main(int argc, char **argv)
{
    ctl_t self = { .connection = { .fd = -1 } };
    text_t reason = { 0 };
    char *path;
    arguments_parse(&self.arguments, argc, argv);
    exit_t result = place_find(self.arguments.socket, self.arguments.file, &path, &reason);
    if (result == EXIT_OK)
        result = connection_open(&self.connection, path, self.arguments.timeout_ms);
    if (result == EXIT_OK)
        result = run(&self);
    tell(result, reason.size ? &reason : &self.connection.reason);
    connection_close(&self.connection);
    arguments_free(&self.arguments);
    text_free(&reason);
    free(path);
    return result;
}
