// SPDX-License-Identifier: MPL-2.0
//
// The value of a key: read, written, stored.
#include "conf/keys.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/trust.h"
#include "conf/cidr.h"
#include "conf/suggest.h"
#include "conf/units.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

// --- reading a value -----------------------------------------------------------

typedef struct {
    const char *folder;
    char *reason;
    size_t size;
    size_t *offset;
} complaint_t;

__attribute__((format(printf, 2, 3))) static int
fail(const complaint_t *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(at->reason, at->size, format, args);
    va_end(args);
    return -1;
}

// "unknown WHAT; did you mean …?", and without a near word all there are. Values of the key OF are called otherwise
// elsewhere.
static int
fail_word(const complaint_t *at, const char *what, const char *of, const suggest_t *suggest, const char *all)
{
    const char *foreign = suggest_foreign(of, suggest->wrong);
    if (foreign)
        return fail(at, "unknown %s \"%s\"; did you mean %s?", what, suggest->wrong, foreign);
    if (*suggest->best)
        return fail(at, "unknown %s \"%s\"; did you mean %s?", what, suggest->wrong, suggest->best);
    return fail(at, "unknown %s \"%s\"; expected %s", what, suggest->wrong, all);
}

static void
add_word(text_t *all, const char *word)
{
    text_add(all, "%s%s", all->size ? ", " : "", word);
}

// A number has one name today: others that it has are old spellings.
static bool
is_old_spelling(const key_row_t *row, const key_word_t *word)
{
    for (const key_word_t *other = row->words; other < word; other++)
        if (other->number == word->number)
            return true;
    return false;
}

static int
parse_word(const key_row_t *row, const char *text, key_value_t *value, const complaint_t *at)
{
    suggest_t suggest = suggest_for(text);
    text_t all = { 0 };
    for (const key_word_t *word = row->words; word->name; word++) {
        if (strcasecmp(word->name, text) == 0) {
            value->number = word->number;
            text_free(&all);
            return 0;
        }
        if (is_old_spelling(row, word))
            continue;
        suggest_offer(&suggest, word->name);
        add_word(&all, word->name);
    }
    int result = fail_word(at, "value", row->key, &suggest, all.data);
    text_free(&all);
    return result;
}

static int
parse_pattern(const char *text, key_value_t *value, const complaint_t *at)
{
    suggest_t suggest = suggest_for(text);
    text_t all = { 0 };
    const pattern_t *found = pattern_find(text);
    for (unsigned i = 0; pattern_at(i); i++) {
        if (pattern_at(i) == found)
            value->number = i;
        suggest_offer(&suggest, pattern_at(i)->name);
        add_word(&all, pattern_at(i)->name);
    }
    int result = found ? 0 : fail_word(at, "type", "type", &suggest, all.data);
    text_free(&all);
    return result;
}

static int
parse_socket_type(const char *text, key_value_t *value, const complaint_t *at)
{
    suggest_t suggest = suggest_for(text);
    value->number = socket_type_find(text);
    if (value->number >= 0)
        return 0;
    for (unsigned i = 0; socket_type_at(i); i++)
        suggest_offer(&suggest, socket_type_at(i));
    return fail_word(at, "socket type", "frontend_type", &suggest, "PAIR, PUB, SUB, DEALER, ROUTER, PULL, PUSH, XPUB, XSUB, STREAM, GATHER, SCATTER");
}

static int
parse_group(const char *text, key_value_t *value, const complaint_t *at)
{
    struct group entry, *found = NULL;
    char buffer[16384];
    if (units_number(text, &value->number) == 0) {
        if (value->number < 0 || value->number >= UINT32_MAX)
            return fail(at, "\"%s\" is not the number of a group", text);
    } else if (getgrnam_r(text, &entry, buffer, sizeof buffer, &found) == 0 && found)
        value->number = entry.gr_gid;
    else
        return fail(at, "there is no group \"%s\"", text);
    value->text = xstrdup(text);
    return 0;
}

static char *
absolute_path(const char *text, const char *folder)
{
    if (*text == '/')
        return xstrdup(text);
    while (text[0] == '.' && text[1] == '/')
        text += 2;
    return xasprintf("%s/%s", strcmp(folder, "/") == 0 ? "" : folder, text);
}

static int
parse_path(const key_row_t *row, const char *text, key_value_t *value, const complaint_t *at)
{
    const char *scheme_end = strstr(text, "://");
    if (scheme_end)
        return fail(at, "\"%s\" is not the path of a file, leave out \"%.*s\"", text, (int)(scheme_end + 3 - text), text);
    // client_certs takes the word besides a folder.
    bool word = strcmp(row->key, "client_certs") == 0 && strcmp(text, "any") == 0;
    value->text = word ? xstrdup(text) : absolute_path(text, at->folder);
    size_t length = strlen(value->text);
    if (length <= (size_t)row->max)
        return 0;
    free(value->text);
    value->text = NULL;
    return fail(at, "the path has %zu bytes, at most %" PRId64, length, row->max);
}

