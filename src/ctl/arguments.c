// SPDX-License-Identifier: MPL-2.0
// arguments.c - see arguments.h.

#include "ctl/arguments.h"

#include "base/mem.h"
#include "ctl/exits.h"
#include "ctl/place.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000 };

static const char usage[] = "usage: zbrokerctl [-s PATH] [-c FILE] [-j | --wide] [-w SECONDS] [-t SECONDS] COMMAND...\n"
                            "       zbrokerctl -V | -h\n"
                            "\n"
                            "  -s, --socket PATH      the control socket (default: what FILE says, else\n"
                            "                         " PLACE_SOCKET ")\n"
                            "  -c, --config FILE      read `control' there (default " PLACE_FILE ")\n"
                            "  -j, --json             answer in JSON\n"
                            "      --wide             every column of a table\n"
                            "      --slow             show clients: only those that have a backlog\n"
                            "      --changed          show config: what is not the default\n"
                            "  -w, --watch SECONDS    repeat until interrupted\n"
                            "  -t, --timeout SECONDS  how long to wait for an answer (5; 0: no limit)\n"
                            "  -V, --version          the version\n"
                            "  -h, --help             this\n"
                            "\n"
                            "The commands are:\n";

static const struct option longs[] = {
    { "socket", required_argument, NULL, 's' },
    { "config", required_argument, NULL, 'c' },
    { "json", no_argument, NULL, 'j' },
    { "watch", required_argument, NULL, 'w' },
    { "wide", no_argument, NULL, 'W' },
    { "slow", no_argument, NULL, 'S' },
    { "changed", no_argument, NULL, 'C' },
    { "timeout", required_argument, NULL, 't' },
    { "version", no_argument, NULL, 'V' },
    { "help", no_argument, NULL, 'h' },
    { NULL, 0, NULL, 0 },
};

static _Noreturn void
wrong_usage(const char *what)
{
    if (what)
        fprintf(stderr, "zbrokerctl: %s\n", what);
    fputs("Try zbrokerctl --help.\n", stderr);
    exit(EXIT_USAGE);
}

// --- the options ---------------------------------------------------------------------------

static double
read_seconds(const char *text, double min, const char *complaint)
{
    char *end;
    errno = 0;
    double seconds = strtod(text, &end);
    if (*end || end == text || errno || !isfinite(seconds) || seconds < min || seconds > 86400)
        wrong_usage(complaint);
    return seconds;
}

static _Noreturn void
print_usage(void)
{
    text_t list = { 0 };
    verbs_help(NULL, 0, &list);
    fputs(usage, stdout);
    for (const char *line = list.data; *line; line += strcspn(line, "\n") + 1)
        printf("  %.*s\n", (int)strcspn(line, "\n"), line);
    puts("\nSee zbrokerctl(8).");
    text_free(&list);
    exit(EXIT_OK);
}

// An option without an argument, which may also follow the command. False: it is none.
static bool
take_flag(arguments_t *self, int letter)
{
    const struct {
        int letter;
        bool *flag;
    } flags[] = { { 'j', &self->json }, { 'W', &self->wide }, { 'S', &self->slow }, { 'C', &self->changed } };
    for (size_t i = 0; i < COUNT(flags); i++)
        if (flags[i].letter == letter) {
            *flags[i].flag = true;
            return true;
        }
    return false;
}

static void
take_option(arguments_t *self, int letter, double *timeout)
{
    switch (letter) {
    case 's':
        self->socket = optarg;
        break;
    case 'c':
        self->file = optarg;
        break;
    case 'w':
        self->every_s = read_seconds(optarg, 0.1, "-w wants seconds, 0.1 to 86400");
        break;
    case 't':
        *timeout = read_seconds(optarg, 0, "-t wants seconds, 0 to 86400");
        break;
    case 'V':
        puts("zbrokerctl " PACKAGE_VERSION);
        exit(EXIT_OK);
    case 'h':
        print_usage();
    default:
        wrong_usage(NULL);
    }
}

// --- the command ---------------------------------------------------------------------------

static void
add_word(arguments_t *self, const char *word)
{
    mem_grow(self->words, self->word_count, self->word_room);
    self->words[self->word_count++] = xstrdup(word);
}

static const char *const *
words(const arguments_t *self)
{
    return (const char *const *)self->words;
}

// The letter of the option that WORD is, behind a command; 0: none.
static int
letter_of(const char *word)
{
    for (const struct option *option = longs; option->name; option++)
        if (strncmp(word, "--", 2) == 0 && strcmp(word + 2, option->name) == 0)
            return option->val;
    return 0;
}

// The words of the command. Options among them are not, but for free text: a topic may look like one.
static void
read_words(arguments_t *self, char **from, char **to)
{
    size_t used;
    if (verbs_is_shown(*from))
        add_word(self, "show");
    for (; from < to; from++) {
        const ctl_verb_t *verb = verbs_find(words(self), self->word_count, &used);
        bool free_text = verb && verb->manner == STREAMS;
        if (free_text || !take_flag(self, letter_of(*from)))
            add_word(self, *from);
    }
    self->verb = verbs_find(words(self), self->word_count, &self->named);
}

