// SPDX-License-Identifier: MPL-2.0
#include "conf/ini.h"
#include "base/mem.h"

#include <ctype.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <ini.h>

#define NO_SECTION SIZE_MAX

typedef struct {
    ini_t *ini;
    diag_t *diag;
    const char *file;
    const char *at, *end; // what is left of the text
    int line;
    size_t section; // that keys go to, NO_SECTION: they are left out
    bool homeless;  // a key before any section was reported
    bool any_section;
} ini_reader_t;

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static place_t
place(const ini_reader_t *self, size_t offset)
{
    return (place_t){ self->file, self->line, (int)offset + 1 };
}

char *
ini_trim(char *text, size_t *offset)
{
    // A ';' starts a comment only after a blank, as in inih.
    for (char *at = text; *at; at++)
        if (*at == ';' && at > text && is_blank(at[-1])) {
            *at = '\0';
            break;
        }
    *offset = strspn(text, " \t");
    text += *offset;
    size_t length = strlen(text);
    while (length > 0 && is_blank(text[length - 1]))
        text[--length] = '\0';
    return text;
}

bool
ini_is_quoted(const char *value)
{
    size_t size = strlen(value);
    return size >= 2 && (*value == '"' || *value == '\'') && value[size - 1] == *value;
}

const char *
ini_value_hint(const char *value)
{
    bool has_comment = *value == '#' || strstr(value, " #") || strstr(value, "\t#");
    return ini_is_quoted(value) ? "; quotes are part of a value, leave them out"
           : has_comment        ? "; a comment after a value begins with \" ;\", not with #"
                                : "";
}

// --- one physical line ---------------------------------------------------------

// "[ route  a ]" names "route a".
static char *
section_name(const char *from, const char *end)
{
    char *name = xcalloc((size_t)(end - from) + 1, 1), *to = name;
    for (; from < end; from++) {
        if (is_blank(*from) && (to == name || is_blank(to[-1])))
            continue;
        *to++ = is_blank(*from) ? ' ' : *from;
    }
    if (to > name && is_blank(to[-1]))
        to--;
    *to = '\0';
    return name;
}

// Returns what inih is to read, "" for nothing.
static void
read_section(ini_reader_t *self, const char *line, char *out, size_t room)
{
    self->section = NO_SECTION;
    self->any_section = true;
    const char *close = strchr(line, ']');
    const char *comment = strstr(line, " ;");
    if (!close || (comment && comment < close)) {
        diag_error(self->diag, place(self, strlen(line)), "a closing ] is missing");
        return;
    }
    const char *after = close + 1 + strspn(close + 1, " \t");
    if (*after && *after != ';' && *after != '#') {
        diag_error(self->diag, place(self, (size_t)(after - line)), "unexpected text after the section name");
        return;
    }
    size_t column = 1 + strspn(line + 1, " \t");
    char *name = section_name(line + 1, close);
    if (!*name || strlen(name) > INI_NAME_MAX) {
        if (*name)
            diag_error(self->diag, place(self, column), "the section name has %zu bytes, at most %d", strlen(name),
                       INI_NAME_MAX);
        else
            diag_error(self->diag, place(self, 0), "the section name is missing");
        free(name);
        return;
    }
    ini_t *ini = self->ini;
    mem_grow(ini->sections, ini->section_count, ini->section_room);
    self->section = ini->section_count++;
    ini->sections[self->section] = (ini_section_t){ .name = name, .place = place(self, column) };
    snprintf(out, room, "[%s]\n", name);
}

static bool
is_key_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '.';
}

// The section a complaint about the line in hand belongs to.
static const char *
section_label(const ini_reader_t *self, char *label, size_t size)
{
    *label = '\0';
    if (self->section != NO_SECTION)
        snprintf(label, size, "[%s] ", self->ini->sections[self->section].name);
    return label;
}

static void
read_entry(ini_reader_t *self, char *line, char *out, size_t room)
{
    char label[80];
    section_label(self, label, sizeof label);
    char *equals = strchr(line, '=');
    if (!equals) {
        diag_error(self->diag, place(self, 0), "%sthe line is not KEY = VALUE", label);
        return;
    }
    size_t length = (size_t)(equals - line);
    while (length > 0 && is_blank(line[length - 1]))
        length--;
    if (length == 0) {
        diag_error(self->diag, place(self, 0), "%sa key is missing before the =", label);
        return;
    }
    for (size_t i = 0; i < length; i++)
        if (!is_key_char(line[i])) {
            diag_error(self->diag, place(self, i), "%sa key has letters, digits and _", label);
            return;
        }
    if (length > INI_NAME_MAX) {
        diag_error(self->diag, place(self, 0), "%sthe key has %zu bytes, at most %d", label, length, INI_NAME_MAX);
        return;
    }
    if (!self->any_section && !self->homeless) {
        diag_error(self->diag, place(self, 0),
                   "a key before any section; start with [zbroker], [defaults] or [route NAME]");
        self->homeless = true;
    }
    if (self->section == NO_SECTION)
        return;
    size_t offset;
    char *value = ini_trim(equals + 1, &offset);
    ini_t *ini = self->ini;
    mem_grow(ini->entries, ini->entry_count, ini->entry_room);
    snprintf(out, room, "%.*s = %zu\n", (int)length, line, ini->entry_count);
    ini->entries[ini->entry_count++] = (ini_entry_t){
        .section = self->section,
        .key = xstrndup(line, length),
        .value = xstrdup(value),
        .key_place = place(self, 0),
        .value_place = place(self, (size_t)(value - line)),
    };
}

