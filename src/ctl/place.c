// SPDX-License-Identifier: MPL-2.0
// place.c - see place.h.

#include "ctl/place.h"

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/ini.h"
#include "conf/process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 16 * 1024 * 1024 };

static bool
read_file(const char *file, text_t *text)
{
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    char block[4096];
    size_t got;
    if (!in)
        return false;
    text_bytes(text, "", 0);
    while (text->size < FILE_MAX && (got = fread(block, 1, sizeof block, in)) > 0)
        text_bytes(text, block, got);
    bool failed = ferror(in);
    if (in != stdin)
        fclose(in);
    return !failed;
}

static char *
value_in(const ini_t *ini, const char *key)
{
    char *found = NULL;
    for (size_t i = 0; i < ini->entry_count; i++)
        if (strcmp(ini->sections[ini->entries[i].section].name, "zbroker") == 0 &&
            strcmp(ini->entries[i].key, key) == 0) {
            free(found);
            found = xstrdup(ini->entries[i].value);
        }
    return found;
}

// An included file may say it; then all of the configuration must be right.
static char *
control_of_whole(const char *file, diag_t *diag)
{
    conf_t *conf = conf_load(file, NULL, 0, diag);
    char *found = conf ? xstrdup(conf->control ? conf->control : "") : NULL;
    conf_destroy(&conf);
    return found;
}

// `control' of [zbroker] in FILE, as far as it can be read: whether the rest is
// right is not our business. NULL: it has none.
static char *
control_of(const char *file, const text_t *text)
{
    ini_t ini = { 0 };
    diag_t *diag = diag_new();
    ini_read(&ini, file, text->data, text->size, diag);
    char *found = value_in(&ini, "control"), *include = value_in(&ini, "include");
    if (!found && include && strcmp(file, "-") != 0)
        found = control_of_whole(file, diag);
    free(include);
    ini_free(&ini);
    diag_destroy(&diag);
    return found;
}

exit_t
place_find(const char *socket, const char *file, char **path, text_t *reason)
{
    text_t text = { 0 };
    const char *read = file ? file : PLACE_FILE;
    *path = NULL;
    if (socket) {
        *path = xstrdup(socket);
        return EXIT_OK;
    }
    if (read_file(read, &text)) {
        *path = control_of(read, &text);
    } else if (file) {
        text_add(reason, "%s: %s", file, strerror(errno));
        return EXIT_USAGE;
    }
    text_free(&text);
    if (*path && !**path) {
        text_add(reason, "%s switches the control socket off", read);
        return EXIT_NO_DAEMON;
    }
    if (!*path)
        *path = process_control(read);
    return EXIT_OK;
}
