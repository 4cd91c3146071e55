// SPDX-License-Identifier: MPL-2.0
// top.c - see top.h.

#include "ctl/top.h"

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/interrupt.h"
#include "ctl/relay.h"
#include "ctl/routelist.h"
#include "ctl/screen.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// What rows are sorted by: nothing, the name, a column of figures.
enum { BY_FILE, BY_NAME, BY_FIGURE };

typedef struct {
    sheet_t *sheet;
    double seconds;
    size_t order; // BY_FIGURE and more: that column
    bool reversed, keys, ends;
} top_t;

typedef struct {
    const document_value_t *value;
    size_t position; // in the file
} top_row_t;

// --- order -------------------------------------------------------------------------------

static const char *
order_name(size_t order, char *key)
{
    static const struct {
        const char *name;
        char key;
    } others[] = { [BY_FILE] = { "file", 'f' }, [BY_NAME] = { "name", 'n' } };
    if (order >= BY_FIGURE)
        return routelist_heading(order - BY_FIGURE, key);
    *key = others[order].key;
    return others[order].name;
}

static int
by_figure(const top_row_t *a, const top_row_t *b, size_t column)
{
    double one = routelist_figure(a->value, column), other = routelist_figure(b->value, column);
    return one < other ? 1 : one > other ? -1 : 0; // the greatest first
}

static int
compare(const void *a, const void *b, void *arg)
{
    const top_t *self = arg;
    const top_row_t *one = a, *other = b;
    int result = 0;
    if (self->order == BY_NAME)
        result = strcmp(value_text(value_member(one->value, "name")), value_text(value_member(other->value, "name")));
    else if (self->order >= BY_FIGURE)
        result = by_figure(one, other, self->order - BY_FIGURE);
    if (!result)
        result = one->position < other->position ? -1 : 1;
    return self->reversed ? -result : result;
}

// Into an array that the caller frees.
static const document_value_t **
sorted(top_t *self, const document_value_t *list, size_t *count)
{
    top_row_t *rows = NULL;
    size_t room = 0;
    *count = 0;
    for (const document_value_t *value = value_first(list); value; value = value->next) {
        mem_grow(rows, *count, room);
        rows[*count] = (top_row_t){ value, *count };
        ++*count;
    }
    if (*count)
        qsort_r(rows, *count, sizeof *rows, compare, self);
    const document_value_t **values = xcalloc(*count + 1, sizeof *values);
    for (size_t i = 0; i < *count; i++)
        values[i] = rows[i].value;
    free(rows);
    return values;
}

// --- keys ----------------------------------------------------------------------------------

static void
quit(top_t *self)
{
    self->ends = true;
}

static void
sort_by_next(top_t *self)
{
    char key;
    self->order = order_name(self->order + 1, &key) ? self->order + 1 : BY_FILE;
}

static void
reverse(top_t *self)
{
    self->reversed = !self->reversed;
}

static void
faster(top_t *self)
{
    self->seconds = self->seconds > 0.2 ? self->seconds / 2 : 0.1;
}

static void
slower(top_t *self)
{
    self->seconds = self->seconds < 1800 ? self->seconds * 2 : 3600;
}

static const struct {
    char key;
    void (*act)(top_t *self);
    const char *help;
} keys[] = {
    { 'q', quit, "quit" },
    { '+', faster, "faster" },
    { '-', slower, "slower" },
    { 'r', reverse, "reverse" },
    { 's', sort_by_next, "sort by the next of" },
};

// A key acts, or chooses an order.
static void
press(top_t *self, char pressed)
{
    char key;
    for (size_t i = 0; i < COUNT(keys); i++)
        if (keys[i].key == pressed)
            keys[i].act(self);
    for (size_t order = 0; order_name(order, &key); order++)
        if (key == pressed)
            self->order = order;
}

static void
read_keys(top_t *self)
{
    char pressed[64];
    ssize_t got = read(STDIN_FILENO, pressed, sizeof pressed);
    self->keys = got > 0; // or the keyboard is gone
    for (ssize_t i = 0; i < got; i++)
        press(self, pressed[i]);
}

// --- the picture -----------------------------------------------------------------------------

static void
add_help(text_t *out)
{
    char key;
    const char *name;
    for (size_t i = 0; i < COUNT(keys); i++)
        text_add(out, "%s%c %s", i ? ", " : "", keys[i].key, keys[i].help);
    for (size_t order = 0; (name = order_name(order, &key)); order++)
        text_add(out, "%s%c %s", order ? ", " : "\n", key, name);
    text_add(out, "\n");
}

static void
add_head(top_t *self)
{
    char now[32], key;
    text_t *out = &self->sheet->out;
    clock_rfc3339(clock_wall_ns(), now);
    text_add(out, "zbroker %s, every %g s", now, self->seconds);
    if (self->order != BY_FILE || self->reversed)
        text_add(out, ", by %s%s", order_name(self->order, &key), self->reversed ? " reversed" : "");
    text_add(out, "%s\n", self->sheet->for_people && !self->keys ? ", Ctrl-C ends" : "");
    if (self->keys)
        add_help(out);
    text_char(out, '\n');
}

static bool
show(top_t *self, const document_value_t *answer)
{
    size_t count;
    const document_value_t **routes = sorted(self, value_member(answer, "routes"), &count);
    sheet_measure(self->sheet);
    add_head(self);
    routelist_print(self->sheet, routes, count);
    free(routes);
    if (!self->sheet->for_people) {
        text_char(&self->sheet->out, '\n');
        return sheet_flush(self->sheet);
    }
    bool seen = screen_draw(self->sheet->out.data);
    text_clear(&self->sheet->out);
    return seen;
}

// Until it is time to ask again. A key is seen at once: in the picture of the answer that is there.
static exit_t
wait_for_turn(top_t *self, connection_t *connection, const document_value_t *answer)
{
    int64_t begin = clock_mono_ms();
    for (;;) {
        double left = self->seconds - (double)(clock_mono_ms() - begin) / 1000;
        switch (connection_pause(connection, left, self->keys ? STDIN_FILENO : -1)) {
        case PAUSE_LOST:
            return EXIT_NO_DAEMON;
        case PAUSE_OVER:
            return EXIT_OK;
        case PAUSE_OTHER:
            read_keys(self);
            if (self->ends || !show(self, answer))
                return self->ends ? EXIT_OK : EXIT_FAILED;
        }
    }
}

static exit_t
turn(top_t *self, connection_t *connection, const char *line)
{
    exit_t result = EXIT_OK;
    self->keys = self->sheet->for_people && screen_keys(); // again: a shell may have had the terminal
    document_t *document = connection_ask(connection, line, &result);
    if (!document)
        return result;
    const document_value_t *answer = document_root(document);
    if (relay_error(answer) || !show(self, answer))
        result = EXIT_FAILED;
    else
        result = wait_for_turn(self, connection, answer);
    document_free(&document);
    return result;
}

exit_t
top_run(connection_t *connection, sheet_t *sheet, const char *line, double seconds)
{
    top_t self = { .sheet = sheet, .seconds = seconds };
    exit_t result = EXIT_OK;
    interrupt_ends(screen_close);
    if (sheet->for_people)
        screen_clear();
    while (result == EXIT_OK && !self.ends)
        result = turn(&self, connection, line);
    screen_close();
    return result;
}
