// SPDX-License-Identifier: MPL-2.0
#include "zbroker-upgrade.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/program.h"
#include "broker/takeover.h"
#include "broker/systemd.h"
#include "flow/client.h"

#include <stdlib.h>
#include <string.h>

// --- leaving -----------------------------------------------------------------------

static void
save(const daemon_t *self, savedstate_t *to)
{
    unsigned char keys[HASH_KEYS];
    hash_keys(keys);
    record_number(&to->record, SAVEDSTATE_FORMAT, SAVEDSTATE_FORMAT_NOW);
    record_text(&to->record, SAVEDSTATE_VERSION, PACKAGE_VERSION);
    record_bytes(&to->record, SAVEDSTATE_HASH_KEYS, keys, sizeof keys);
    broker_save(self->broker, to);
    record_number(&to->record, SAVEDSTATE_CLIENT_ID, client_last_id());
    if (self->control)
        control_save(self->control, to);
    if (self->http)
        savedstate_fd(to, SAVEDSTATE_HTTP, http_listener(self->http));
    savedstate_seal(to);
    explicit_bzero(keys, sizeof keys);
}

void
upgrade_leave(daemon_t *self)
{
    savedstate_t saved = { 0 };
    text_t error = { 0 };
    systemd_reloading();
    if (self->control)
        control_end_taps(self->control); // while the routes still run: nobody waits for it
    log_flush();
    save(self, &saved);
    program_run(&saved.record, saved.fds, saved.count, &error);
    broker_stay(self->broker, record_fields(&saved.record));
    savedstate_forget(&saved);
    log_event(EVENT_UPGRADE_FAILED, EVENT_PROSE("reason", error.data));
    if (self->control)
        control_answer(self->control, NULL, NULL, error.data);
    systemd_ready();
    text_free(&error);
}

// --- taking over -------------------------------------------------------------------

void
upgrade_inherit(daemon_t *self, const record_t *before)
{
    record_field_t field;
    uint64_t id;
    if (!before->data)
        return;
    if (!savedstate_is_known(before)) {
        log_event(EVENT_UPGRADE_UNKNOWN, EVENT_NUMBER("connections", savedstate_discard(before)));
        return;
    }
    self->before = before;
    record_fields_t from = record_fields(before);
    if (record_find(from, SAVEDSTATE_HASH_KEYS, &field) && field.size == HASH_KEYS)
        hash_use_keys(field.at);
    if (record_find(from, SAVEDSTATE_CLIENT_ID, &field) && record_to_number(&field, UINT64_MAX, &id))
        client_ids_after(id);
    takeover_offer(self->activation, from);
}

static void
say_upgraded(const daemon_t *self)
{
    record_field_t field;
    size_t routes;
    uint64_t connections;
    text_t lines = { 0 }, object = { 0 }, count = { 0 };
    char *from = record_find(record_fields(self->before), SAVEDSTATE_VERSION, &field) ? record_to_text(&field, 64) : NULL;
    const char *known = from ? from : "?";
    broker_settle(self->broker, &routes, &connections);
    text_add(&count, "%zu route%s, %llu connection%s kept", routes, text_plural(routes),
             (unsigned long long)connections, text_plural(connections));
    text_add(&lines, "upgraded: %s -> %s, %s", known, PACKAGE_VERSION, count.data);
    json_t json = json_on(&object);
    json_object(&json, NULL);
    json_string(&json, "from", known);
    json_string(&json, "to", PACKAGE_VERSION);
    json_uint(&json, "routes", routes);
    json_uint(&json, "connections", connections);
    json_object_end(&json);
    log_event(EVENT_UPGRADED, EVENT_TEXT("from", known), EVENT_TEXT("to", PACKAGE_VERSION),
              EVENT_WORDS("count", count.data), EVENT_NUMBER("routes", routes),
              EVENT_NUMBER("connections", connections));
    if (self->control)
        control_answer(self->control, lines.data, object.data, NULL);
    text_free(&lines);
    text_free(&object);
    text_free(&count);
    free(from);
}

void
upgrade_done(daemon_t *self)
{
    if (self->before)
        say_upgraded(self);
    self->before = NULL;
}
