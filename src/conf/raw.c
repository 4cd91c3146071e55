// SPDX-License-Identifier: MPL-2.0
#include "conf/raw.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/ini.h"
#include "conf/suggest.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX ((size_t)16 << 20)
#define DEPTH_MAX 16
#define FILES_MAX 10000

// The files that are being read, innermost first: a file that is in there again is a loop.
typedef struct nesting {
    const struct nesting *outer;
    dev_t device;
    ino_t inode;
} nesting_t;

typedef struct {
    raw_t *raw;
    diag_t *diag;
    const conf_source_t *source;
    bool includes_overridden;
    bool confined; // every include has to be in INSIDE
    char *inside;  // a folder without links, "" for /; NULL: nothing is in there
    size_t files;
} load_t;

// Places and paths live longer than any conf_t: a route can be taken out of it.
// Names are few and repeat at every reload, so they are kept for good.
static struct {
    char **at;
    size_t count, room;
} names;

size_t
conf_names(void)
{
    return names.count;
}

void
conf_names_forget(size_t count)
{
    while (names.count > count)
        free(names.at[--names.count]);
}

static const char *
intern(const char *text)
{
    for (size_t i = 0; i < names.count; i++)
        if (strcmp(names.at[i], text) == 0)
            return names.at[i];
    mem_grow(names.at, names.count, names.room);
    return names.at[names.count++] = xstrdup(text);
}

// --- sections --------------------------------------------------------------------

static size_t
add_section(raw_t *raw, raw_kind_t kind, const char *name, place_t place)
{
    mem_grow(raw->sections, raw->count, raw->room);
    raw->sections[raw->count] = (raw_section_t){ .kind = kind, .name = xstrdup(name), .place = place };
    return raw->count++;
}

#define UNKNOWN ((size_t)-1)

static size_t
find_section(const raw_t *raw, const char *name)
{
    for (size_t i = 0; i < raw->count; i++)
        if (strcmp(raw->sections[i].name, name) == 0)
            return i;
    return UNKNOWN;
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
        diag_error(diag, place, "[%s]: unknown section, there is [zbroker], [defaults] and [route NAME]", name);
    free(first);
}

// Where the keys of SECTION go: an index, or UNKNOWN with the reason in DIAG.
static size_t
open_section(raw_t *raw, const ini_section_t *section, diag_t *diag)
{
    size_t found = find_section(raw, section->name);
    if (strncmp(section->name, "route ", 6) != 0) {
        if (found == UNKNOWN)
            unknown_section(section->place, section->name, diag);
        else if (!raw->sections[found].place.line)
            raw->sections[found].place = section->place;
        return found;
    }
    if (!check_route_name(section, diag))
        return UNKNOWN;
    if (found != UNKNOWN) {
        place_t first = raw->sections[found].place;
        diag_error(diag, section->place, "[%s]: this route is there already, in %s:%d", section->name, first.file,
                   first.line);
        return UNKNOWN;
    }
    return add_section(raw, RAW_ROUTE, section->name, section->place);
}

static void
add_item(raw_t *raw, size_t section, raw_item_t item)
{
    raw_section_t *to = &raw->sections[section];
    mem_grow(to->items, to->count, to->room);
    item.order = raw->items++;
    to->items[to->count++] = item;
}

// --- files -----------------------------------------------------------------------

static char *
folder_of(const char *file)
{
    char here[4096];
    const char *slash = strrchr(file, '/');
    if (file[0] == '/')
        return slash == file ? xstrdup("/") : xstrndup(file, (size_t)(slash - file));
    if (!getcwd(here, sizeof here))
        snprintf(here, sizeof here, ".");
    if (!slash)
        return xstrdup(here);
    while (file[0] == '.' && file[1] == '/' && file + 1 < slash)
        file += 2;
    if (slash <= file + 1 && *file == '.')
        return xstrdup(here);
    return xasprintf("%s/%.*s", strcmp(here, "/") == 0 ? "" : here, (int)(slash - file), file);
}

// The whole of FD. Returns 0, or -1 with errno.
static int
slurp(int fd, text_t *content)
{
    char block[16384];
    for (;;) {
        ssize_t size = read(fd, block, sizeof block);
        if (size == 0)
            return 0;
        if (size == -1 && errno == EINTR)
            continue;
        if (size == -1)
            return -1;
        if (content->size + (size_t)size > FILE_MAX) {
            errno = EFBIG;
            return -1;
        }
        text_bytes(content, block, (size_t)size);
    }
}

// The folder that a source's includes may not leave, as its whole path without links.
static void
confine(load_t *load)
{
    const char *beside = load->source->includes_beside;
    load->confined = beside != NULL;
    if (!beside || strcmp(beside, "-") == 0)
        return;
    char *folder = folder_of(beside);
    load->inside = realpath(folder, NULL);
    if (load->inside && strcmp(load->inside, "/") == 0)
        *load->inside = '\0';
    free(folder);
}

