// SPDX-License-Identifier: MPL-2.0
// detail.c - see detail.h.

#include "ctl/detail.h"

#include "base/mem.h"
#include "ctl/clientlist.h"
#include "ctl/routelist.h"

#include <stdlib.h>
#include <string.h>

enum { KEY_WIDTH = 28, CLIENTS_SHOWN = 10 };

// --- keys and values -------------------------------------------------------------------------

static bool
ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), tail = strlen(end);
    return size >= tail && strcmp(text + size - tail, end) == 0;
}

// What a number is, by the end of its key; the first that fits.
static unit_t
unit_of(const char *key)
{
    static const struct {
        const char *end;
        unit_t unit;
    } rows[] = {
        { "bytes_in_1s", UNIT_BYTES }, { "bytes_out_1s", UNIT_BYTES }, { "_1s", UNIT_RATE },     { "_60s", UNIT_RATE },
        { "_bytes", UNIT_BYTES },      { "seconds", UNIT_SECONDS },    { "_share", UNIT_SHARE },
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (ends_with(key, rows[i].end))
            return rows[i].unit;
    return UNIT_COUNT;
}

// A key as it is written in JSON, or in words: what its unit says is left out.
static void
put_key(text_t *out, const char *key, bool for_people)
{
    size_t size = strlen(key);
    if (for_people && ends_with(key, "_seconds"))
        size -= strlen("_seconds");
    for (size_t i = 0; i < size; i++)
        text_char(out, for_people && key[i] == '_' ? ' ' : key[i]);
}

static void
put_value(const sheet_t *sheet, text_t *out, const document_value_t *value)
{
    if (value->kind == VALUE_BOOL)
        text_add(out, "%s", value_true(value) ? "yes" : "no");
    else if (value->kind == VALUE_STRING && (strcmp(value->key, "since") == 0 || strcmp(value->key, "time") == 0))
        sheet_time(sheet, out, value->text);
    else if (value->kind == VALUE_STRING)
        text_shown(out, value->text, strlen(value->text));
    else if (sheet->for_people)
        units_put(out, unit_of(value->key), value->number, true);
    else
        text_add(out, "%s", value->text);
}

static void
add_line(sheet_t *sheet, const char *key, tone_t tone, const char *value)
{
    text_t shown = { 0 };
    text_shown(&shown, key, strlen(key));
    sheet_add(sheet, TONE_PLAIN, "  %-*s  ", KEY_WIDTH, shown.data);
    sheet_text(sheet, tone, *value ? value : "-");
    text_char(&sheet->out, '\n');
    text_free(&shown);
}

// KEY.VALUE, or of a member of an object within the section: PREFIX.KEY.
static void
add_value(sheet_t *sheet, const char *prefix, const document_value_t *value)
{
    text_t key = { 0 }, text = { 0 };
    if (prefix) {
        put_key(&key, prefix, sheet->for_people);
        text_add(&key, "%s", sheet->for_people ? ": " : ".");
    }
    put_key(&key, value->key, sheet->for_people);
    put_value(sheet, &text, value);
    add_line(sheet, key.data, TONE_PLAIN, text.size ? text.data : "");
    text_free(&key);
    text_free(&text);
}

static bool
is_plain(const document_value_t *value)
{
    return value->kind == VALUE_BOOL || value->kind == VALUE_NUMBER || value->kind == VALUE_STRING;
}

// --- sections ------------------------------------------------------------------------------------

static void
add_heading(sheet_t *sheet, const char *before, const char *name)
{
    text_t text = { 0 };
    text_add(&text, "%s%s", before, name);
    if (sheet->out.size)
        text_char(&sheet->out, '\n');
    sheet_text(sheet, TONE_HEADING, text.data);
    text_char(&sheet->out, '\n');
    text_free(&text);
}

static void
add_texts(sheet_t *sheet, const document_value_t *list)
{
    const char *key = list->key;
    for (const document_value_t *value = list->first; value; value = value->next)
        if (value->kind == VALUE_STRING) {
            add_line(sheet, key, TONE_PLAIN, value->text);
            key = "";
        }
}

// Reasons, of which most are 0: those that are not.
static void
add_reasons(sheet_t *sheet, const document_value_t *object)
{
    for (const document_value_t *value = object->first; value; value = value->next)
        if (value->kind == VALUE_NUMBER && value->number > 0)
            add_value(sheet, object->key, value);
}

// A side, the rates, the drops. FIGURES: only what is a number.
static void
add_section(sheet_t *sheet, const document_value_t *object, bool figures)
{
    add_heading(sheet, "", object->key);
    for (const document_value_t *value = object->first; value; value = value->next)
        if (value->kind == VALUE_OBJECT)
            add_reasons(sheet, value);
        else if (value->kind == VALUE_ARRAY && !figures)
            add_texts(sheet, value);
        else if (is_plain(value) && (!figures || value->kind == VALUE_NUMBER || strcmp(object->key, "blocked") == 0))
            add_value(sheet, NULL, value);
}

static void
add_sections(sheet_t *sheet, const document_value_t *route, bool figures)
{
    for (const document_value_t *value = route->first; value; value = value->next)
        if (value->kind == VALUE_OBJECT)
            add_section(sheet, value, figures);
}

// --- lists that have a look of their own -------------------------------------------------------------

static void
add_problems(sheet_t *sheet, const document_value_t *problems)
{
    add_heading(sheet, "", "problems");
    for (const document_value_t *value = problems->first; value; value = value->next) {
        const char *level = value_text(value_member(value, "level"));
        text_t text = { 0 };
        text_add(&text, "%s: %s", level, value_text(value_member(value, "text")));
        sheet_prose(sheet, sheet_tone_of(level), text.data);
        text_free(&text);
    }
}

static void
add_sizes(sheet_t *sheet, const document_value_t *sizes)
{
    add_heading(sheet, "", "message sizes");
    for (const document_value_t *value = sizes->first; value; value = value->next) {
        const document_value_t *limit = value_member(value, "le"), *count = value_member(value, "count");
        if (!value_is(count, VALUE_NUMBER) || count->number <= 0)
            continue;
        text_t key = { 0 }, text = { 0 };
        if (value_is(limit, VALUE_NUMBER)) {
            text_add(&key, "up to ");
            units_put(&key, UNIT_BYTES, limit->number, true);
        } else {
            text_add(&key, "larger");
        }
        units_put(&text, UNIT_COUNT, count->number, sheet->for_people);
        add_line(sheet, key.data, TONE_PLAIN, text.data);
        text_free(&key);
        text_free(&text);
    }
}

static void
add_options(sheet_t *sheet, const document_value_t *options)
{
    add_heading(sheet, "", "configuration, where it is not the default");
    detail_options(sheet, options, "  ");
}

static void
add_clients(sheet_t *sheet, const document_value_t *clients)
{
    add_heading(sheet, "", "clients, those furthest behind");
    clientlist_print(sheet, clients, false, false, CLIENTS_SHOWN);
}

static void
add_events(sheet_t *sheet, const document_value_t *events)
{
    add_heading(sheet, "", "events");
    detail_events(sheet, events);
}

static const struct {
    const char *key;
    bool figures; // show stats has it, too
    void (*add)(sheet_t *sheet, const document_value_t *list);
} lists[] = {
    { "message_size_bytes", true, add_sizes },
    { "options", false, add_options },
    { "clients", false, add_clients },
    { "events", false, add_events },
};

static void
add_lists(sheet_t *sheet, const document_value_t *route, bool figures)
{
    for (size_t i = 0; i < COUNT(lists); i++) {
        const document_value_t *list = value_member(route, lists[i].key);
        if (value_first(list) && (lists[i].figures || !figures))
            lists[i].add(sheet, list);
    }
}

// --- the whole -----------------------------------------------------------------------------------------

static void
add_route(sheet_t *sheet, const document_value_t *route, bool figures)
{
    add_heading(sheet, "route ", value_text(value_member(route, "name")));
    for (const document_value_t *value = route->first; value; value = value->next)
        if (strcmp(value->key, "state") == 0)
            add_line(sheet, "state", routelist_tone(route), routelist_state(route));
        else if (strcmp(value->key, "name") != 0 && is_plain(value))
            add_value(sheet, NULL, value);
    if (value_first(value_member(route, "problems")))
        add_problems(sheet, value_member(route, "problems"));
    add_sections(sheet, route, figures);
    add_lists(sheet, route, figures);
}

static void
draw(const view_t *view, bool figures)
{
    for (const document_value_t *route = value_first(value_member(view->answers[0], "routes")); route;
         route = route->next)
        if (route->kind == VALUE_OBJECT)
            add_route(view->sheet, route, figures);
}

void
detail_figures(const view_t *view)
{
    draw(view, true);
}

void
detail_everything(const view_t *view)
{
    draw(view, false);
}

// --- for others -----------------------------------------------------------------------------------------

void
detail_events(sheet_t *sheet, const document_value_t *events)
{
    static const column_t columns[] = { { "TIME", 0 }, { "LEVEL", 0 }, { "TEXT", COLUMN_FOLDS } };
    table_t table = table_on(columns, COUNT(columns));
    table.limit = sheet->width;
    for (const document_value_t *event = value_first(events); event; event = event->next) {
        const char *level = value_text(value_member(event, "level"));
        text_t time = { 0 };
        sheet_time(sheet, &time, value_text(value_member(event, "time")));
        table_cell(&table, "%s", time.size ? time.data : "-");
        sheet_cell(sheet, &table, sheet_tone_of(level), level);
        sheet_cell(sheet, &table, TONE_PLAIN, value_text(value_member(event, "text")));
        text_free(&time);
    }
    table_print(&table, &sheet->out);
    table_free(&table);
}

void
detail_options(sheet_t *sheet, const document_value_t *options, const char *indent)
{
    for (const document_value_t *option = value_first(options); option; option = option->next) {
        const char *value = value_text(value_member(option, "value"));
        if (value_true(value_member(option, "default")))
            continue;
        sheet_add(sheet, TONE_PLAIN, "%s", indent);
        sheet_text(sheet, TONE_PLAIN, value_text(value_member(option, "key")));
        sheet_add(sheet, TONE_PLAIN, " =%s", *value ? " " : "");
        sheet_text(sheet, TONE_PLAIN, value);
        sheet_add(sheet, TONE_PLAIN, "\n");
    }
}
