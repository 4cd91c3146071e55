// SPDX-License-Identifier: MPL-2.0
#include "guard/acl.h"

#include "base/hash.h"
#include "base/mem.h"
#include "conf/suggest.h"
#include "guard/acl_internal.h"
#include "guard/file.h"

#include <stdint.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_BYTES = 4096, LEVELS_MAX = 200 };

typedef struct {
    char *user;
    rules_t rules;
} section_t;

struct acl {
    rules_t nobody, patterns;
    section_t *users; // sorted by name once parsed
    size_t count, room;
    uint64_t text;    // its hash
    _Atomic unsigned holders;
};

// --- parsing --------------------------------------------------------------------

static level_t
text_level(const char *text, size_t size)
{
    return (level_t){ .kind = LEVEL_TEXT, .text = xstrndup(text, size), .size = size };
}

static void
free_rule(rule_t *rule)
{
    for (size_t i = 0; i < rule->count; i++)
        free(rule->levels[i].text);
    free(rule->levels);
}

static void
free_rules(rules_t *rules)
{
    for (size_t i = 0; i < rules->count; i++)
        free_rule(&rules->at[i]);
    free(rules->at);
}

static void
add_rule(rules_t *rules, rule_t rule)
{
    mem_grow(rules->at, rules->count, rules->room);
    rules->at[rules->count++] = rule;
}

// One level of a pattern. NULL, or what is wrong with it.
static const char *
read_level(const char *text, size_t size, bool is_pattern, unsigned access, bool last, level_t *level)
{
    static const struct {
        const char *word;
        level_kind_t kind;
        bool only_patterns;
    } special[] = {
        {"+", LEVEL_ANY, false}, {"#", LEVEL_REST, false}, {"%u", LEVEL_USER, true}, {"%c", LEVEL_CLIENT, true}};
    *level = (level_t){ 0 };
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        if (special[i].only_patterns && !is_pattern)
            continue;
        if (strlen(special[i].word) == size && memcmp(special[i].word, text, size) == 0) {
            level->kind = special[i].kind;
            if (level->kind == LEVEL_REST && !last)
                return "# is only for the end of a pattern";
            if (level->kind == LEVEL_CLIENT && access != ACL_DENY)
                return "%c is what a client says of itself and gives no rights: only a deny line may have it; %u is its user";
            return NULL;
        }
        if (memmem(text, size, special[i].word, strlen(special[i].word)))
            return "+, #, %u and %c stand for a whole level, alone between two /";
    }
    *level = text_level(text, size);
    return NULL;
}

static int
read_rule(rule_t *rule, const char *text, bool is_pattern, place_t place, diag_t *diag)
{
    for (const char *at = text;;) {
        size_t size = strcspn(at, "/");
        level_t level;
        const char *fault = rule->count == LEVELS_MAX ? "too many levels"
                                                      : read_level(at, size, is_pattern, rule->access, at[size] == '\0', &level);
        if (fault) {
            place.column += (int)(at - text);
            diag_error(diag, place, "%s", fault);
            free_rule(rule);
            return -1;
        }
        rule->levels = xrealloc(rule->levels, rule->count + 1, sizeof *rule->levels);
        rule->levels[rule->count++] = level;
        if (at[size] == '\0')
            return 0;
        at += size + 1;
    }
}

typedef struct {
    const char *word;
    unsigned access;
} access_word_t;

static const access_word_t accesses[] = {
    {"read", ACL_READ}, {"write", ACL_WRITE}, {"readwrite", ACL_READ | ACL_WRITE}, {"deny", ACL_DENY}};

static const access_word_t *
find_access(const char *word, size_t size)
{
    for (size_t i = 0; i < sizeof accesses / sizeof *accesses; i++)
        if (strlen(accesses[i].word) == size && memcmp(accesses[i].word, word, size) == 0)
            return &accesses[i];
    return NULL;
}

// The warning does not repeat the word: the line may be one that its reader has no right to see.
static void
warn_of_typing_error(const char *text, size_t size, place_t place, diag_t *diag)
{
    char *word = xstrndup(text, size);
    for (size_t i = 0; i < sizeof accesses / sizeof *accesses; i++)
        if (suggest_distance(word, accesses[i].word) <= 1)
            diag_warning(diag, place, "this word is taken as part of the topic; did you mean %s?", accesses[i].word);
    free(word);
}