// PATH, which the caller frees, without links if includes are confined; NULL: it is not inside.
static char *
included_path(const load_t *load, const char *path)
{
    if (!load->confined)
        return xstrdup(path);
    char *resolved = realpath(path, NULL);
    size_t length = load->inside ? strlen(load->inside) : 0;
    bool inside = resolved && load->inside && strncmp(resolved, load->inside, length) == 0;
    if (inside && (resolved[length] == '/' || resolved[length] == '\0'))
        return resolved;
    free(resolved);
    return NULL;
}

static void
refuse_outside(const load_t *load, const char *path, place_t place)
{
    diag_error(load->diag, place, "[zbroker] include: %s: only files below %s can be included here", path,
               !load->inside ? "no folder" : *load->inside ? load->inside : "/");
}

// The descriptor of FILE, AT an include line or {0}. -1 with errno.
static int
open_file(const load_t *load, const char *file, place_t at)
{
    int given = at.line ? -1 : load->source->descriptor;
    if (given != -1)
        lseek(given, 0, SEEK_SET);
    else if (!at.line && strcmp(file, "-") == 0)
        given = STDIN_FILENO;
    if (given != -1)
        return fcntl(given, F_DUPFD_CLOEXEC, 0);
    // Nobody reads a pipe that an include names by mistake; the main file may be one.
    return open(file, O_RDONLY | O_CLOEXEC | (at.line ? O_NONBLOCK : 0));
}

static void read_text(load_t *load, const char *file, const char *text, size_t size, const nesting_t *nesting);

// AT is the include line; {0} for the main file.
static void
read_file(load_t *load, const char *file, const nesting_t *outer, place_t at)
{
    place_t place = at.line ? at : (place_t){ intern(file), 1, 1 };
    const char *label = at.line ? "[zbroker] include: " : "";
    char *path = at.line ? included_path(load, file) : xstrdup(file);
    if (!path) {
        refuse_outside(load, file, place);
        return;
    }
    bool only_regular = at.line || load->source->descriptor != -1;
    int fd = open_file(load, path, at);
    struct stat status;
    text_t content = { 0 };
    if (fd == -1 || fstat(fd, &status) == -1) {
        diag_error(load->diag, place, "%scannot read %s: %s%s", label, file, strerror(errno), at.line ? ini_value_hint(file) : "");
        goto done;
    }
    if (S_ISDIR(status.st_mode) || (only_regular && !S_ISREG(status.st_mode))) {
        diag_error(load->diag, place, "%scannot read %s: it is %s", label, file,
                   S_ISDIR(status.st_mode) ? "a folder" : "not a regular file");
        goto done;
    }
    size_t depth = 0;
    for (const nesting_t *file_in = outer; file_in; file_in = file_in->outer, depth++)
        if (file_in->device == status.st_dev && file_in->inode == status.st_ino && S_ISREG(status.st_mode)) {
            diag_error(load->diag, place, "%s%s is being read already, a loop", label, file);
            goto done;
        }
    if (depth >= DEPTH_MAX || load->files++ >= FILES_MAX) {
        diag_error(load->diag, place, "%stoo many files, %d deep and %d in all", label, DEPTH_MAX, FILES_MAX);
        goto done;
    }
    if (slurp(fd, &content) == -1) {
        diag_error(load->diag, place, "%scannot read %s: %s", label, file, strerror(errno));
        goto done;
    }
    nesting_t nesting = { outer, status.st_dev, status.st_ino };
    if (!at.line)
        load->raw->readable = true;
    read_text(load, file, content.data ? content.data : "", content.size, &nesting);
done:
    if (fd != -1)
        close(fd);
    text_free(&content);
    free(path);
}

// May PATTERN be looked up at all? What it finds is judged by itself.
static bool
may_search(const load_t *load, const char *pattern)
{
    if (!load->confined)
        return true;
    char *start = xstrndup(pattern, strcspn(pattern, "*?["));
    char *folder = strrchr(start, '/') ? folder_of(start) : NULL;
    char *found = folder && !strstr(pattern, "/../") ? included_path(load, folder) : NULL;
    bool may = found != NULL;
    free(found);
    free(folder);
    free(start);
    return may;
}

static void
include(load_t *load, const char *value, const char *file, place_t place, const nesting_t *nesting)
{
    if (!*value)
        return;
    // As the user would name it from where he stands: relative to the file as it was given.
    const char *slash = strrchr(file, '/');
    char *pattern =
        *value == '/' || !slash ? xstrdup(value) : xasprintf("%.*s%s", (int)(slash + 1 - file), file, value);
    bool magic = strpbrk(pattern, "*?[");
    glob_t found = { 0 };
    // A name with a bracket in it that exists is a name.
    if (magic && !may_search(load, pattern)) {
        refuse_outside(load, pattern, place);
    } else if (magic && access(pattern, F_OK) == -1) {
        int result = glob(pattern, 0, NULL, &found);
        if (result != 0 && result != GLOB_NOMATCH)
            diag_error(load->diag, place, "[zbroker] include: cannot search for %s", pattern);
        for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
            read_file(load, found.gl_pathv[i], nesting, place);
        globfree(&found);
    } else
        read_file(load, pattern, nesting, place);
    free(pattern);
}

