// SPDX-License-Identifier: MPL-2.0
// servicesrecord.c - see services_internal.h. Services come in the order in which they are
// chosen, requests in that in which they were given: marks before all others, which are
// younger.

#include "base/record.h"
#include "wire/services_internal.h"

#include <string.h>

// Never used for anything else again.
enum {
    TAG_SERVICE = 1,
    TAG_ASKED,
    TAG_ID = 10, // of the service, by its connection
    TAG_READY,
    TAG_WAS_READY,
    TAG_ANSWERED,
    TAG_RETRIED,
    TAG_FREE_SINCE,
    TAG_GIVEN,
    TAG_CLIENT = 20,
    TAG_LATE,
    TAG_NTH,
    TAG_SINCE,
    TAG_NUMBER,
    TAG_SLOT,
    TAG_TRIES,
    TAG_FAILED,
    TAG_BODY,
    TAG_PAYLOAD,
};

enum { SLOT_MOST = 1 << 22 };

// --- saving ----------------------------------------------------------------------------

static void
save_service(const service_t *service, record_t *to)
{
    size_t opened = record_open(to, TAG_SERVICE);
    record_number(to, TAG_ID, service->id);
    record_number(to, TAG_READY, service->ready);
    record_number(to, TAG_WAS_READY, service->was_ready);
    record_number(to, TAG_ANSWERED, service->answered);
    record_number(to, TAG_RETRIED, service->retried);
    record_number(to, TAG_FREE_SINCE, (uint64_t)service->free_since_wall_ns);
    record_number(to, TAG_GIVEN, service->inhand.given);
    record_close(to, opened);
}

static void
save_asked(const asked_t *asked, record_t *to)
{
    size_t opened = record_open(to, TAG_ASKED);
    record_bytes(to, TAG_CLIENT, asked->client, asked->client_size);
    if (asked->at)
        record_number(to, TAG_ID, service_of(asked->at)->id);
    record_number(to, TAG_LATE, asked->late);
    record_number(to, TAG_NTH, asked->nth);
    record_number(to, TAG_SINCE, (uint64_t)asked->since_ns);
    record_number(to, TAG_NUMBER, asked->number);
    record_number(to, TAG_SLOT, asked->slot);
    record_number(to, TAG_TRIES, asked->tries);
    for (unsigned i = OUTSTANDING_FAILED; i-- > 0;)
        record_number(to, TAG_FAILED, asked->failed[i]);
    if (asked->chunk) {
        record_bytes(to, TAG_BODY, asked->chunk->data + asked->body_at, asked->size);
        record_number(to, TAG_PAYLOAD, asked->load.payload);
    }
    record_close(to, opened);
}

void
servicesrecord_save(const services_t *self, record_t *to)
{
    for (const rank_t *rank = ranks_first((ranks_t *)&self->ranks); rank; rank = ranks_next(&self->ranks, rank))
        save_service((const service_t *)rank, to);
    for (const service_t *service = self->services; service; service = service->next) {
        if (!service->rank.there)
            save_service(service, to);
        for (const asked_t *mark = service->inhand.late.first; mark; mark = mark->next)
            save_asked(mark, to);
    }
    for (const asked_t *asked = self->outstanding.oldest; asked; asked = asked->newer)
        save_asked(asked, to);
    for (const asked_t *asked = self->waiting.first; asked; asked = asked->next)
        save_asked(asked, to);
}

// --- restoring -------------------------------------------------------------------------

static void
restore_service(services_t *self, record_fields_t from)
{
    service_t *service = dispatch_add(self, record_number_of(from, TAG_ID, UINT64_MAX));
    service->ready = record_number_of(from, TAG_READY, 1);
    service->was_ready = record_number_of(from, TAG_WAS_READY, 1);
    service->answered = record_number_of(from, TAG_ANSWERED, UINT64_MAX);
    service->retried = record_number_of(from, TAG_RETRIED, UINT64_MAX);
    service->free_since_wall_ns = (int64_t)record_number_of(from, TAG_FREE_SINCE, INT64_MAX);
    service->inhand.given = record_number_of(from, TAG_GIVEN, UINT64_MAX);
}

static service_t *
find_service(const services_t *self, record_fields_t from)
{
    uint64_t id = record_number_of(from, TAG_ID, UINT64_MAX);
    service_t *service = self->services;
    while (service && service->id != id)
        service = service->next;
    return service;
}

// Counted frame by frame, so that nothing else is ever sent as a message.
static bool
is_message(const uint8_t *at, size_t size)
{
    frame_head_t head = { .flags = FRAME_MORE };
    size_t read = 0;
    while (read < size && head.flags & FRAME_MORE) {
        if (frame_read(at + read, size - read, &head) != 1 || head.flags & FRAME_COMMAND ||
            size - read - head.head < head.body)
            return false;
        read += head.head + head.body;
    }
    return size > 0 && read == size && !(head.flags & FRAME_MORE);
}

static void
restore_body(services_t *self, asked_t *asked, record_fields_t from)
{
    record_field_t field;
    if (!record_find(from, TAG_BODY, &field) || !is_message(field.at, field.size))
        return;
    asked->chunk = chunk_new(&self->port->wire->pool, field.size);
    asked->chunk->size = asked->size = field.size;
    memcpy(asked->chunk->data, field.at, field.size);
    asked->load = (load_t){ 1, record_number_of(from, TAG_PAYLOAD, field.size) };
}

static void
restore_asked(services_t *self, record_fields_t from)
{
    record_field_t client, field;
    uint64_t number;
    uint32_t slot = (uint32_t)record_number_of(from, TAG_SLOT, SLOT_MOST);
    if (!record_find(from, TAG_CLIENT, &client) || client.size == 0 || client.size > UINT8_MAX)
        return;
    service_t *service = find_service(self, from);
    if (record_number_of(from, TAG_LATE, 1)) {
        if (service)
            outstanding_mark(&self->outstanding, client.at, client.size, &service->inhand,
                             record_number_of(from, TAG_NTH, UINT64_MAX));
        return;
    }
    asked_t *asked = outstanding_add_at(&self->outstanding, client.at, client.size, slot);
    if (!asked)
        return;
    asked->tries = (uint32_t)record_number_of(from, TAG_TRIES, UINT32_MAX);
    for (record_fields_t i = from; record_next(&i, &field);)
        if (field.tag == TAG_FAILED && record_to_number(&field, UINT64_MAX, &number))
            asked_fails_at(asked, number);
    restore_body(self, asked, from);
    if (service) {
        uint64_t given = service->inhand.given;
        outstanding_give(&self->outstanding, asked, &service->inhand, record_number_of(from, TAG_NUMBER, UINT64_MAX),
                         (int64_t)record_number_of(from, TAG_SINCE, INT64_MAX));
        asked->nth = record_number_of(from, TAG_NTH, UINT64_MAX);
        service->inhand.given = given;
    } else if (asked->chunk)
        dispatch_wait(self, asked);
    else
        replies_drop(self, asked, DROP_PEER_LOST);
}

void
servicesrecord_restore(services_t *self, record_fields_t from)
{
    record_field_t field;
    for (record_fields_t i = from; record_next(&i, &field);)
        if (field.tag == TAG_SERVICE)
            restore_service(self, record_inside(&field));
    while (record_next(&from, &field))
        if (field.tag == TAG_ASKED)
            restore_asked(self, record_inside(&field));
}
