// SPDX-License-Identifier: MPL-2.0
#include "admin/commands.h"

#include "base/log.h"
#include "base/mem.h"
#include "conf/suggest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum { READS, CHANGES, CUTS } effect_t;

typedef struct {
    const char *name;
    const char *arguments;
    size_t min, max; // of them
    effect_t effect;
    void (*run)(request_t *request);
    const char *help;
} command_t;

#define ROW(name, arguments, min, max, effect, manner, run, help) { name, arguments, min, max, effect, run, help },

static const command_t commands[] = { COMMAND_LIST(ROW) };

enum { COMMANDS = sizeof commands / sizeof *commands };

bool
command_at(unsigned i, command_info_t *info)
{
    if (i >= COMMANDS)
        return false;
    *info = (command_info_t){ commands[i].name, commands[i].arguments, commands[i].help };
    return true;
}

void
commands_help(request_t *request)
{
    command_info_t info;
    if (request->json) {
        json_t json = json_document(request->out);
        json_array(&json, "commands");
        for (unsigned i = 0; command_at(i, &info); i++) {
            json_object(&json, NULL);
            json_string(&json, "name", info.name);
            json_string(&json, "arguments", info.arguments);
            json_string(&json, "help", info.help);
            json_object_end(&json);
        }
        json_array_end(&json);
        json_document_end(&json);
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
asks_for_json(const token_t *words, size_t count)
{
    if (count < 2 || !token_is(&words[count - 1], "json"))
        return false;
    return !token_is(&words[count - 2], "format") && !token_is(&words[count - 2], "topic");
}

// How many WORDS name COMMAND: 0, none.
static size_t
matches(const command_t *command, const token_t *words, size_t count)
{
    size_t length = strcspn(command->name, " ");
    const char *second = command->name[length] ? command->name + length + 1 : NULL;
    if (words[0].quoted || strncmp(words[0].text, command->name, length) != 0 || words[0].text[length])
        return 0;
    if (!second)
        return 1;
    return count > 1 && token_is(&words[1], second) ? 2 : 0;
}

static const command_t *
find_command(const token_t *words, size_t count, size_t *used)
{
    for (size_t i = 0; i < COMMANDS; i++)
        if ((*used = matches(&commands[i], words, count)))
            return &commands[i];
    return NULL;
}

// "what? routes, stats, ...": what may follow the word FIRST. False: nothing, it begins no command of two words.
static bool
fail_with_second_words(request_t *request, const char *first, const char *before)
{
    size_t length = strlen(first), found = 0;
    for (size_t i = 0; i < COMMANDS; i++)
        if (strncmp(commands[i].name, first, length) == 0 && commands[i].name[length] == ' ') {
            if (!found++)
                reply_fail(request, "%s%s what? ", before, first);
            reply_fail(request, "%s%s", found > 1 ? ", " : "", commands[i].name + length + 1);
        }
    return found > 0;
}

// Nothing that cuts is suggested: who types `show' and believes an answer must not end the broker.
static void
offer_commands(suggest_t *whole, suggest_t *first)
{
    char word[32];
    for (size_t i = 0; i < COMMANDS; i++)
        if (commands[i].effect != CUTS) {
            snprintf(word, sizeof word, "%.*s", (int)strcspn(commands[i].name, " "), commands[i].name);
            suggest_offer(whole, commands[i].name);
            suggest_offer(first, word);
        }
}

// "unknown command shwo routes; did you mean show routes?", "show what? routes, stats, ..."
static void
unknown_command(request_t *request, const token_t *words, size_t count)
{
    text_t wrong = { 0 };
    text_add(&wrong, "%s%s%s", words[0].text, count > 1 ? " " : "", count > 1 ? words[1].text : "");
    suggest_t whole = suggest_for(wrong.data), first = suggest_for(words[0].text);
    offer_commands(&whole, &first);
    if (count > 1 || !fail_with_second_words(request, words[0].text, "")) {
        const char *best = *whole.best ? whole.best : first.best;
        reply_fail(request, "unknown command %s", wrong.data);
        if (strcmp(best, words[0].text) == 0)
            fail_with_second_words(request, best, "; ");
        else if (*best)
            reply_fail(request, "; did you mean %s?", best);
        else
            reply_fail(request, "; `help' lists them");
    }
    text_free(&wrong);
}

// REASON, of one line or more, says why it failed.
static void
log_command(event_id_t id, const command_t *command, const char *line, const control_peer_t *who, const char *reason)
{
    char *first = reason ? xstrndup(reason, strcspn(reason, "\n")) : NULL;
    log_event(id, EVENT_WORDS("verb", command->name), EVENT_TEXT("command", line), EVENT_NUMBER("uid", who->uid),
              EVENT_NUMBER("gid", who->gid), EVENT_NUMBER("pid", who->pid), EVENT_TEXT("reason", first));
    free(first);
}

static void
run_command(request_t *request, const token_t *words, size_t count, const char *line, const control_peer_t *who)
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
        reply_fail(request, "usage: %s%s%s", command->name, *command->arguments ? " " : "", command->arguments);
        return;
    }
    if (command->effect != READS)
        log_command(EVENT_CONTROL_COMMAND, command, line, who, NULL);
    command->run(request);
    if (command->effect != READS && request->error.size)
        log_command(EVENT_CONTROL_FAILED, command, line, who, request->error.data);
}

command_result_t
commands_run(broker_t *broker, const char *line, size_t size, const control_peer_t *who, int descriptor, text_t *answer,
             tap_request_t *tap, leaving_t *leaving)
{
    token_t words[TOKENS_MAX] = { { 0 } };
    size_t before = answer->size;
    char *copy = xcalloc(size + 1, 1), *shown = xstrndup(line, size);
    request_t request = { .broker = broker, .descriptor = descriptor, .who = who, .out = answer, .tap = tap, .leaving = leaving,
                          .result = COMMAND_DONE };
    memcpy(copy, line, size); // NUL bytes too, to find them
    const char *reason;
    size_t count = tokens_split(copy, size, words, &reason);
    if (reason)
        reply_fail(&request, "%s", reason);
    request.json = asks_for_json(words, count);
    count -= request.json;
    if (!request.error.size && count)
        run_command(&request, words, count, shown, who);
    else if (!request.error.size)
        reply_fail(&request, "no command; `help' lists them");
    if (request.error.size) {
        answer->size = before; // what it wrote before it failed is taken back
        reply_refuse(answer, request.json, request.error.data);
        tap_request_free(tap);
        request.result = COMMAND_FAILED;
    }
    text_free(&request.error);
    free(shown);
    free(copy);
    return request.result;
}
