// SPDX-License-Identifier: MPL-2.0
//
// The sections of all files, and the names that places have.
#include "conf/raw_internal.h"

#include "base/mem.h"
#include "conf/conf.h"
#include "conf/suggest.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// Places and paths live longer than any conf_t: a route can be taken out of it.
// Names are few and repeat at every reload, so they are kept for good.
static struct {
    char **at;
    size_t count, room;
} names;

size_t
raw_names(void)
{
    return names.count;
}

void
raw_names_forget(size_t count)
{
    while (names.count > count)
        free(names.at[--names.count]);
}

const char *
raw_intern(const char *text)
{
    for (size_t i = 0; i < names.count; i++)
        if (strcmp(names.at[i], text) == 0)
            return names.at[i];
    mem_grow(names.at, names.count, names.room);
    return names.at[names.count++] = xstrdup(text);
}

size_t
raw_add_section(raw_t *raw, raw_kind_t kind, const char *name, place_t place)
{
    mem_grow(raw->sections, raw->count, raw->room);
    raw->sections[raw->count] = (raw_section_t){ .kind = kind, .name = xstrdup(name), .place = place };
    return raw->count++;
}

size_t
raw_find_section(const raw_t *raw, const char *name)
{
    for (size_t i = 0; i < raw->count; i++)
        if (strcmp(raw->sections[i].name, name) == 0)
            return i;
    return RAW_NO_SECTION;
}

static bool
is_route_char(char c)
{
    return isalnum((unsigned char)c) || c == '.' || c == '_' || c == '-';
}

// The name after "route ": what is wrong with it is in DIAG.
static bool
check_route_name(const ini_section_t *section, diag_t *diag)
{
    const char *name = section->name + 6;
    place_t place = section->place;
    for (const char *at = name; *at; at++)
        if (!is_route_char(*at)) {
            place.column += (int)(at - section->name);
            diag_error(diag, place, "[%s]: a route's name has letters, digits, '.', '_' and '-'", section->name);
            return false;
        }
    if (strlen(name) <= ROUTE_NAME_MAX)
        return true;
    diag_error(diag, place, "[%s]: the route's name has %zu bytes, at most %d", section->name, strlen(name),
               ROUTE_NAME_MAX);
    return false;
}

static void
unknown_section(place_t place, const char *name, diag_t *diag)
{
    size_t word = strcspn(name, " ");
    char *first = xstrndup(name, word);
    const char *foreign = suggest_foreign("section", first);
    suggest_t suggest = suggest_for(foreign ? foreign : first);
    suggest_offer(&suggest, "zbroker");
    suggest_offer(&suggest, "defaults");
    suggest_offer(&suggest, "route");
    if (strcmp(suggest.best, "route") == 0)
        diag_error(diag, place, "[%s]: unknown section; did you mean [route%s]?", name,
                   name[word] ? name + word : " NAME");
    else if (*suggest.best)
        diag_error(diag, place, "[%s]: unknown section; did you mean [%s]?", name, suggest.best);
    else
        diag_error(diag, place, "[%s]: unknown section; expected [zbroker], [defaults] or [route NAME]", name);
    free(first);
}

size_t
raw_open_section(raw_t *raw, const ini_section_t *section, diag_t *diag)
{
    size_t found = raw_find_section(raw, section->name);
    if (strncmp(section->name, "route ", 6) != 0) {
        if (found == RAW_NO_SECTION)
            unknown_section(section->place, section->name, diag);
        else if (!raw->sections[found].place.line)
            raw->sections[found].place = section->place;
        return found;
    }
    if (!check_route_name(section, diag))
        return RAW_NO_SECTION;
    if (found != RAW_NO_SECTION) {
        place_t first = raw->sections[found].place;
        diag_error(diag, section->place, "[%s]: duplicate route, first defined at %s:%d", section->name, first.file,
                   first.line);
        return RAW_NO_SECTION;
    }
    return raw_add_section(raw, RAW_ROUTE, section->name, section->place);
}

void
raw_add_item(raw_t *raw, size_t section, raw_item_t item)
{
    raw_section_t *to = &raw->sections[section];
    mem_grow(to->items, to->count, to->room);
    item.order = raw->items++;
    to->items[to->count++] = item;
}
