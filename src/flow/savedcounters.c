// SPDX-License-Identifier: MPL-2.0
#include "flow/savedcounters.h"

#include "base/mem.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { NAME_MOST = 80, TAG_COUNTER = 1 };

// --- their names -----------------------------------------------------------------------

typedef struct {
    const char *name;
    size_t at, count;
    const char *const *each; // names of its elements; NULL: numbers from 0 on
} counter_row_t;

// clang-format off
#define ONE(type, member) { #member, offsetof(type, member), 1, NULL }
#define SOME(type, member, each) { #member, offsetof(type, member), sizeof(((type *)0)->member) / sizeof(counter_t), each }

static const counter_row_t of_side[] = {
    ONE(side_counters_t, messages_received),
    ONE(side_counters_t, messages_sent),
    ONE(side_counters_t, received_bytes),
    ONE(side_counters_t, sent_bytes),
    ONE(side_counters_t, blocked_ns),
    ONE(side_counters_t, blocked_since_ns),
    ONE(side_counters_t, connections),
    ONE(side_counters_t, accepted),
    ONE(side_counters_t, disconnections),
    SOME(side_counters_t, handshake_failures, handshake_reasons),
    SOME(side_counters_t, auth, auth_results),
    SOME(side_counters_t, cut, cut_reasons),
    ONE(side_counters_t, heartbeat_timeouts),
    ONE(side_counters_t, queued),
    ONE(side_counters_t, queued_bytes),
};

static const counter_row_t of_route[] = {
    SOME(counters_t, dropped, drop_reasons),
    ONE(counters_t, capture_dropped),
    SOME(counters_t, sizes, NULL),
    ONE(counters_t, subscriptions),
    ONE(counters_t, remembered_messages),
    ONE(counters_t, remembered_bytes),
    ONE(counters_t, store.state),
    ONE(counters_t, store.files),
    ONE(counters_t, store.messages),
    ONE(counters_t, store.bytes),
    ONE(counters_t, store.oldest_ns),
    ONE(counters_t, store.corrupt),
    ONE(counters_t, store.server),
    SOME(counters_t, store.commits, NULL),
    ONE(counters_t, store.commit_ns),
    ONE(counters_t, requeued),
    SOME(counters_t, acks, ack_results),
    SOME(counters_t, jobs, job_results),
    ONE(counters_t, outstanding),
};
// clang-format on

typedef void visit_t(void *arg, const char *name, counter_t *counter);

// Each of the COUNT rows' counters at BASE, with its whole name: "frontend cut stalled".
static void
visit_rows(void *base, const char *side, const counter_row_t *rows, size_t count, visit_t *visit, void *arg)
{
    char name[NAME_MOST];
    for (const counter_row_t *row = rows; row < rows + count; row++)
        for (size_t i = 0; i < row->count; i++) {
            if (row->each)
                snprintf(name, sizeof name, "%s %s %s", side, row->name, row->each[i]);
            else
                snprintf(name, sizeof name, "%s %s %zu", side, row->name, i);
            visit(arg, name, (counter_t *)(void *)((char *)base + row->at) + i);
        }
}

static void
visit_all(counters_t *self, visit_t *visit, void *arg)
{
    for (side_t side = 0; side < SIDES; side++)
        visit_rows(&self->sides[side], side_name(side), of_side, COUNT(of_side), visit, arg);
    visit_rows(self, "route", of_route, COUNT(of_route), visit, arg);
}

// --- writing and reading -------------------------------------------------------------

// The number, and its name behind it.
static void
write_one(void *arg, const char *name, counter_t *counter)
{
    record_t *to = arg;
    uint64_t number = counter_get(counter);
    if (number == 0)
        return;
    size_t opened = record_open(to, TAG_COUNTER);
    record_add(to, &number, sizeof number);
    record_add(to, name, strlen(name));
    record_close(to, opened);
}

void
savedcounters_write(record_t *to, unsigned tag, const counters_t *counters)
{
    counters_t copy;
    memcpy(&copy, counters, sizeof copy);
    size_t opened = record_open(to, tag);
    visit_all(&copy, write_one, to);
    record_close(to, opened);
}

static void
read_one(void *arg, const char *name, counter_t *counter)
{
    record_fields_t from = *(const record_fields_t *)arg;
    record_field_t field;
    uint64_t number = 0;
    size_t size = strlen(name);
    while (number == 0 && record_next(&from, &field))
        if (field.size == sizeof number + size && memcmp(field.at + sizeof number, name, size) == 0)
            memcpy(&number, field.at, sizeof number);
    counter_set(counter, number);
}

void
savedcounters_read(record_fields_t from, unsigned tag, counters_t *counters)
{
    record_field_t field;
    record_fields_t inside = { 0 };
    if (record_find(from, tag, &field))
        inside = record_inside(&field);
    visit_all(counters, read_one, &inside);
}
