// SPDX-License-Identifier: MPL-2.0
// plan.h - what a reload will do: a pure function of what runs and what is
// wanted, comparing effective values. No socket, no clock, no side effect.

#ifndef ZB_PLAN_H
#define ZB_PLAN_H

#include "base/text.h"
#include "conf/conf.h"

typedef enum {
    PLAN_KEEP,     // untouched: no client notices, but those whom a changed file of the guard concerns
    PLAN_CHANGE,   // live: endpoints, security, acl, limits, capture
    PLAN_REPLACE,  // drained and re-created on its kept listening sockets
    PLAN_START,
    PLAN_STOP,
} plan_action_t;

typedef struct {
    char *key;
    char *old_value, *new_value; // NULL: it was / is not there
    char *words;                 // instead, what changed in the file that the key names
    reload_t reload;
} plan_change_t;

typedef struct {
    plan_action_t action;
    const route_conf_t *running, *wanted; // borrowed; NULL with START, STOP
    plan_change_t *changes;
    size_t change_count;
    char *name; // of the route, which may be gone before the plan
} plan_step_t;

typedef struct {
    plan_step_t *steps;                   // STOP first, then REPLACE, CHANGE, START, KEEP
    size_t count;
    plan_change_t *process;               // of [zbroker]: RELOAD_LIVE ones are applied, RELOAD_RESTART ones warned about
    size_t process_count;
} plan_t;

plan_t *plan_make(const conf_t *wanted, const settings_t *running_process, const route_conf_t *const running[], size_t running_count);

// KEY of ROUTE names the same file as before, but WORDS is what changed in it; RELOAD is what the route needs for that.
void plan_add_content(plan_t *self, const char *route, const char *key, const char *words, reload_t reload);

// One line of what a plan says. All is borrowed from the plan; NULL where there is none.
typedef struct {
    const char *route, *key, *old_value, *new_value, *words;
    const char *how; // "live", "re-created", "needs a restart", "added", "removed", "nothing to do"
    bool waits;      // for a restart
} plan_line_t;

bool plan_line(const plan_t *self, size_t i, plan_line_t *line); // false past the end
void plan_print_line(const plan_line_t *line, text_t *out);      // without a newline

// One line a change, as the log has it: "route prices: backend_sndhwm 1000 -> 10000 (re-created)".
// "nothing to do" for an empty plan.
void plan_print(const plan_t *self, text_t *out);
bool plan_is_empty(const plan_t *self); // it has nothing to say
void plan_destroy(plan_t **self_p);

#endif