static void
take_rule(rules_t *rules, char *line, char *text, bool is_pattern, place_t place, diag_t *diag)
{
    rule_t rule = { .access = ACL_READ | ACL_WRITE };
    size_t size = strcspn(text, " \t");
    const access_word_t *access = find_access(text, size);
    if (access) {
        rule.access = access->access;
        text += size;
        text += strspn(text, " \t");
    }
    place.column = (int)(text - line) + 1;
    if (!access && text[size])
        warn_of_typing_error(text, size, place, diag);
    if (*text == '\0')
        diag_error(diag, place, "the topic is missing");
    else if (read_rule(&rule, text, is_pattern, place, diag) == 0)
        add_rule(rules, rule);
}

static section_t *
open_section(acl_t *self, const char *user)
{
    for (size_t i = self->count; i-- > 0;)
        if (strcmp(self->users[i].user, user) == 0)
            return &self->users[i];
    mem_grow(self->users, self->count, self->room);
    self->users[self->count] = (section_t){ .user = xstrdup(user) };
    return &self->users[self->count++];
}

typedef struct {
    acl_t *acl;
    size_t current; // index of the section + 1; 0: for those without a name
} parser_t;

static void
take_line(parser_t *self, char *line, place_t place, diag_t *diag)
{
    size_t size = strlen(line);
    while (size > 0 && strchr(" \t\r", line[size - 1]))
        line[--size] = '\0';
    char *text = line + strspn(line, " \t");
    if (*text == '\0' || *text == '#')
        return;
    place.column = (int)(text - line) + 1;
    size_t length = strcspn(text, " \t");
    char *rest = text + length + strspn(text + length, " \t");
    text[length] = '\0';
    if (strcmp(text, "user") == 0 && *rest)
        self->current = (size_t)(open_section(self->acl, rest) - self->acl->users) + 1;
    else if (strcmp(text, "user") == 0)
        diag_error(diag, place, "the user's name is missing");
    else if (strcmp(text, "topic") == 0)
        take_rule(self->current ? &self->acl->users[self->current - 1].rules : &self->acl->nobody, line, rest, false,
                  place, diag);
    else if (strcmp(text, "pattern") == 0)
        take_rule(&self->acl->patterns, line, rest, true, place, diag);
    else
        diag_error(diag, place, "expected user, topic or pattern");
}

static int
compare_sections(const void *a, const void *b)
{
    return strcmp(((const section_t *)a)->user, ((const section_t *)b)->user);
}

acl_t *
acl_parse(const char *file, const char *text, size_t size, diag_t *diag)
{
    parser_t parser = { .acl = xcalloc(1, sizeof *parser.acl) };
    parser.acl->holders = 1;
    size_t errors = diag_errors(diag);
    char line[LINE_BYTES + 1];
    parser.acl->text = hash_bytes(text, size);
    for (int number = 1; size > 0; number++) {
        const char *end = memchr(text, '\n', size);
        size_t length = end ? (size_t)(end - text) : size;
        place_t place = { file, number, 1 };
        if (length > LINE_BYTES)
            diag_error(diag, place, "line too long");
        else if (memchr(text, '\0', length))
            diag_error(diag, place, "a NUL byte");
        else {
            memcpy(line, text, length);
            line[length] = '\0';
            take_line(&parser, line, place, diag);
        }
        text += length + (end != NULL);
        size -= length + (end != NULL);
    }
    acl_t *self = parser.acl;
    if (self->count > 1)
        qsort(self->users, self->count, sizeof *self->users, compare_sections);
    if (diag_errors(diag) > errors)
        acl_free(&self);
    return self;
}

acl_t *
acl_load(const char *file, diag_t *diag)
{
    size_t size;
    char *text = file_read(file, TRUST_RIGHTS, ACL_FILE_MAX, &size, diag);
    acl_t *self = text ? acl_parse(file, text, size, diag) : NULL;
    free(text);
    return self;
}

bool
acl_same(const acl_t *a, const acl_t *b)
{
    return a == b || a->text == b->text;
}

acl_t *
acl_share(acl_t *self)
{
    atomic_fetch_add(&self->holders, 1);
    return self;
}

void
acl_free(acl_t **self_p)
{
    acl_t *self = *self_p;
    *self_p = NULL;
    if (!self || atomic_fetch_sub(&self->holders, 1) > 1)
        return;
    free_rules(&self->nobody);
    free_rules(&self->patterns);
    for (size_t i = 0; i < self->count; i++) {
        free(self->users[i].user);
        free_rules(&self->users[i].rules);
    }
    free(self->users);
    free(self);
}