static char *
absolute(const char *file)
{
    char folder[PATH_MAX];
    if (*file == '/')
        return xstrdup(file);
    if (!getcwd(folder, sizeof folder)) {
        fprintf(stderr, "zbrokerctl: the current folder is unknown: %s\n", strerror(errno));
        exit(EXIT_USAGE);
    }
    return xasprintf("%s/%s", folder, file);
}

// The daemon has another folder than we, and reads what our user may read.
static void
pass_file(arguments_t *self)
{
    char **file = &self->words[self->named], *given = *file;
    *file = absolute(given);
    self->passed = *file;
    free(given);
}

// check-reload is show plan of the file that is read for the socket, too.
static void
plan_of_own_file(arguments_t *self)
{
    if (self->word_count > 1)
        wrong_usage("check-reload takes its file from -c");
    free(self->words[0]);
    self->word_count = 0;
    add_word(self, "show");
    add_word(self, "plan");
    add_word(self, self->file ? self->file : PLACE_FILE);
    self->verb = verbs_find(words(self), self->word_count, &self->named);
}

// `json' as the last word is how the daemon is asked for it.
static void
take_json_word(arguments_t *self)
{
    bool last = self->verb && self->verb->manner != STREAMS && self->word_count > self->named &&
                strcmp(self->words[self->word_count - 1], "json") == 0;
    if (last) {
        free(self->words[--self->word_count]);
        self->json = true;
    }
}

bool
arguments_is(const arguments_t *self, const char *verb)
{
    return self->verb && strcmp(self->verb->name, verb) == 0;
}

static void
answer_help(const arguments_t *self)
{
    text_t list = { 0 };
    if (!verbs_help(words(self) + 1, self->word_count - 1, &list)) {
        fprintf(stderr, "error: no command %s; `zbrokerctl help' lists them\n", self->words[1]);
        exit(EXIT_FAILED);
    }
    fputs(list.data, stdout);
    exit(EXIT_OK);
}

static void
check_options(const arguments_t *self)
{
    bool top = arguments_is(self, "top");
    const struct {
        bool wrong;
        const char *complaint;
    } rules[] = {
        { self->slow && !arguments_is(self, "show clients"), "--slow is for show clients" },
        { self->changed && !arguments_is(self, "show config"), "--changed is for show config" },
        { self->every_s > 0 && arguments_is(self, "record"), "record is not repeated: its time is a word, for" },
        { self->json && top, "top has no JSON; use -j -w 1 show stats" },
        { self->wide && top, "top shows what fits; use --wide -w 1 show stats" },
        { self->json && (self->wide || self->slow || self->changed),
          "JSON has everything: -j goes without --wide, --slow and --changed" },
    };
    for (size_t i = 0; i < COUNT(rules); i++)
        if (rules[i].wrong)
            wrong_usage(rules[i].complaint);
}

static void
set_patience(arguments_t *self, double timeout)
{
    bool given = timeout >= 0;
    self->timeout_ms = given ? (int)ceil(timeout * 1000) : PATIENCE_MS;
    self->answer_ms = self->timeout_ms ? self->timeout_ms : -1;
    if (self->verb && self->verb->manner == STREAMS)
        self->answer_ms = -1;
    if (!given && (self->every_s > 0 || (self->verb && self->verb->manner == WAITS)))
        self->answer_ms = -1;
}

void
arguments_parse(arguments_t *self, int argc, char **argv)
{
    double timeout = -1;
    int letter;
    *self = (arguments_t){ 0 };
    // "+": what follows the command is the command's.
    while ((letter = getopt_long(argc, argv, "+s:c:jw:t:Vh", longs, NULL)) != -1)
        if (!take_flag(self, letter))
            take_option(self, letter, &timeout);
    if (optind == argc)
        wrong_usage("no command; `zbrokerctl help' lists them");
    read_words(self, argv + optind, argv + argc);
    take_json_word(self);
    if (arguments_is(self, "help") && !self->json)
        answer_help(self);
    if (arguments_is(self, "check-reload"))
        plan_of_own_file(self);
    if (arguments_is(self, "show plan") && self->word_count > self->named)
        pass_file(self);
    if (arguments_is(self, "top") && self->every_s <= 0)
        self->every_s = 1;
    check_options(self);
    set_patience(self, timeout);
}

void
arguments_free(arguments_t *self)
{
    while (self->word_count)
        free(self->words[--self->word_count]);
    free(self->words);
    *self = (arguments_t){ 0 };
}

// --- as a line of the control socket ---------------------------------------------------------

void
arguments_quote(text_t *line, const char *word)
{
    static const char letters[] = "\"\"\\\\\nn\rr\tt"; // pairs: byte, letter
    if (line->size)
        text_char(line, ' ');
    if (*word && !strpbrk(word, " \t\r\n\"")) {
        text_add(line, "%s", word);
        return;
    }
    text_char(line, '"');
    for (; *word; word++) {
        const char *pair = letters;
        while (*pair && *pair != *word)
            pair += 2;
        if (*pair)
            text_add(line, "\\%c", pair[1]);
        else
            text_char(line, *word);
    }
    text_char(line, '"');
}

void
arguments_line(const arguments_t *self, const char *command, text_t *line)
{
    text_add(line, "%s", command ? command : "");
    for (size_t i = command ? self->named : 0; i < self->word_count; i++)
        arguments_quote(line, self->words[i]);
}
