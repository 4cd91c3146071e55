// SPDX-License-Identifier: MPL-2.0
#include "conf/assigned.h"

#include "base/mem.h"
#include "base/text.h"
#include "conf/ini.h"
#include "conf/suggest.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <zmq.h>

// --- complaining ---------------------------------------------------------------------

place_t
place_moved(place_t place, size_t offset)
{
    place.column += (int)offset;
    return place;
}

void
complain(const check_t *self, const raw_item_t *item, place_t place, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text_t text = { 0 };
    text_vadd(&text, format, args);
    va_end(args);
    const char *hint = place.column == item->key_place.column ? "" : ini_value_hint(item->value);
    diag_error(self->diag, place, "[%s] %s: %s%s", self->section->name, item->key, text.data, hint);
    text_free(&text);
}

// --- which key is it? ----------------------------------------------------------------

typedef struct {
    const key_row_t *route_row;
    const char *base; // the key without its side
    size_t layer;     // a side_t, or ANY_SIDE
    size_t attribute; // ATTRIBUTES: none
} addressee_t;

static addressee_t
find_target(const char *key)
{
    addressee_t target = { .route_row = key_find(SCOPE_ROUTE, key) };
    target.layer = attribute_side(key, &target.base);
    target.attribute = target.route_row ? ATTRIBUTES : attribute_find(target.base);
    if (target.layer == ANY_SIDE && target.attribute < ROWS_MAX && (attribute_row(target.attribute)->flags & KEY_SIDED))
        target.attribute = ATTRIBUTES;
    return target;
}

static void
offer_attributes(suggest_t *suggest, const char *prefix)
{
    char word[80];
    for (size_t i = 0; i < ATTRIBUTES; i++) {
        if (i < ROWS_MAX ? !attribute_row(i) : !attribute_option(i))
            continue;
        if (!*prefix && i < ROWS_MAX && (attribute_row(i)->flags & KEY_SIDED))
            continue;
        snprintf(word, sizeof word, "%s%s", prefix, attribute_key(i));
        suggest_offer(suggest, word);
    }
    for (unsigned i = 0; sockopt_old_at(i); i++) {
        snprintf(word, sizeof word, "%s%s", prefix, sockopt_old_at(i)->old);
        suggest_offer(suggest, word);
    }
}

// A key that is known, but not in this section.
static const char *
other_home(const char *key, raw_kind_t kind)
{
    addressee_t target = find_target(key);
    bool of_route = target.route_row || target.attribute < ATTRIBUTES;
    if (kind != RAW_PROCESS && key_find(SCOPE_PROCESS, key))
        return "[zbroker]";
    if (kind == RAW_PROCESS && of_route)
        return target.layer == ANY_SIDE && !target.route_row ? "[defaults] or a [route NAME]"
                                                             : "a [route NAME] section";
    return NULL;
}

static bool
is_known(raw_kind_t kind, const char *key)
{
    if (kind == RAW_PROCESS)
        return key_find(SCOPE_PROCESS, key);
    addressee_t target = find_target(key);
    return kind == RAW_ROUTE ? target.route_row || target.attribute < ATTRIBUTES
                             : !target.route_row && target.attribute < ATTRIBUTES && target.layer == ANY_SIDE;
}

// BASE as libzmq's headers and its users' programs write it.
static const char *
without_prefix(const char *base)
{
    return strncasecmp(base, "zmq_", 4) == 0 ? base + 4 : base;
}

static void
offer_keys(suggest_t *suggest, raw_kind_t kind)
{
    const key_row_t *row;
    for (unsigned i = 0; kind == RAW_PROCESS && (row = key_at(SCOPE_PROCESS, i)); i++)
        suggest_offer(suggest, row->key);
    for (unsigned i = 0; kind == RAW_ROUTE && (row = key_at(SCOPE_ROUTE, i)); i++)
        suggest_offer(suggest, row->key);
    if (kind != RAW_PROCESS)
        offer_attributes(suggest, "");
    for (size_t side = 0; kind == RAW_ROUTE && side < SIDES; side++) {
        char prefix[16];
        snprintf(prefix, sizeof prefix, "%s_", side_name((side_t)side));
        bool is_rare = side == SIDE_INGRESS || side == SIDE_ACK || side == SIDE_WORKER_ACK;
        if (!is_rare || strncmp(suggest->wrong, prefix, 2) == 0)
            offer_attributes(suggest, prefix);
    }
}

// What the unknown KEY may mean in a section of KIND, "" if nothing is near: what other programs call so first.
static void
find_near(raw_kind_t kind, const char *key, char near[80])
{
    const char *base;
    attribute_side(key, &base);
    int prefix = (int)(base - key);
    const char *foreign = suggest_foreign("key", base);
    snprintf(near, 80, "%.*s%s", prefix, key, foreign ? foreign : "");
    if (foreign && is_known(kind, near))
        return;
    char wrong[80];
    snprintf(wrong, sizeof wrong, "%.*s%s", prefix, key, without_prefix(base));
    suggest_t suggest = suggest_for(wrong);
    offer_keys(&suggest, kind);
    snprintf(near, 80, "%s", suggest.best);
}

