// SPDX-License-Identifier: MPL-2.0
#include "conf/plan.h"
#include "base/mem.h"
#include "conf/engine.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    plan_change_t *at;
    size_t count, room;
} changes_t;

static void
add_change(changes_t *changes, const char *key, const char *old_value, const char *new_value, reload_t reload)
{
    mem_grow(changes->at, changes->count, changes->room);
    changes->at[changes->count++] = (plan_change_t){
        .key = xstrdup(key),
        .old_value = old_value ? xstrdup(old_value) : NULL,
        .new_value = new_value ? xstrdup(new_value) : NULL,
        .reload = reload,
    };
}

static bool
has_key(const settings_t *settings, const char *key)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->at[i].key, key) == 0)
            return true;
    return false;
}

static bool
has_prefix(const settings_t *settings, const char *prefix)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strncmp(settings->at[i].key, prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

// A capture comes and goes as a whole while its route runs, whatever its keys need once it is there.
static reload_t
reload_of(const setting_t *setting, const settings_t *other)
{
    bool of_capture = strncmp(setting->key, "capture_", 8) == 0;
    return of_capture && !has_prefix(other, "capture_security") ? RELOAD_LIVE : setting->reload;
}

// The next value of KEY in NEW that OLD does not have, from *I on.
static const setting_t *
next_added(const settings_t *old, const settings_t *new, const char *key, size_t *i)
{
    while (*i < new->count) {
        const setting_t *setting = &new->at[(*i)++];
        if (strcmp(setting->key, key) == 0 && !settings_have(old, setting))
            return setting;
    }
    return NULL;
}

static reload_t
heavier(reload_t a, reload_t b)
{
    return a > b ? a : b;
}

// What differs, as lines for people, and returns what the whole takes. Defaults
// that come or go with a side are not worth a line.
static reload_t
compare(const settings_t *old, const settings_t *new, changes_t *changes)
{
    reload_t most = RELOAD_LIVE;
    for (size_t i = 0; i < old->count; i++) {
        const setting_t *gone = &old->at[i];
        if (settings_have(new, gone))
            continue;
        // Of a list the n-th value that went is paired with the n-th that came.
        size_t rank = 0, at = 0;
        for (size_t j = 0; j < i; j++)
            rank += strcmp(old->at[j].key, gone->key) == 0 && !settings_have(new, &old->at[j]);
        const setting_t *came = NULL;
        for (size_t j = 0; j <= rank; j++)
            came = next_added(old, new, gone->key, &at);
        reload_t reload = reload_of(gone, new);
        most = heavier(most, reload);
        if (came || !gone->is_default || has_key(new, gone->key))
            add_change(changes, gone->key, gone->value, came ? came->value : NULL, reload);
    }
    for (size_t i = 0; i < new->count; i++) {
        const setting_t *came = &new->at[i];
        if (settings_have(old, came))
            continue;
        size_t rank = 0, gone = 0;
        for (size_t j = 0; j < i; j++)
            rank += strcmp(new->at[j].key, came->key) == 0 && !settings_have(old, &new->at[j]);
        for (size_t j = 0; j < old->count; j++)
            gone += strcmp(old->at[j].key, came->key) == 0 && !settings_have(new, &old->at[j]);
        if (rank < gone)
            continue;
        reload_t reload = reload_of(came, old);
        most = heavier(most, reload);
        if (!came->is_default || has_key(old, came->key))
            add_change(changes, came->key, NULL, came->value, reload);
    }
    return most;
}

static bool
same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

// A password is in no setting: only the file it comes from is.
static reload_t
compare_passwords(const route_conf_t *running, const route_conf_t *wanted, changes_t *changes)
{
    reload_t most = RELOAD_LIVE;
    for (size_t side = 0; side < SIDES; side++) {
        const char *old = running->sides[side].security.plain_password,
                   *new = wanted->sides[side].security.plain_password;
        if (!old || !new || same_text(old, new))
            continue;
        char *key = xasprintf("%s_plain_password_file", side_name((side_t)side));
        add_change(changes, key, "old content", "new content", RELOAD_ROUTE);
        free(key);
        most = RELOAD_ROUTE;
    }
    return most;
}

static void
add_step(plan_t *self, plan_action_t action, const route_conf_t *running, const route_conf_t *wanted, changes_t changes)
{
    self->steps = xrealloc(self->steps, self->count + 1, sizeof *self->steps);
    self->steps[self->count++] = (plan_step_t){
        action, running, wanted, changes.at, changes.count, xstrdup(wanted ? wanted->name : running->name) };
}

static void
plan_route(plan_t *self, const route_conf_t *running, const route_conf_t *wanted)
{
    changes_t changes = { 0 };
    reload_t most = compare(&running->settings, &wanted->settings, &changes);
    most = heavier(most, compare_passwords(running, wanted, &changes));
    // The same word may come to another engine: auto looks at what else the route asks for.
    if (running->engine_asked == wanted->engine_asked && running->engine != wanted->engine) {
        add_change(&changes, "engine", engine_name(running->engine), engine_name(wanted->engine), RELOAD_ROUTE);
        most = heavier(most, RELOAD_ROUTE);
    }
    // libzmq's own loop hears of nothing while it runs.
    if (changes.count && running->engine == ENGINE_ZMQ_PROXY)
        most = heavier(most, RELOAD_ROUTE);
    plan_action_t action = most != RELOAD_LIVE ? PLAN_REPLACE : changes.count ? PLAN_CHANGE : PLAN_KEEP;
    add_step(self, action, running, wanted, changes);
}

// An endpoint that moves from one route to another must be free before it is bound again.
static int
by_action(const void *left, const void *right)
{
    static const int rank[] = {
        [PLAN_STOP] = 0, [PLAN_REPLACE] = 1, [PLAN_CHANGE] = 2, [PLAN_START] = 3, [PLAN_KEEP] = 4
    };
    const plan_step_t *a = left, *b = right;
    int difference = rank[a->action] - rank[b->action];
    return difference ? difference : strcmp(a->name, b->name);
}

static void
sort(plan_t *self)
{
    if (self->count)
        qsort(self->steps, self->count, sizeof *self->steps, by_action);
}

plan_t *
plan_make(const conf_t *wanted, const settings_t *running_process, const route_conf_t *const running[],
          size_t running_count)
{
    plan_t *self = xcalloc(1, sizeof *self);
    changes_t process = { 0 }, none = { 0 };
    compare(running_process, &wanted->settings, &process);
    self->process = process.at;
    self->process_count = process.count;
    for (size_t i = 0; i < running_count; i++) {
        const route_conf_t *next = conf_route(wanted, running[i]->name);
        if (next)
            plan_route(self, running[i], next);
        else
            add_step(self, PLAN_STOP, running[i], NULL, none);
    }
    for (size_t i = 0; i < wanted->route_count; i++) {
        bool runs = false;
        for (size_t j = 0; j < running_count; j++)
            runs |= strcmp(running[j]->name, wanted->routes[i]->name) == 0;
        if (!runs)
            add_step(self, PLAN_START, NULL, wanted->routes[i], none);
    }
    sort(self);
    return self;
}

// Of a route that is changed anyway it is one line more.
void
plan_add_content(plan_t *self, const char *route, const char *key, const char *words, reload_t reload)
{
    for (size_t i = 0; i < self->count; i++) {
        plan_step_t *step = &self->steps[i];
        if (strcmp(step->name, route) != 0 || !step->running || !step->wanted)
            continue;
        step->changes = xrealloc(step->changes, step->change_count + 1, sizeof *step->changes);
        step->changes[step->change_count++] = (plan_change_t){ .key = xstrdup(key), .words = xstrdup(words), .reload = reload };
        if (reload == RELOAD_ROUTE)
            step->action = PLAN_REPLACE;
    }
    sort(self);
}

static plan_line_t
line_of_change(const char *route, const plan_change_t *change, const char *how)
{
    return (plan_line_t){ .route = route, .key = change->key, .old_value = change->old_value,
                          .new_value = change->new_value, .words = change->words, .how = how, .waits = change->reload == RELOAD_RESTART && !route };
}

// A step without a change of its own still is a line: only defaults moved, or a route comes or goes.
static size_t
count_lines(const plan_step_t *step)
{
    return step->change_count ? step->change_count : step->action != PLAN_KEEP;
}

bool
plan_line(const plan_t *self, size_t i, plan_line_t *line)
{
    static const char *const how[] = { [PLAN_KEEP] = "live", [PLAN_CHANGE] = "live", [PLAN_REPLACE] = "re-created", [PLAN_START] = "added",
                                       [PLAN_STOP] = "removed" };
    if (i < self->process_count) {
        *line = line_of_change(NULL, &self->process[i],
                               self->process[i].reload == RELOAD_LIVE ? "live" : "needs a restart");
        return true;
    }
    i -= self->process_count;
    for (const plan_step_t *step = self->steps; step < self->steps + self->count; step++) {
        if (i >= count_lines(step)) {
            i -= count_lines(step);
            continue;
        }
        *line = step->change_count ? line_of_change(step->name, &step->changes[i], how[step->action])
                                   : (plan_line_t){ .route = step->name, .how = how[step->action] };
        return true;
    }
    *line = (plan_line_t){ .how = "nothing to do" };
    return i == 0 && plan_is_empty(self);
}

static const char *
or_unset(const char *value)
{
    return *value ? value : "unset";
}

void
plan_print_line(const plan_line_t *line, text_t *out)
{
    if (line->route)
        text_add(out, "route %s: ", line->route);
    if (!line->key) {
        bool only_defaults = strcmp(line->how, "live") == 0 || strcmp(line->how, "re-created") == 0;
        text_add(out, only_defaults ? "(%s)" : "%s", line->how);
        return;
    }
    if (line->words)
        text_add(out, "%s %s", line->key, line->words);
    else if (line->old_value && line->new_value)
        text_add(out, "%s %s -> %s", line->key, or_unset(line->old_value), or_unset(line->new_value));
    else
        text_add(out, "%s %s: %s", line->key, line->new_value ? "added" : "removed",
                 line->new_value ? line->new_value : line->old_value);
    text_add(out, " (%s)", line->how);
}

void
plan_print(const plan_t *self, text_t *out)
{
    plan_line_t line;
    for (size_t i = 0; plan_line(self, i, &line); i++) {
        plan_print_line(&line, out);
        text_char(out, '\n');
    }
}

bool
plan_is_empty(const plan_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (count_lines(&self->steps[i]) > 0)
            return false;
    return self->process_count == 0;
}

static void
free_changes(plan_change_t *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(changes[i].key);
        free(changes[i].old_value);
        free(changes[i].new_value);
        free(changes[i].words);
    }
    free(changes);
}

void
plan_destroy(plan_t **self_p)
{
    plan_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        free_changes(self->steps[i].changes, self->steps[i].change_count);
        free(self->steps[i].name);
    }
    free_changes(self->process, self->process_count);
    free(self->steps);
    free(self);
    *self_p = NULL;
}