// The first line of the file at PATH into TEXT.
static int
read_secret(const char *path, char text[257], const complaint_t *at)
{
    char words[TRUST_WORDS];
    int fd = trust_open(path, TRUST_SECRET, words);
    if (fd == -1)
        return fail(at, "%s: %s", path, words);
    ssize_t size = read(fd, text, 256);
    close(fd);
    if (size == -1)
        return fail(at, "%s: cannot read: %s", path, strerror(errno));
    if (*words) // a warning
        fail(at, "%s: %s", path, words);
    text[size] = '\0';
    text[strcspn(text, "\r\n")] = '\0';
    size_t length = strlen(text);
    explicit_bzero(text + length, 256 - length);
    if (length == 0 || length > 255)
        return fail(at, "%s: its first line has %zu bytes, 1 to 255 make a password", path, length);
    return 0;
}

static int
parse_secret_file(const char *text, key_value_t *value, const complaint_t *at)
{
    char secret[257];
    char *path = absolute_path(text, at->folder);
    int result = read_secret(path, secret, at);
    // Path and secret in one string, so that a value stays one pointer: PATH NUL SECRET NUL.
    if (result == 0) {
        size_t path_size = strlen(path) + 1, secret_size = strlen(secret) + 1;
        value->text = xcalloc(path_size + secret_size, 1);
        memcpy(value->text, path, path_size);
        memcpy(value->text + path_size, secret, secret_size);
        value->number = (int64_t)path_size;
    }
    explicit_bzero(secret, sizeof secret);
    free(path);
    return result;
}

static int
parse_cidr(const char *text, key_value_t *value, const complaint_t *at)
{
    cidrs_t nets = { 0 };
    text_t canonical = { 0 };
    int result = cidr_parse(&nets, text, at->reason, at->size, at->offset);
    cidr_print(&nets, &canonical);
    if (result == 0)
        value->text = text_take(&canonical);
    text_free(&canonical);
    cidr_free(&nets);
    return result;
}

// C, 'C', "C" or \xNN. The quotes are for a blank, which is cut off without them.
static int
parse_byte(const char *text, key_value_t *value, const complaint_t *at)
{
    size_t length = strlen(text);
    bool quoted = length >= 3 && strchr("'\"", text[0]) && text[length - 1] == text[0];
    const char *byte = text + quoted;
    unsigned number;
    int end = 0;
    length -= 2u * quoted;
    if (length == 4 && strncmp(byte, "\\x", 2) == 0 && isxdigit((unsigned char)byte[2]) && sscanf(byte + 2, "%2x%n", &number, &end) == 1 && end == 2)
        value->number = number;
    else if (length == 1)
        value->number = (unsigned char)*byte;
    else
        return fail(at, "\"%s\" is not one character such as ' ', | or \\x00", text);
    return 0;
}

static int
parse_http(const char *text, key_value_t *value, const complaint_t *at)
{
    int64_t port;
    bool bare = units_number(text, &port) == 0;
    bool local = strncmp(text, "localhost:", 10) == 0;
    char *url = xasprintf("tcp://%s%s", bare ? "127.0.0.1:" : "", local ? "127.0.0.1:" : "");
    char *whole = xasprintf("%s%s", url, local ? text + 10 : text);
    endpoint_t endpoint;
    int result = endpoint_parse(whole, false, &endpoint, at->reason, at->size, at->offset);
    size_t shift = strlen(url);
    *at->offset = result == 0 || *at->offset < shift ? 0 : *at->offset - shift + (local ? 10 : 0);
    if (result == 0)
        value->text = xasprintf("%s%s", local ? "localhost:" : "", endpoint.text + 6 + (local ? 10 : 0));
    free(whole);
    free(url);
    return result;
}

static int
parse_number(const key_row_t *row, const char *text, key_value_t *value, const complaint_t *at)
{
    static const struct {
        const char *is;
        const char *example;
    } names[] = {
        [KEY_NUMBER] = { "number", "" },
        [KEY_TIME] = { "time", " such as 500ms, 10s, 5m or 1h" },
        [KEY_SIZE] = { "size", " such as 4096, 64k, 16M or 1G" },
        [KEY_MODE] = { "file mode", " such as 0660" },
    };
    int result = row->kind == KEY_TIME   ? units_time(text, 1, &value->number)
                 : row->kind == KEY_SIZE ? units_size(text, &value->number)
                 : row->kind == KEY_MODE ? units_mode(text, &value->number)
                                         : units_number(text, &value->number);
    char hint[UNITS_HINT];
    if (result == -1)
        return fail(at, "\"%s\" is not a %s%s%s", text, names[row->kind].is, names[row->kind].example,
                    units_hint(text, row->kind == KEY_NUMBER, hint));
    if (result == 0 && value->number >= row->min && value->number <= row->max)
        return 0;
    void (*print)(int64_t, char[UNITS_TEXT]) = row->kind == KEY_TIME   ? units_print_time
                                               : row->kind == KEY_SIZE ? units_print_size
                                                                       : NULL;
    char from[UNITS_TEXT], to[UNITS_TEXT];
    units_print_end(row->min, print, from);
    units_print_end(row->max, print, to);
    return fail(at, "\"%s\" is out of range, %s to %s", text, from, to);
}

