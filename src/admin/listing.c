// SPDX-License-Identifier: MPL-2.0
#include "admin/listing.h"

#include "base/clock.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

listing_t
listing_into(json_t *json, const listing_field_t *fields, size_t count)
{
    return (listing_t){ .fields = fields, .count = count, .json = json, .more = -1 };
}

void
listing_open(listing_t *self, text_t *out, bool json, const char *name, const listing_field_t *fields, size_t count)
{
    size_t columns = 0;
    assert(count <= LISTING_FIELDS_MAX);
    *self = listing_into(json ? &self->document : NULL, fields, count);
    self->out = out;
    if (json) {
        self->document = json_document(out);
        json_array(self->json, name);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (fields[i].heading)
            self->columns[columns++] = (column_t){ fields[i].heading, fields[i].flags };
    self->table = table_on(self->columns, columns);
}

void
listing_close(listing_t *self)
{
    if (self->json) {
        json_array_end(self->json);
        if (self->more >= 0)
            json_int(self->json, "more", self->more);
        json_document_end(self->json);
        return;
    }
    table_print(&self->table, self->out);
    table_free(&self->table);
    if (self->more > 0)
        text_add(self->out, "and %" PRId64 " more\n", self->more);
}

// --- values --------------------------------------------------------------------------

typedef enum { NOWHERE, IN_JSON, IN_TABLE } outlet_t;

// The next value belongs to *FIELD.
static outlet_t
outlet(listing_t *self, const listing_field_t **field)
{
    *field = &self->fields[self->at];
    if (self->json && self->at == 0)
        json_object(self->json, self->row_key);
    if (self->json)
        return (*field)->key ? IN_JSON : NOWHERE;
    return (*field)->heading ? IN_TABLE : NOWHERE;
}

static void
passed(listing_t *self)
{
    self->at = (self->at + 1) % self->count;
    if (self->json && self->at == 0)
        json_object_end(self->json);
}

static void
put_text(listing_t *self, const char *text, const char *quote)
{
    const listing_field_t *field;
    outlet_t at = outlet(self, &field);
    if (at == IN_JSON) {
        json_string(self->json, field->key, text);
    } else if (at == IN_TABLE) {
        text_t shown = { 0 };
        text_add(&shown, "%s", quote);
        text_shown(&shown, text ? text : "", text ? strlen(text) : 0);
        table_cell(&self->table, "%s%s", shown.data, quote);
        text_free(&shown);
    }
    passed(self);
}

void
listing_text(listing_t *self, const char *text)
{
    put_text(self, text, "");
}

void
listing_quoted(listing_t *self, const char *text)
{
    put_text(self, text, "\"");
}

void
listing_number(listing_t *self, int64_t number)
{
    const listing_field_t *field = &self->fields[self->at];
    if (number < 0 && !(self->json && field->flags & LISTING_SIGNED)) {
        listing_text(self, NULL);
        return;
    }
    outlet_t at = outlet(self, &field);
    if (at == IN_JSON)
        json_int(self->json, field->key, number);
    else if (at == IN_TABLE)
        table_cell(&self->table, "%" PRId64, number);
    passed(self);
}

void
listing_seconds(listing_t *self, double seconds, int digits, const char *unit)
{
    const listing_field_t *field;
    if (seconds < 0) {
        listing_text(self, NULL);
        return;
    }
    outlet_t at = outlet(self, &field);
    if (at == IN_JSON)
        json_real(self->json, field->key, seconds);
    else if (at == IN_TABLE)
        table_cell(&self->table, "%.*f%s", digits, seconds, unit);
    passed(self);
}

void
listing_time(listing_t *self, int64_t wall_ns)
{
    char text[32];
    clock_rfc3339(wall_ns, text);
    listing_text(self, wall_ns ? text : NULL);
}