// --- what one client may do -------------------------------------------------------

// %u and %c in a deny line, for a name that is no single level: deny from there on.
static bool
substitute(const char *name, unsigned access, level_t *level, bool *rest)
{
    if (*name && !strpbrk(name, "+#/")) {
        *level = text_level(name, strlen(name));
        return true;
    }
    if (!*name || access != ACL_DENY)
        return false;
    *level = (level_t){ .kind = LEVEL_REST };
    *rest = true;
    return true;
}

static void
copy_rule(rules_t *rules, const rule_t *from, const char *user, const char *client)
{
    rule_t rule = { .access = from->access, .levels = xcalloc(from->count, sizeof *rule.levels) };
    bool rest = false, fits = true;
    for (size_t i = 0; i < from->count && fits && !rest; i++) {
        const level_t *level = &from->levels[i];
        level_t *to = &rule.levels[rule.count];
        if (level->kind == LEVEL_USER)
            fits = substitute(user, from->access, to, &rest);
        else if (level->kind == LEVEL_CLIENT)
            fits = substitute(client, from->access, to, &rest);
        else
            *to = level->kind == LEVEL_TEXT ? text_level(level->text, level->size) : (level_t){ .kind = level->kind };
        rule.count += fits;
    }
    if (fits)
        add_rule(rules, rule);
    else
        free_rule(&rule);
}

acl_view_t *
acl_view(const acl_t *self, const char *user, const char *client)
{
    acl_view_t *view = xcalloc(1, sizeof *view);
    const rules_t *own = *user ? NULL : &self->nobody;
    section_t key = { .user = (char *)(uintptr_t)user };
    if (*user && self->count) {
        const section_t *found = bsearch(&key, self->users, self->count, sizeof *self->users, compare_sections);
        own = found ? &found->rules : NULL;
    }
    for (size_t i = 0; own && i < own->count; i++)
        copy_rule(&view->rules, &own->at[i], "", "");
    for (size_t i = 0; i < self->patterns.count; i++)
        copy_rule(&view->rules, &self->patterns.at[i], user, client);
    return view;
}

static bool
same_rule(const rule_t *a, const rule_t *b)
{
    if (a->access != b->access || a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++) {
        const level_t *left = &a->levels[i], *right = &b->levels[i];
        if (left->kind != right->kind || left->size != right->size
            || (left->size > 0 && memcmp(left->text, right->text, left->size) != 0))
            return false;
    }
    return true;
}

bool
acl_view_same(const acl_view_t *a, const acl_view_t *b)
{
    if (a->rules.count != b->rules.count)
        return false;
    for (size_t i = 0; i < a->rules.count; i++)
        if (!same_rule(&a->rules.at[i], &b->rules.at[i]))
            return false;
    return true;
}

void
acl_view_free(acl_view_t **self_p)
{
    if (!*self_p)
        return;
    free_rules(&(*self_p)->rules);
    free(*self_p);
    *self_p = NULL;
}

// --- one topic --------------------------------------------------------------------

static bool
matches(const rule_t *rule, const char *topic, size_t size)
{
    const char *end = topic + size;
    for (size_t i = 0; i < rule->count; i++) {
        const level_t *level = &rule->levels[i];
        if (level->kind == LEVEL_REST)
            return true;
        const char *slash = memchr(topic, '/', (size_t)(end - topic));
        size_t length = (size_t)((slash ? slash : end) - topic);
        if (level->kind == LEVEL_TEXT
            && (level->size != length || (length > 0 && memcmp(level->text, topic, length) != 0)))
            return false;
        if (!slash)
            return i + 1 == rule->count || (i + 2 == rule->count && rule->levels[i + 1].kind == LEVEL_REST);
        topic = slash + 1;
    }
    return false;
}

bool
acl_may(const acl_view_t *self, acl_access_t access, const void *topic, size_t size)
{
    bool allowed = false;
    const char *text = size ? topic : "";
    for (size_t i = 0; i < self->rules.count; i++) {
        const rule_t *rule = &self->rules.at[i];
        if (!(rule->access & (access | ACL_DENY)) || (allowed && rule->access != ACL_DENY))
            continue;
        if (!matches(rule, text, size))
            continue;
        if (rule->access == ACL_DENY)
            return false;
        allowed = true;
    }
    return allowed;
}
