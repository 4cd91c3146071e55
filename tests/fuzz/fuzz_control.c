// SPDX-License-Identifier: MPL-2.0
//
// One line of the control socket. Whatever it is: the answer has no blank line
// and no control character, its failures begin as they must, and JSON that was
// asked for is one line that opens and closes.
#include "admin/commands.h"
#include "base/log.h"
#include "../fake_broker.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char ini[] = "[route prices]\n"
                          "type = forwarder\n"
                          "frontend_bind = tcp://127.0.0.1:15555\n"
                          "backend_bind = tcp://127.0.0.1:15556\n";

static void
demand(bool condition)
{
    if (!condition)
        abort();
}

// Brackets outside strings are balanced, and a string ends.
static bool
is_closed(const char *text, size_t size)
{
    int depth = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++)
        if (quoted && text[i] == '\\')
            i++;
        else if (text[i] == '"')
            quoted = !quoted;
        else if (!quoted && strchr("{[", text[i]))
            depth++;
        else if (!quoted && strchr("}]", text[i]))
            depth--;
    return depth == 0 && !quoted;
}

static void
check_answer(const text_t *answer, command_result_t result)
{
    const char *text = answer->data;
    demand(answer->size > 0 && text[answer->size - 1] == '\n' && text[0] != '\n');
    demand(!memchr(text, '\0', answer->size));
    demand(!strstr(text, "\n\n"));
    for (size_t i = 0; i < answer->size; i++)
        demand(text[i] == '\n' || (unsigned char)text[i] >= 0x20);
    if (*text == '{')
        demand(strchr(text, '\n') == text + answer->size - 1 && is_closed(text, answer->size));
    bool failed = strncmp(text, "error: ", 7) == 0 || strncmp(text, "{\"error\":\"", 10) == 0;
    demand(failed == (result == COMMAND_FAILED));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static broker_t *broker;
    if (!broker) {
        log_open(LOG_TARGET_STDERR, 0, LOG_LEVEL_ERROR);
        broker = fake_broker_new(ini);
    }
    text_t answer = { 0 };
    tap_request_t tap = { 0 };
    text_bytes(&answer, "", 0);
    text_clear(&broker->calls);
    size = size < COMMAND_LINE_MAX ? size : COMMAND_LINE_MAX;
    char *line = malloc(size + 1); // its own, so that a read beyond it is seen
    if (!line)
        return 0;
    memcpy(line, data, size);
    command_result_t result = commands_run(broker, line, size, &(control_peer_t){ 0 }, -1, &answer, &tap, &(leaving_t){ 0 });
    if (result == COMMAND_TAP)
        demand(answer.size == 0 && strcmp(tap.route, "prices") == 0);
    else
        check_answer(&answer, result);
    log_set_level(LOG_LEVEL_ERROR); // `set log_level' works
    tap_request_free(&tap);
    text_free(&answer);
    free(line);
    return 0;
}