// The word that KEY needs a side for, NULL: it is something else.
static const char *
is_sideless_endpoint(raw_kind_t kind, const char *key)
{
    const char *base, *foreign = suggest_foreign("key", key);
    const char *word = foreign ? foreign : key;
    bool is_endpoint = strcmp(word, "bind") == 0 || strcmp(word, "connect") == 0;
    return kind == RAW_ROUTE && is_endpoint && attribute_side(key, &base) == ANY_SIDE ? word : NULL;
}

static void
note_meant(assigned_slots_t *slots, const char *prefix, const char *key)
{
    if (!slots)
        return;
    mem_grow(slots->meant, slots->meant_count, slots->meant_room);
    slots->meant[slots->meant_count++] = xasprintf("%s%s", prefix, key);
}

void
assigned_unknown_key(const check_t *self, assigned_slots_t *slots, const raw_item_t *item)
{
    char near[80];
    raw_kind_t kind = self->section->kind;
    const char *home = other_home(item->key, kind), *endpoint = is_sideless_endpoint(kind, item->key);
    if (home) {
        complain_key(self, item, "belongs in %s", home);
        return;
    }
    if (endpoint) {
        complain_key(self, item, "which side? Write frontend_%s or backend_%s", endpoint, endpoint);
        note_meant(slots, "frontend_", endpoint);
        note_meant(slots, "backend_", endpoint);
        return;
    }
    find_near(kind, item->key, near);
    if (*near)
        complain_key(self, item, "unknown key; did you mean %s?", near);
    else
        complain_key(self, item, "unknown key");
    note_meant(slots, "", near);
}

// --- taking in what a section says ---------------------------------------------------

void
assigned_free_slot(assigned_slot_t *slot)
{
    for (size_t i = 0; i < slot->count; i++)
        free(slot->at[i].value.text);
    free(slot->at);
    *slot = (assigned_slot_t){ 0 };
}

void
assigned_free(assigned_slots_t **slots_p)
{
    assigned_slots_t *slots = *slots_p;
    for (size_t i = 0; i < ROWS_MAX; i++)
        assigned_free_slot(&slots->route[i]);
    for (size_t layer = 0; layer < LAYERS; layer++)
        for (size_t i = 0; i < ATTRIBUTES; i++)
            assigned_free_slot(&slots->side[layer][i]);
    for (size_t i = 0; i < slots->meant_count; i++)
        free(slots->meant[i]);
    free(slots->meant);
    free(slots);
    *slots_p = NULL;
}

// Is there already a value for a scalar? The second -o wins, a second line is an error.
bool
assigned_is_double(const check_t *self, const raw_item_t *item, assigned_slot_t *slot)
{
    if (slot->count == 0)
        return false;
    const raw_item_t *first = slot->at[0].item;
    if (item->override) {
        assigned_free_slot(slot);
        return false;
    }
    complain_key(self, item, "is given twice, first in %s:%d", first->key_place.file, first->key_place.line);
    return true;
}

void
assigned_put(assigned_slot_t *slot, assigned_t given)
{
    mem_grow(slot->at, slot->count, slot->room);
    slot->at[slot->count++] = given;
}

static void
warn_of_quotes(const check_t *self, const raw_item_t *item)
{
    if (ini_is_quoted(item->value))
        diag_warning(self->diag, item->value_place, "[%s] %s: the quotes are part of the value; leave them out",
                     self->section->name, item->key);
}

int
assigned_parse(const check_t *self, const key_row_t *row, const raw_item_t *item, assigned_t *given)
{
    char reason[512];
    size_t offset;
    *given = (assigned_t){ .item = item };
    if (key_parse(row, item->value, item->folder, &given->value, reason, sizeof reason, &offset) == 0) {
        if (*reason)
            diag_warning(self->diag, item->value_place, "[%s] %s: %s", self->section->name, item->key, reason);
        if (row->kind != KEY_ENDPOINT && row->kind != KEY_INCLUDE &&
            row->kind != KEY_BYTE) // judged later; may be quoted
            warn_of_quotes(self, item);
        return 0;
    }
    complain(self, item, place_moved(item->value_place, offset), "%s", reason);
    return -1;
}

static int
parse_option(const check_t *self, const sockopt_t *option, const raw_item_t *item, assigned_t *given)
{
    char reason[512];
    sockopt_value_t value = { 0 };
    *given = (assigned_t){ .item = item };
    if ((option->flags & SOCKOPT_AUTO) && strcmp(item->value, "auto") == 0) {
        given->value.number = -1;
        return 0;
    }
    if (!sockopt_works(option)) {
        int major, minor, patch;
        zmq_version(&major, &minor, &patch);
        complain_key(self, item, "this libzmq, %d.%d.%d, lacks it%s", major, minor, patch,
                     option->flags & SOCKOPT_DRAFT ? ": it is a draft option, and the library was built without them"
                                                   : "");
        return -1;
    }
    if (sockopt_parse(option, item->value, &value, reason, sizeof reason) == -1) {
        complain_value(self, item, "%s", reason);
        return -1;
    }
    if (option->kind == SOCKOPT_TEXT || option->kind == SOCKOPT_BYTES)
        given->value.text = value.text;
    else
        given->value.number = value.number;
    warn_of_quotes(self, item);
    return 0;
}

