// SPDX-License-Identifier: MPL-2.0
//
// -o SECTION.KEY=VALUE.
#include "conf/raw_internal.h"

#include "base/mem.h"
#include "conf/suggest.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    char *section, *key, *value;
    place_t place; // of the section, the key's and value's columns follow
    int key_column, value_column;
} override_t;

// "SECTION.KEY=VALUE" at the last dot before the first '='. 0, or -1 with the reason in DIAG.
static int
split_override(const char *text, size_t number, override_t *override, diag_t *diag)
{
    place_t place = { "-o", (int)number + 1, 1 };
    *override = (override_t){ .place = place };
    const char *equals = strchr(text, '=');
    const char *dot = equals ? memrchr(text, '.', (size_t)(equals - text)) : NULL;
    if (!dot || dot == text || dot + 1 == equals) {
        diag_error(diag, place, "\"%.80s\" is not SECTION.KEY=VALUE", text);
        return -1;
    }
    for (const char *at = text; *at; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f || at - text >= INI_LINE_MAX) {
            place.column = (int)(at - text) + 1;
            diag_error(diag, place, at - text >= INI_LINE_MAX ? "the override is too long" : "a control character");
            return -1;
        }
    size_t offset;
    char *value = xstrdup(equals + 1), *trimmed = ini_trim(value, &offset);
    override->section = xstrndup(text, (size_t)(dot - text));
    override->key = xstrndup(dot + 1, (size_t)(equals - dot - 1));
    override->key[strcspn(override->key, " ")] = '\0';
    override->value = xstrdup(trimmed);
    override->key_column = (int)(dot - text) + 2;
    override->value_column = (int)(equals - text) + 2 + (int)offset;
    free(value);
    return 0;
}

static void
free_override(override_t *override)
{
    free(override->section);
    free(override->key);
    free(override->value);
}

// What the file says of KEY goes; what an earlier -o said stays, so that several make a list.
static void
drop_items(raw_section_t *section, const char *key)
{
    size_t kept = 0;
    for (size_t i = 0; i < section->count; i++) {
        if (section->items[i].override || strcmp(section->items[i].key, key) != 0) {
            section->items[kept++] = section->items[i];
            continue;
        }
        free(section->items[i].key);
        free(section->items[i].value);
    }
    section->count = kept;
}

static void
apply(raw_t *raw, const override_t *override, const char *folder, diag_t *diag)
{
    size_t found = raw_find_section(raw, override->section);
    if (found == RAW_NO_SECTION) {
        suggest_t suggest = suggest_for(override->section);
        for (size_t i = 0; i < raw->count; i++)
            suggest_offer(&suggest, raw->sections[i].name);
        if (*suggest.best)
            diag_error(diag, override->place, "[%s]: no such section; did you mean [%s]?", override->section,
                       suggest.best);
        else
            diag_error(diag, override->place, "[%s]: no such section", override->section);
        return;
    }
    drop_items(&raw->sections[found], override->key);
    place_t key = override->place, value = override->place;
    key.column = override->key_column;
    value.column = override->value_column;
    raw_add_item(raw, found,
                 (raw_item_t){ .key = xstrdup(override->key),
                               .value = xstrdup(override->value),
                               .key_place = key,
                               .value_place = value,
                               .folder = folder,
                               .override = true });
}

void
raw_override(raw_t *raw, const raw_source_t *source, diag_t *diag)
{
    char *here = raw_folder_of("-");
    const char *folder = raw_intern(here);
    free(here);
    for (size_t i = 0; i < source->override_count; i++) {
        override_t override;
        if (split_override(source->overrides[i], i, &override, diag) == 0)
            apply(raw, &override, folder, diag);
        free_override(&override);
    }
}