// Is it a line of text at all? What is not was reported.
static bool
is_sound(ini_reader_t *self, const char *line, size_t length)
{
    char label[80];
    section_label(self, label, sizeof label);
    if (length > INI_LINE_MAX) {
        diag_error(self->diag, place(self, INI_LINE_MAX), "%sthe line has %zu bytes, at most %d", label, length,
                   INI_LINE_MAX);
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)line[i];
        if (byte == '\0') {
            diag_error(self->diag, place(self, i), "%sa NUL byte", label);
            return false;
        }
        if ((byte < ' ' && byte != '\t') || byte == 0x7f) {
            diag_error(self->diag, place(self, i), "%sa control character, 0x%02x", label, byte);
            return false;
        }
    }
    return true;
}

static void
read_line(ini_reader_t *self, const char *raw, size_t length, char *out, size_t room)
{
    if (length > 0 && raw[length - 1] == '\r')
        length--;
    if (!is_sound(self, raw, length))
        return;
    char line[INI_LINE_MAX + 1];
    memcpy(line, raw, length);
    line[length] = '\0';
    size_t indent = strspn(line, " \t");
    if (!line[indent] || line[indent] == ';' || line[indent] == '#')
        return;
    char label[80];
    if (indent > 0)
        diag_error(self->diag, place(self, indent),
                   "%sthe line is indented; there are no continuation lines, start in the first column",
                   section_label(self, label, sizeof label));
    else if (*line == '[')
        read_section(self, line, out, room);
    else
        read_entry(self, line, out, room);
}

// --- inih ------------------------------------------------------------------------

// ini_reader, in fgets's place: the next line that is fit for inih. A line for
// it has at most 49 + 3 + 20 + 1 bytes, its buffer 200 in every release.
static char *
next_line(char *buffer, int size, void *stream)
{
    ini_reader_t *self = stream;
    char out[INI_NAME_MAX + 32] = "";
    while (self->at < self->end && !*out) {
        const char *newline = memchr(self->at, '\n', (size_t)(self->end - self->at));
        const char *stop = newline ? newline : self->end;
        self->line++;
        size_t errors = diag_errors(self->diag);
        read_line(self, self->at, (size_t)(stop - self->at), out, sizeof out);
        if (self->section != NO_SECTION && diag_errors(self->diag) > errors)
            self->ini->sections[self->section].damaged = true;
        self->at = newline ? newline + 1 : self->end;
    }
    if (!*out || size <= 0)
        return NULL;
    snprintf(buffer, (size_t)size, "%s", out);
    return buffer;
}

// ini_handler: NAME and SECTION are inih's own reading of the line; VALUE is our
// number. Debian's build passes a line number besides, which nobody else does.
static int
deliver(void *user, const char *section, const char *name, const char *value)
{
    ini_t *ini = user;
    char *end;
    size_t i = (size_t)strtoull(value ? value : "", &end, 10);
    if (!value || *end || i >= ini->entry_count)
        return 0;
    ini_entry_t *entry = &ini->entries[i];
    entry->seen = strcmp(entry->key, name) == 0 && strcmp(ini->sections[entry->section].name, section) == 0;
    return entry->seen;
}

void
ini_read(ini_t *self, const char *file, const char *text, size_t size, diag_t *diag)
{
    static const char bom[3] = "\xef\xbb\xbf";
    *self = (ini_t){ 0 };
    if (size >= sizeof bom && memcmp(text, bom, sizeof bom) == 0) {
        text += sizeof bom;
        size -= sizeof bom;
    }
    ini_reader_t reader = {
        .ini = self, .diag = diag, .file = file, .at = text, .end = text + size, .section = NO_SECTION
    };
    diag_quote(diag, false);
    // The handler's result counts only for the return value; what matters is which entries arrived.
    if (size > 0)
        ini_parse_stream(next_line, &reader, deliver, self);
    size_t kept = 0;
    for (size_t i = 0; i < self->entry_count; i++) {
        ini_entry_t *entry = &self->entries[i];
        if (entry->seen) {
            self->entries[kept++] = *entry;
            continue;
        }
        diag_error(diag, entry->key_place, "[%s] %s: the INI library cannot read this line",
                   self->sections[entry->section].name, entry->key);
        self->sections[entry->section].damaged = true;
        free(entry->key);
        free(entry->value);
    }
    self->entry_count = kept;
    diag_quote(diag, true);
}

void
ini_free(ini_t *self)
{
    for (size_t i = 0; i < self->section_count; i++)
        free(self->sections[i].name);
    for (size_t i = 0; i < self->entry_count; i++) {
        free(self->entries[i].key);
        free(self->entries[i].value);
    }
    free(self->sections);
    free(self->entries);
    *self = (ini_t){ 0 };
}