// The same value is put twice by "hwm": each slot owns its own.
static void
take_attribute(const check_t *self, assigned_slots_t *slots, size_t layer, size_t attribute, const raw_item_t *item,
               bool inverted)
{
    assigned_slot_t *slot = &slots->side[layer][attribute];
    assigned_t given;
    if (!attribute_is_list(attribute) && assigned_is_double(self, item, slot))
        return;
    const sockopt_t *option = attribute_option(attribute);
    int result = option ? parse_option(self, option, item, &given)
                        : assigned_parse(self, attribute_row(attribute), item, &given);
    if (result == -1)
        return;
    if (inverted)
        given.value.number = !given.value.number;
    assigned_put(slot, given);
}

void
assigned_take(const check_t *self, assigned_slots_t *slots, const raw_item_t *item)
{
    addressee_t target = find_target(item->key);
    bool in_defaults = self->section->kind == RAW_DEFAULTS;
    if (target.route_row && !in_defaults) {
        assigned_slot_t *slot = &slots->route[target.route_row - key_at(SCOPE_ROUTE, 0)];
        assigned_t given;
        if (!assigned_is_double(self, item, slot) && assigned_parse(self, target.route_row, item, &given) == 0)
            assigned_put(slot, given);
        return;
    }
    const char *refusal = sockopt_refusal(target.base);
    if (refusal) {
        complain_key(self, item, "cannot be set: %s", refusal);
        return;
    }
    if (in_defaults && (target.route_row || (target.attribute < ATTRIBUTES && target.layer != ANY_SIDE))) {
        bool of_route =
            target.route_row || (target.attribute < ROWS_MAX && (attribute_row(target.attribute)->flags & KEY_SIDED));
        if (of_route)
            complain_key(self, item, "belongs in a [route NAME] section");
        else
            complain_key(self, item, "a default is for all sides; write %s", target.base);
        return;
    }
    if (target.attribute == ATTRIBUTES) {
        assigned_unknown_key(self, slots, item);
        return;
    }
    const sockopt_old_t *old = sockopt_old_find(target.base);
    take_attribute(self, slots, target.layer, target.attribute, item, old && old->inverted);
    if (old && old->second)
        take_attribute(self, slots, target.layer, attribute_find(old->second), item, false);
}

// --- asking what it said -------------------------------------------------------------

// What was written for ATTRIBUTE of SIDE, nearest first; NULL: nothing.
const assigned_slot_t *
assigned_written(const check_t *self, size_t side, size_t attribute, bool only_sided)
{
    const assigned_slot_t *candidates[] = { &self->own->side[side][attribute], &self->own->side[ANY_SIDE][attribute],
                                            &self->defaults->side[ANY_SIDE][attribute] };
    for (size_t i = 0; i < (only_sided ? 1 : 3); i++)
        if (candidates[i]->count)
            return candidates[i];
    return NULL;
}

bool
assigned_by_defaults(const check_t *self, const assigned_slot_t *slot)
{
    const assigned_slot_t *all = self->defaults->side[ANY_SIDE];
    return slot >= all && slot < all + ATTRIBUTES;
}

const assigned_slot_t *
assigned_row(const check_t *self, size_t side, const char *key)
{
    return assigned_written(self, side, attribute_find(key), false);
}

// The one line to point at, NULL without.
const raw_item_t *
assigned_item(const check_t *self, size_t side, const char *key)
{
    const assigned_slot_t *slot = assigned_row(self, side, key);
    return slot ? slot->at[0].item : NULL;
}

const assigned_t *
assigned_for_route(const check_t *self, const char *key)
{
    const assigned_slot_t *slot = &self->own->route[key_find(SCOPE_ROUTE, key) - key_at(SCOPE_ROUTE, 0)];
    return slot->count ? &slot->at[0] : NULL;
}

bool
assigned_has(const check_t *self, const char *key)
{
    for (size_t i = 0; i < self->section->count; i++)
        if (strcmp(self->section->items[i].key, key) == 0)
            return true;
    return assigned_may_have(self, key);
}

static bool
is_meant(const assigned_slots_t *slots, const char *key)
{
    for (size_t i = 0; i < slots->meant_count; i++)
        if (strcmp(slots->meant[i], key) == 0)
            return true;
    return slots->damaged;
}

bool
assigned_may_have(const check_t *self, const char *key)
{
    const char *base;
    attribute_side(key, &base);
    return is_meant(self->own, key) || is_meant(self->own, base) || is_meant(self->defaults, base);
}
