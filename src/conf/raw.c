// SPDX-License-Identifier: MPL-2.0
#include "conf/raw.h"

#include "base/mem.h"
#include "base/text.h"
#include "base/trust.h"
#include "conf/ini.h"
#include "conf/raw_internal.h"

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
    const raw_source_t *source;
    bool includes_overridden;
    bool confined; // every include has to be in INSIDE
    char *inside;  // a folder without links, "" for /; NULL: nothing is in there
    size_t files;
} loading_t;

char *
raw_folder_of(const char *file)
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
confine(loading_t *load)
{
    const char *beside = load->source->includes_beside;
    load->confined = beside != NULL;
    if (!beside || strcmp(beside, "-") == 0)
        return;
    char *folder = raw_folder_of(beside);
    load->inside = realpath(folder, NULL);
    if (load->inside && strcmp(load->inside, "/") == 0)
        *load->inside = '\0';
    free(folder);
}

// PATH, which the caller frees, without links if includes are confined; NULL: it is not inside.
static char *
included_path(const loading_t *load, const char *path)
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
refuse_outside(const loading_t *load, const char *path, place_t place)
{
    diag_error(load->diag, place, "[zbroker] include: %s: only files below %s can be included here", path,
               !load->inside   ? "no folder"
               : *load->inside ? load->inside
                               : "/");
}

// Was FILE, AT an include line or {0}, opened before? -1: by nobody.
static int
given_descriptor(const loading_t *load, const char *file, place_t at)
{
    if (at.line || load->source->descriptor != -1)
        return at.line ? -1 : load->source->descriptor;
    return strcmp(file, "-") == 0 ? STDIN_FILENO : -1;
}

// The descriptor of FILE. -1 with errno.
static int
open_file(const loading_t *load, const char *file, place_t at)
{
    int given = given_descriptor(load, file, at);
    if (given != -1 && given == load->source->descriptor)
        lseek(given, 0, SEEK_SET);
    if (given != -1)
        return fcntl(given, F_DUPFD_CLOEXEC, 0);
    // Nobody reads a pipe that an include names by mistake; the main file may be one.
    return open(file, O_RDONLY | O_CLOEXEC | (at.line ? O_NONBLOCK : 0));
}

// It says which sides need security at all, so it should be as safe as the files that say who may come in.
static void
warn_of_others(const loading_t *load, const char *file, const char *path)
{
    char words[TRUST_WORDS];
    trust_check(path, TRUST_RIGHTS, words);
    if (*words)
        diag_warning(load->diag, (place_t){ raw_intern(file), 0, 0 }, "others could change this file: %s", words);
}

static void read_text(loading_t *load, const char *file, const char *text, size_t size, const nesting_t *nesting);

// AT is the include line; {0} for the main file.
static void
read_file(loading_t *load, const char *file, const nesting_t *outer, place_t at)
{
    place_t place = at.line ? at : (place_t){ raw_intern(file), 1, 1 };
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
        diag_error(load->diag, place, "%scannot read %s: %s%s", label, file, strerror(errno),
                   at.line ? ini_value_hint(file) : "");
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
    if (S_ISREG(status.st_mode) && given_descriptor(load, file, at) == -1)
        warn_of_others(load, file, path);
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
may_search(const loading_t *load, const char *pattern)
{
    if (!load->confined)
        return true;
    char *start = xstrndup(pattern, strcspn(pattern, "*?["));
    char *folder = strrchr(start, '/') ? raw_folder_of(start) : NULL;
    char *found = folder && !strstr(pattern, "/../") ? included_path(load, folder) : NULL;
    bool may = found != NULL;
    free(found);
    free(folder);
    free(start);
    return may;
}

static void
include(loading_t *load, const char *value, const char *file, place_t place, const nesting_t *nesting)
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
read_text(loading_t *load, const char *file, const char *text, size_t size, const nesting_t *nesting)
{
    ini_t ini;
    char *own_folder = raw_folder_of(file);
    const char *folder = raw_intern(own_folder);
    free(own_folder);
    diag_file(load->diag, raw_intern(file));
    ini_read(&ini, raw_intern(file), text, size, load->diag);
    size_t next = 0;
    for (size_t i = 0; i < ini.section_count; i++) {
        size_t section = raw_open_section(load->raw, &ini.sections[i], load->diag);
        if (section != RAW_NO_SECTION)
            load->raw->sections[section].damaged |= ini.sections[i].damaged;
        for (; next < ini.entry_count && ini.entries[next].section == i; next++) {
            const ini_entry_t *entry = &ini.entries[next];
            if (section == RAW_NO_SECTION)
                continue;
            raw_add_item(load->raw, section,
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

// include has to be known before the files are read.
static void
find_include_overrides(loading_t *load)
{
    static const char prefix[] = "zbroker.include=";
    for (size_t i = 0; i < load->source->override_count; i++)
        load->includes_overridden |= strncmp(load->source->overrides[i], prefix, sizeof prefix - 1) == 0;
}

// They are those of whoever started us, and confined to nothing.
static void
read_overridden_includes(loading_t *load)
{
    static const char prefix[] = "zbroker.include=";
    load->confined = false;
    for (size_t i = 0; i < load->source->override_count; i++)
        if (strncmp(load->source->overrides[i], prefix, sizeof prefix - 1) == 0)
            include(load, load->source->overrides[i] + sizeof prefix - 1, "-",
                    (place_t){ "-o", (int)i + 1, (int)sizeof prefix }, NULL);
}

void
raw_read(raw_t *self, const raw_source_t *source, diag_t *diag)
{
    *self = (raw_t){ 0 };
    place_t nowhere = { raw_intern(source->file), 0, 0 };
    raw_add_section(self, RAW_PROCESS, "zbroker", nowhere);
    raw_add_section(self, RAW_DEFAULTS, "defaults", nowhere);
    loading_t load = { .raw = self, .diag = diag, .source = source };
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
        raw_override(self, source, diag);
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
