// SPDX-License-Identifier: MPL-2.0
#include "admin/commands.h"

#include "admin/act.h"
#include "admin/show.h"
#include "admin/status.h"
#include "admin/tapcommand.h"
#include "base/event.h"
#include "base/mem.h"
#include "conf/suggest.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *name; // one word or two
    const char *arguments;
    size_t min, max; // of them
    bool changes;    // is logged with who asked for it
    void (*run)(request_t *request);
    const char *help;
} command_t;

static void help(request_t *request);

// clang-format off
static const command_t commands[] = {
    // name                 arguments         min max changes function            help
    { "help",               "",                 0, 0, false, help,               "this list" },
    { "status",             "",                 0, 0, false, status_show,        "the process, and what is wrong" },
    { "show routes",        "",                 0, 0, false, show_routes,        "states, endpoints and rates" },
    { "show stats",         "[ROUTE]",          0, 1, false, show_stats,         "messages, bytes, drops, blocked time" },
    { "show clients",       "[ROUTE]",          0, 1, false, show_clients,       "who is connected" },
    { "show subscriptions", "[ROUTE]",          0, 1, false, show_subscriptions, "topics that are asked for now" },
    { "show config",        "[ROUTE]",          0, 1, false, status_config,      "the configuration as it runs" },
    { "show plan",          "[FILE]",           0, 1, false, status_plan,        "what a reload of FILE (an absolute path) would do" },
    { "pause",              "ROUTE",            1, 1, true,  act_pause,          "nothing is read or sent, connections stay" },
    { "resume",             "ROUTE",            1, 1, true,  act_resume,         "go on after pause or drain" },
    { "drain",              "ROUTE",            1, 1, true,  act_drain,          "read nothing new, deliver what was taken" },
    { "disable",            "ROUTE",            1, 1, true,  act_disable,        "drain, then close" },
    { "enable",             "ROUTE",            1, 1, true,  act_enable,         "open a disabled or failed route again" },
    { "kick",               "ROUTE CLIENT",     2, 2, true,  act_kick,           "cut a client, by its id" },
    { "set log_level",      "LEVEL",            1, 1, true,  act_set_log_level,  "error, warning, notice, info, debug or trace" },
    { "clear counters",     "[ROUTE]",          0, 1, true,  act_clear,          "set to zero what show stats shows" },
    { "reload",             "",                 0, 0, true,  act_reload,         "read the file again, all or nothing" },
    { "tap",                TAP_ARGUMENTS,      1, 7, false, tapcommand_run,     "print messages as they pass" },
    { "stop",               "",                 0, 0, true,  act_stop,           "drain and end; again: end at once" },
    { "record",             "ROUTE FILE",       0, 9, false, act_later,          NULL },
    { "replay",             "",                 0, 9, false, act_later,          NULL },
};
// clang-format on

enum { COMMANDS = sizeof commands / sizeof *commands };

bool
command_at(unsigned i, command_info_t *info)
{
    if (i >= COMMANDS || !commands[i].help) // those to come stand at the end
        return false;
    *info = (command_info_t){ commands[i].name, commands[i].arguments, commands[i].help };
    return true;
}

static void
help(request_t *request)
{
    command_info_t info;
    if (request->json) {
        json_t json = answer_json(request);
        json_array(&json, "commands");
        for (unsigned i = 0; command_at(i, &info); i++) {
            json_object(&json, NULL);
            json_string(&json, "name", info.name);
            json_string(&json, "arguments", info.arguments);
            json_string(&json, "help", info.help);
            json_object_end(&json);
        }
        json_array_end(&json);
        answer_json_end(request, &json);
        return;
    }
    for (unsigned i = 0; command_at(i, &info); i++) {
        text_t usage = { 0 };
        text_add(&usage, "%s%s%s", info.name, *info.arguments ? " " : "", info.arguments);
        text_add(request->out, "%-28s  %s\n", usage.data, info.help);
        text_free(&usage);
    }
}

