// SPDX-License-Identifier: MPL-2.0
// verbs.c - see verbs.h.

#include "ctl/verbs.h"

#include "admin/commandlist.h"
#include "base/mem.h"

#include <string.h>

enum { USAGE_WIDTH = 28 };

#define ROW(name, arguments, min, max, effect, manner, run, help) { name, arguments, manner, help },

static const ctl_verb_t verbs[] = {
    COMMAND_LIST(ROW)
    // our own, made of the daemon's
    { "top", "[ROUTE]", ANSWERS, "show stats, again and again" },
    { "record", RECORD_ARGUMENTS, STREAMS, "write messages into a file as they pass" },
    { "check-reload", "", ANSWERS, "show plan of the file that -c names" },
    { "ping", "", ANSWERS, "does the daemon answer?" },
    { "version", "", ANSWERS, "of zbrokerctl and of the daemon" },
};

// How many of WORDS name VERB; 0: they do not.
static size_t
matches(const ctl_verb_t *verb, const char *const *words, size_t count)
{
    const char *blank = strchr(verb->name, ' ');
    if (!blank)
        return count && strcmp(words[0], verb->name) == 0 ? 1 : 0;
    size_t first = (size_t)(blank - verb->name);
    if (count < 2 || strncmp(words[0], verb->name, first) != 0 || words[0][first])
        return 0;
    return strcmp(words[1], blank + 1) == 0 ? 2 : 0;
}

const ctl_verb_t *
verbs_find(const char *const *words, size_t count, size_t *used)
{
    for (size_t i = 0; i < COUNT(verbs); i++)
        if ((*used = matches(&verbs[i], words, count)))
            return &verbs[i];
    return NULL;
}

bool
verbs_is_shown(const char *word)
{
    const char *const words[] = { "show", word };
    size_t used;
    return !verbs_find(&word, 1, &used) && verbs_find(words, 2, &used);
}

// Does NAME begin with the WORDS?
static bool
begins_with(const char *name, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t size = strcspn(name, " ");
        if (strncmp(words[i], name, size) != 0 || words[i][size])
            return false;
        name += size + (name[size] == ' ');
    }
    return true;
}

static void
put_help(const ctl_verb_t *verb, text_t *out)
{
    text_t usage = { 0 };
    text_add(&usage, "%s%s%s", verb->name, *verb->arguments ? " " : "", verb->arguments);
    text_add(out, "%-*s", USAGE_WIDTH, usage.data);
    if (usage.size > USAGE_WIDTH)
        text_add(out, "\n%*s", USAGE_WIDTH, "");
    text_add(out, "  %s\n", verb->help);
    text_free(&usage);
}

bool
verbs_help(const char *const *words, size_t count, text_t *out)
{
    bool found = false;
    for (size_t i = 0; i < COUNT(verbs); i++)
        if (begins_with(verbs[i].name, words, count)) {
            put_help(&verbs[i], out);
            found = true;
        }
    return found;
}
