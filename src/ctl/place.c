// SPDX-License-Identifier: MPL-2.0
// place.c - see place.h.

#include "ctl/place.h"

#include "base/mem.h"
#include "conf/process.h"
#include "conf/raw.h"

#include <stdlib.h>
#include <string.h>

static char *
value_of(const raw_section_t *section, const char *key)
{
    const raw_item_t *found = NULL;
    for (size_t i = 0; i < section->count; i++)
        if (strcmp(section->items[i].key, key) == 0)
            found = &section->items[i];
    if (!found)
        return NULL;
    bool relative = *found->value && *found->value != '/';
    return relative ? xasprintf("%s/%s", found->folder, found->value) : xstrdup(found->value);
}

// `control' of [zbroker] in FILE and what it includes, as far as they can be read: whether the rest is right is not our
// business, least of all before a reload. *PATH is NULL if it is nowhere. 0, or -1 with the REASON why FILE cannot be read.
static int
read_control(const char *file, char **path, text_t *reason)
{
    raw_source_t source = { .file = file, .descriptor = -1 };
    raw_t raw = { 0 };
    diag_t *diag = diag_new();
    diag_item_t problem;
    raw_read(&raw, &source, diag);
    int rc = raw.readable ? 0 : -1;
    *path = value_of(&raw.sections[RAW_PROCESS], "control");
    if (rc == -1 && diag_at(diag, 0, &problem))
        text_add(reason, "%s", problem.message);
    raw_free(&raw);
    diag_destroy(&diag);
    return rc;
}

exit_t
place_find(const char *socket, const char *file, char **path, text_t *reason)
{
    const char *read = file ? file : PLACE_FILE;
    *path = NULL;
    if (socket) {
        *path = xstrdup(socket);
        return EXIT_OK;
    }
    if (read_control(read, path, reason) == -1) {
        if (file)
            return EXIT_USAGE;
        text_clear(reason);
    }
    if (*path && !**path) {
        text_add(reason, "%s switches the control socket off", read);
        return EXIT_NO_DAEMON;
    }
    if (!*path)
        *path = process_control(read);
    return EXIT_OK;
}