// --- one line -----------------------------------------------------------------------

// Does the last word ask for JSON?
static bool
asks_for_json(const word_t *words, size_t count)
{
    if (count < 2 || !word_is(&words[count - 1], "json"))
        return false;
    return !word_is(&words[count - 2], "format") && !word_is(&words[count - 2], "topic");
}

// How many WORDS name COMMAND: 0, none.
static size_t
matches(const command_t *command, const word_t *words, size_t count)
{
    size_t length = strcspn(command->name, " ");
    const char *second = command->name[length] ? command->name + length + 1 : NULL;
    if (words[0].quoted || strncmp(words[0].text, command->name, length) != 0 || words[0].text[length])
        return 0;
    if (!second)
        return 1;
    return count > 1 && word_is(&words[1], second) ? 2 : 0;
}

static const command_t *
find_command(const word_t *words, size_t count, size_t *used)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if ((*used = matches(&commands[i], words, count)))
            return &commands[i];
    return NULL;
}

// "unknown command shwo routes; did you mean show routes?"
static void
unknown_command(request_t *request, const word_t *words, size_t count)
{
    text_t wrong = { 0 };
    suggest_t near_two, near_one = suggest_for(words[0].text);
    text_add(&wrong, "%s%s%s", words[0].text, count > 1 ? " " : "", count > 1 ? words[1].text : "");
    near_two = suggest_for(wrong.data);
    for (size_t i = 0; i < COMMANDS; i++) {
        suggest_offer(&near_two, commands[i].name);
        if (!strchr(commands[i].name, ' '))
            suggest_offer(&near_one, commands[i].name);
    }
    const char *best = *near_two.best ? near_two.best : near_one.best;
    answer_fail(request, "unknown command %s", wrong.data);
    if (*best)
        answer_fail(request, "; did you mean %s?", best);
    else
        answer_fail(request, "; `help' lists them");
    text_free(&wrong);
}

static void
run_command(request_t *request, const word_t *words, size_t count, const char *line, const control_peer_t *who)
{
    size_t used;
    const command_t *command = find_command(words, count, &used);
    if (!command) {
        unknown_command(request, words, count);
        return;
    }
    request->args = words + used;
    request->count = count - used;
    if (request->count < command->min || request->count > command->max) {
        answer_fail(request, "usage: %s%s%s", command->name, *command->arguments ? " " : "", command->arguments);
        return;
    }
    if (command->changes)
        log_event(EVENT_CONTROL_COMMAND, EVENT_WORDS("verb", command->name), EVENT_TEXT("command", line),
                  EVENT_NUMBER("uid", who->uid), EVENT_NUMBER("gid", who->gid), EVENT_NUMBER("pid", who->pid));
    command->run(request);
}

command_result_t
commands_run(broker_t *broker, const char *line, size_t size, const control_peer_t *who, text_t *answer,
             tapping_conf_t *tap, leaving_t *leaving)
{
    word_t words[WORDS_MAX] = { { 0 } };
    char *copy = xcalloc(size + 1, 1), *shown = xstrndup(line, size);
    request_t request = { .broker = broker, .out = answer, .tap = tap, .leaving = leaving, .result = COMMAND_DONE };
    memcpy(copy, line, size); // NUL bytes too, to find them
    const char *reason;
    size_t count = words_split(copy, size, words, &reason);
    if (reason)
        answer_fail(&request, "%s", reason);
    request.json = asks_for_json(words, count);
    count -= request.json;
    if (!request.error.size && count)
        run_command(&request, words, count, shown, who);
    else if (!request.error.size)
        answer_fail(&request, "no command; `help' lists them");
    if (request.error.size) {
        answer_refuse(answer, request.json, request.error.data);
        tapping_conf_free(tap);
        request.result = COMMAND_FAILED;
    }
    text_free(&request.error);
    free(shown);
    free(copy);
    return request.result;
}