int
key_parse(const key_row_t *row, const char *text, const char *folder, key_value_t *value, char *reason, size_t size,
          size_t *offset)
{
    complaint_t at = { folder, reason, size, offset };
    bool yes;
    *value = (key_value_t){ 0 };
    *offset = 0;
    *reason = '\0';
    if (!*text) {
        value->number = row->kind == KEY_GROUP || row->kind == KEY_BYTE ? -1 : 0;
        if (row->kind == KEY_ENDPOINT || row->kind == KEY_INCLUDE)
            value->text = xstrdup("");
        return value->text || row->flags & KEY_UNSET_OK ? 0 : fail(&at, "the value is missing");
    }
    switch (row->kind) {
    case KEY_WORD:
        return parse_word(row, text, value, &at);
    case KEY_BOOL:
        if (units_switch(text, &yes) == -1)
            return fail(&at, "\"%s\" is not yes or no", text);
        value->number = yes;
        return 0;
    case KEY_GROUP:
        return parse_group(text, value, &at);
    case KEY_PATH:
        return parse_path(row, text, value, &at);
    case KEY_SECRET_FILE:
        return parse_secret_file(text, value, &at);
    case KEY_CIDR:
        return parse_cidr(text, value, &at);
    case KEY_HTTP:
        return parse_http(text, value, &at);
    case KEY_SOCKET_TYPE:
        return parse_socket_type(text, value, &at);
    case KEY_PATTERN:
        return parse_pattern(text, value, &at);
    case KEY_BYTE:
        return parse_byte(text, value, &at);
    case KEY_TEXT:
        if (strlen(text) > (size_t)row->max)
            return fail(&at, "the text has %zu bytes, at most %" PRId64, strlen(text), row->max);
        // fall through
    case KEY_ENDPOINT:
    case KEY_INCLUDE:
        value->text = xstrdup(text);
        return 0;
    default:
        return parse_number(row, text, value, &at);
    }
}

// --- writing it ----------------------------------------------------------------

static char *
print_byte(int byte)
{
    if (byte == -1)
        return xstrdup("");
    return isgraph(byte) && !strchr("'\"\\;#", byte) ? xasprintf("%c", byte) : xasprintf("\\x%02x", (unsigned)byte);
}

char *
key_print(const key_row_t *row, const key_value_t *value)
{
    char text[UNITS_TEXT];
    switch (row->kind) {
    case KEY_WORD:
        for (const key_word_t *word = row->words; word->name; word++)
            if (word->number == value->number)
                return xstrdup(word->name);
        return xstrdup("");
    case KEY_BOOL:
        return xstrdup(value->number ? "yes" : "no");
    case KEY_NUMBER:
        return xasprintf("%" PRId64, value->number);
    case KEY_TIME:
        units_print_time(value->number, text);
        return xstrdup(text);
    case KEY_SIZE:
        units_print_size(value->number, text);
        return xstrdup(text);
    case KEY_MODE:
        return xasprintf("%04" PRIo64, value->number);
    case KEY_BYTE:
        return print_byte((int)value->number);
    case KEY_PATTERN:
        return xstrdup(pattern_at((unsigned)value->number)->name);
    case KEY_SOCKET_TYPE:
        return xstrdup(socket_type_name((int)value->number));
    default:
        return xstrdup(value->text ? value->text : "");
    }
}

void
key_store(const key_row_t *row, const key_value_t *value, void *object)
{
    char *field = (char *)object + row->offset;
    int number = (int)value->number;
    bool yes = value->number != 0;
    switch (row->kind) {
    case KEY_SECRET_FILE:
    case KEY_PATH:
    case KEY_TEXT:
    case KEY_CIDR:
    case KEY_HTTP: {
        const char *text = value->text && row->kind == KEY_SECRET_FILE ? value->text + value->number : value->text;
        char *copy = text ? xstrdup(text) : NULL;
        memcpy(field, &copy, sizeof copy);
        break;
    }
    default:
        // enums, int, mode_t and gid_t are all of int's size.
        if (row->width == sizeof yes)
            memcpy(field, &yes, sizeof yes);
        else if (row->width == sizeof number)
            memcpy(field, &number, sizeof number);
        else if (row->width == sizeof value->number)
            memcpy(field, &value->number, sizeof value->number);
    }
}
