// SPDX-License-Identifier: MPL-2.0
#include "conf/process.h"

#include "base/mem.h"
#include "conf/assigned.h"
#include "conf/resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
split_http(conf_t *conf)
{
    if (!conf->http)
        return;
    const char *colon = strrchr(conf->http, ':');
    size_t length = (size_t)(colon - conf->http);
    bool brackets = conf->http[0] == '[';
    snprintf(conf->http_host, sizeof conf->http_host, "%.*s", (int)(length - (brackets ? 2 : 0)),
             conf->http + brackets);
    conf->http_port = atoi(colon + 1);
}

// The page asks nobody who he is.
static void
warn_of_open_http(const char *http, place_t place, diag_t *diag)
{
    char *url = xasprintf("tcp://%s", strncmp(http, "localhost:", 10) == 0 ? "127.0.0.1:1" : http);
    endpoint_t endpoint;
    char reason[128];
    size_t offset;
    if (endpoint_parse(url, false, &endpoint, reason, sizeof reason, &offset) == 0 && !endpoint.loopback)
        diag_warning(diag, place, "[zbroker] http: %s is open to the network", http);
    free(url);
}

static void
take(const check_t *self, assigned_slot_t *slots, const raw_item_t *item)
{
    const key_row_t *row = key_find(SCOPE_PROCESS, item->key);
    assigned_t given;
    if (!row) {
        assigned_unknown_key(self, NULL, item);
        return;
    }
    assigned_slot_t *slot = &slots[row - key_at(SCOPE_PROCESS, 0)];
    if (((row->flags & KEY_LIST) || !assigned_is_double(self, item, slot)) &&
        assigned_parse(self, row, item, &given) == 0)
        assigned_put(slot, given);
}

#define INSTANCES ZB_SYSCONFDIR "/zbroker/" // NAME.ini is of zbroker@NAME
#define INI ".ini"

// The instance of the service whose file this is: the length of its name in it, 0: of none.
static size_t
instance_of(const char *file)
{
    size_t before = strlen(INSTANCES), after = strlen(INI), length = strlen(file);
    bool is_one = length > before + after && strncmp(file, INSTANCES, before) == 0
                  && strcmp(file + length - after, INI) == 0 && !strchr(file + before, '/');
    return is_one ? length - before - after : 0;
}

bool
process_is_of_service(const char *file)
{
    return strcmp(file, ZB_SYSCONFDIR "/zbroker.ini") == 0 || instance_of(file) > 0;
}

char *
process_control(const char *file)
{
    const char *folder = getenv("RUNTIME_DIRECTORY"), *name = strrchr(CONF_CONTROL_DEFAULT, '/');
    int usual = (int)(name - CONF_CONTROL_DEFAULT), instance = (int)instance_of(file);
    if (folder && *folder == '/')
        return xasprintf("%.*s%s", (int)strcspn(folder, ":"), folder, name);
    if (instance)
        return xasprintf("%.*s-%.*s%s", usual, CONF_CONTROL_DEFAULT, instance, file + strlen(INSTANCES), name);
    return xstrdup(CONF_CONTROL_DEFAULT);
}

// A name that begins with a dot would be hidden, or another folder.
char *
process_store(const char *file, const char *route)
{
    const char *folder = getenv("STATE_DIRECTORY"), *dot = *route == '.' ? "%2e" : "";
    size_t instance = instance_of(file);
    route += *route == '.';
    if (folder && *folder == '/')
        return xasprintf("%.*s/%s%s", (int)strcspn(folder, ":"), folder, dot, route);
    return xasprintf("%s%s%.*s/%s%s", CONF_STATE_DEFAULT, instance ? "/" : "", (int)instance, file + (instance ? strlen(INSTANCES) : 0),
                     dot, route);
}

static void
resolve(conf_t *conf, const key_row_t *row, const assigned_slot_t *slot, diag_t *diag)
{
    key_value_t value = { 0 };
    char reason[128], *initial = row->flags & KEY_RUNTIME ? process_control(conf->file) : xstrdup(row->initial);
    size_t offset;
    if (slot->count)
        value = slot->at[0].value;
    else
        key_parse(row, initial, "/", &value, reason, sizeof reason, &offset);
    free(initial);
    key_store(row, &value, conf);
    resolve_setting(&conf->settings, "", row->key, key_print(row, &value), row->reload, !slot->count);
    if (!slot->count)
        free(value.text);
    else if (row->kind == KEY_HTTP && value.text)
        warn_of_open_http(value.text, slot->at[0].item->value_place, diag);
}

void
process_load(conf_t *conf, const raw_section_t *section, diag_t *diag)
{
    check_t self = { .diag = diag, .section = section };
    assigned_slot_t slots[ROWS_MAX] = { 0 };
    const key_row_t *row;
    for (size_t i = 0; i < section->count; i++)
        take(&self, slots, &section->items[i]);
    for (unsigned i = 0; (row = key_at(SCOPE_PROCESS, i)); i++)
        if (row->kind != KEY_INCLUDE) // has been followed when the files were read
            resolve(conf, row, &slots[i], diag);
    split_http(conf);
    for (size_t i = 0; i < ROWS_MAX; i++)
        assigned_free_slot(&slots[i]);
}
