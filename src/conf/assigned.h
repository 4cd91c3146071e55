// SPDX-License-Identifier: MPL-2.0
// assigned.h - what the sections say, by attribute and side; and how to complain of it.

#ifndef ZB_ASSIGNED_H
#define ZB_ASSIGNED_H

#include "conf/attribute.h"
#include "conf/conf.h"
#include "conf/raw.h"

typedef struct {
    const raw_item_t *item;
    key_value_t value; // of an option: number or text
    size_t offset;     // in the value, of what a later complaint is about
} assigned_t;

typedef struct {
    assigned_t *at; // a scalar has one
    size_t count, room;
} assigned_slot_t;

// All that one section says. [defaults] is one of them.
typedef struct {
    assigned_slot_t route[ROWS_MAX];
    assigned_slot_t side[LAYERS][ATTRIBUTES];
    bool damaged; // a line could not be read
    char **meant; // what lines with unknown keys may have meant
    size_t meant_count, meant_room;
} assigned_slots_t;

// One section as it is judged.
typedef struct {
    diag_t *diag;
    const raw_section_t *section;
    const char *file; // of the process
    route_conf_t *route;
    assigned_slots_t *own, *defaults;
} check_t;

// --- taking in -----------------------------------------------------------------------

// One line of the section, into SLOTS. What is wrong with it goes to SELF's diag.
void assigned_take(const check_t *self, assigned_slots_t *slots, const raw_item_t *item);
void assigned_free(assigned_slots_t **slots_p);

// The steps of it, for the section of the process, which has keys without sides.
int assigned_parse(const check_t *self, const key_row_t *row, const raw_item_t *item,
                   assigned_t *given); // 0, or -1 and told
bool assigned_is_double(const check_t *self, const raw_item_t *item,
                        assigned_slot_t *slot); // a scalar that has a value; told
void assigned_put(assigned_slot_t *slot, assigned_t given);
void assigned_free_slot(assigned_slot_t *slot);
void assigned_unknown_key(const check_t *self, assigned_slots_t *slots, const raw_item_t *item); // SLOTS may be NULL

// --- asking --------------------------------------------------------------------------

// What was written for ATTRIBUTE of SIDE, nearest first: SIDE_key, key, key of
// [defaults]. NULL: nothing.
const assigned_slot_t *assigned_written(const check_t *self, size_t side, size_t attribute, bool only_sided);
bool assigned_by_defaults(const check_t *self, const assigned_slot_t *slot); // SLOT is of [defaults]
const assigned_slot_t *assigned_row(const check_t *self, size_t side, const char *key);
const raw_item_t *assigned_item(const check_t *self, size_t side, const char *key); // the one line to point at

const assigned_t *assigned_for_route(const check_t *self,
                                     const char *key);   // of a key without sides; NULL: not given, or wrong
bool assigned_has(const check_t *self, const char *key); // a line of that key, right or wrong, or one that may have it

// May a line that was reported have said KEY: one that could not be read, or whose unknown key is near? Then nothing
// follows from the absence of KEY.
bool assigned_may_have(const check_t *self, const char *key);

// --- complaining ---------------------------------------------------------------------

place_t place_moved(place_t place, size_t offset);

// "[route prices] frontend_bind: …", an error at PLACE; about a value, it says how comments are written if one is in it.
void complain(const check_t *self, const raw_item_t *item, place_t place, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define complain_value(self, item, ...) complain(self, item, (item)->value_place, __VA_ARGS__)
#define complain_key(self, item, ...) complain(self, item, (item)->key_place, __VA_ARGS__)

#endif