static void
read_text(load_t *load, const char *file, const char *text, size_t size, const nesting_t *nesting)
{
    ini_t ini;
    char *own_folder = folder_of(file);
    const char *folder = intern(own_folder);
    free(own_folder);
    diag_file(load->diag, intern(file));
    ini_read(&ini, intern(file), text, size, load->diag);
    size_t next = 0;
    for (size_t i = 0; i < ini.section_count; i++) {
        size_t section = open_section(load->raw, &ini.sections[i], load->diag);
        if (section != UNKNOWN)
            load->raw->sections[section].damaged |= ini.sections[i].damaged;
        for (; next < ini.entry_count && ini.entries[next].section == i; next++) {
            const ini_entry_t *entry = &ini.entries[next];
            if (section == UNKNOWN)
                continue;
            add_item(load->raw, section,
                     (raw_item_t){ .key = xstrdup(entry->key),
                                   .value = xstrdup(entry->value),
                                   .key_place = entry->key_place,
                                   .value_place = entry->value_place,
                                   .folder = folder });
            if (section == 0 && strcmp(entry->key, "include") == 0 && !load->includes_overridden)
                include(load, entry->value, file, entry->value_place, nesting);
        }
    }
    ini_free(&ini);
}

// --- overrides ---------------------------------------------------------------------

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
apply_override(load_t *load, const override_t *override, const char *folder)
{
    size_t found = find_section(load->raw, override->section);
    if (found == UNKNOWN) {
        suggest_t suggest = suggest_for(override->section);
        for (size_t i = 0; i < load->raw->count; i++)
            suggest_offer(&suggest, load->raw->sections[i].name);
        if (*suggest.best)
            diag_error(load->diag, override->place, "[%s]: no such section; did you mean [%s]?", override->section,
                       suggest.best);
        else
            diag_error(load->diag, override->place, "[%s]: no such section", override->section);
        return;
    }
    drop_items(&load->raw->sections[found], override->key);
    place_t key = override->place, value = override->place;
    key.column = override->key_column;
    value.column = override->value_column;
    add_item(load->raw, found,
             (raw_item_t){ .key = xstrdup(override->key),
                           .value = xstrdup(override->value),
                           .key_place = key,
                           .value_place = value,
                           .folder = folder,
                           .override = true });
}

static void
apply_overrides(load_t *load)
{
    char *here = folder_of("-");
    const char *folder = intern(here);
    free(here);
    for (size_t i = 0; i < load->source->override_count; i++) {
        override_t override;
        if (split_override(load->source->overrides[i], i, &override, load->diag) == 0)
            apply_override(load, &override, folder);
        free_override(&override);
    }
}

// include has to be known before the files are read.
static void
find_include_overrides(load_t *load)
{
    static const char prefix[] = "zbroker.include=";
    for (size_t i = 0; i < load->source->override_count; i++)
        load->includes_overridden |= strncmp(load->source->overrides[i], prefix, sizeof prefix - 1) == 0;
}

// They are those of whoever started us, and confined to nothing.
static void
read_overridden_includes(load_t *load)
{
    static const char prefix[] = "zbroker.include=";
    load->confined = false;
    for (size_t i = 0; i < load->source->override_count; i++)
        if (strncmp(load->source->overrides[i], prefix, sizeof prefix - 1) == 0)
            include(load, load->source->overrides[i] + sizeof prefix - 1, "-",
                    (place_t){ "-o", (int)i + 1, (int)sizeof prefix }, NULL);
}

void
raw_read(raw_t *self, const conf_source_t *source, diag_t *diag)
{
    *self = (raw_t){ 0 };
    place_t nowhere = { intern(source->file), 0, 0 };
    add_section(self, RAW_PROCESS, "zbroker", nowhere);
    add_section(self, RAW_DEFAULTS, "defaults", nowhere);
    load_t load = { .raw = self, .diag = diag, .source = source };
    find_include_overrides(&load);
    confine(&load);
    diag_file(diag, "-o"); // what was just typed comes first
    if (source->text) {
        self->readable = true;
        read_text(&load, source->file, source->text, source->size, NULL);
    } else
        read_file(&load, source->file, NULL, (place_t){ 0 });
    if (self->readable) {
        if (load.includes_overridden)
            read_overridden_includes(&load);
        apply_overrides(&load);
    }
    free(load.inside);
}

void
raw_free(raw_t *self)
{
    for (size_t i = 0; i < self->count; i++) {
        raw_section_t *section = &self->sections[i];
        for (size_t j = 0; j < section->count; j++) {
            free(section->items[j].key);
            free(section->items[j].value);
        }
        free(section->items);
        free(section->name);
    }
    free(self->sections);
    *self = (raw_t){ 0 };
}
