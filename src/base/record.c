// SPDX-License-Identifier: MPL-2.0
#include "base/record.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    TAG_BYTES = 2,
    HEAD_BYTES = TAG_BYTES + 8,
    ROOM_FIRST = 4096,
    MAPPED_FROM = 1 << 20, // room of a record with pages of its own
};

// --- memory --------------------------------------------------------------------

static bool
is_mapped(size_t room)
{
    return room >= MAPPED_FROM;
}

static uint8_t *
checked(void *pages, size_t room)
{
    if (pages == MAP_FAILED)
        abort(); // as xcalloc does
    madvise(pages, room, MADV_HUGEPAGE);
    return pages;
}

static uint8_t *
take_room(size_t room)
{
    if (!is_mapped(room))
        return xcalloc(1, room);
    return checked(mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), room);
}

void
record_forget(record_t *self)
{
    if (self->data && is_mapped(self->room))
        munmap(self->data, self->room);
    else if (self->data) {
        explicit_bzero(self->data, self->size);
        free(self->data);
    }
    *self = (record_t){ 0 };
}

record_t
record_of_size(size_t size)
{
    return (record_t){ take_room(size), 0, size };
}

bool
record_map(record_t *self, int fd, size_t size)
{
    void *pages = is_mapped(size) ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (pages == MAP_FAILED)
        return false;
    *self = (record_t){ pages, size, size };
    return true;
}

// --- writing -------------------------------------------------------------------

// Not by realloc, which may leave keys behind where they were.
static void
need(record_t *self, size_t more)
{
    size_t room = self->room ? self->room : ROOM_FIRST;
    if (self->room - self->size >= more)
        return;
    while (room - self->size < more)
        room *= 2;
    if (is_mapped(self->room)) {
        self->data = checked(mremap(self->data, self->room, room, MREMAP_MAYMOVE), room);
        self->room = room;
        return;
    }
    record_t larger = { take_room(room), self->size, room };
    if (self->size > 0)
        memcpy(larger.data, self->data, self->size);
    record_forget(self);
    *self = larger;
}

static void
write_head(uint8_t *at, unsigned tag, uint64_t size)
{
    uint16_t short_tag = (uint16_t)tag;
    memcpy(at, &short_tag, TAG_BYTES);
    memcpy(at + TAG_BYTES, &size, sizeof size);
}

uint8_t *
record_place(record_t *self, unsigned tag, size_t size)
{
    need(self, HEAD_BYTES + size);
    uint8_t *at = self->data + self->size;
    write_head(at, tag, size);
    self->size += HEAD_BYTES + size;
    return at + HEAD_BYTES;
}

void
record_bytes(record_t *self, unsigned tag, const void *bytes, size_t size)
{
    uint8_t *at = record_place(self, tag, size);
    if (size > 0)
        memcpy(at, bytes, size);
}

void
record_number(record_t *self, unsigned tag, uint64_t number)
{
    record_bytes(self, tag, &number, sizeof number);
}

void
record_text(record_t *self, unsigned tag, const char *text)
{
    if (text)
        record_bytes(self, tag, text, strlen(text));
}

size_t
record_open(record_t *self, unsigned tag)
{
    size_t opened = self->size;
    record_place(self, tag, 0);
    return opened;
}

void
record_add(record_t *self, const void *bytes, size_t size)
{
    need(self, size);
    if (size > 0)
        memcpy(self->data + self->size, bytes, size);
    self->size += size;
}

void
record_close(record_t *self, size_t opened)
{
    uint64_t size = self->size - opened - HEAD_BYTES;
    memcpy(self->data + opened + TAG_BYTES, &size, sizeof size);
}

// --- reading -------------------------------------------------------------------

record_fields_t
record_fields(const record_t *record)
{
    return (record_fields_t){ record->data, record->size };
}

record_fields_t
record_inside(const record_field_t *field)
{
    return (record_fields_t){ field->at, field->size };
}

bool
record_next(record_fields_t *self, record_field_t *field)
{
    uint16_t tag;
    uint64_t size;
    if (self->left < HEAD_BYTES)
        return false;
    memcpy(&tag, self->at, TAG_BYTES);
    memcpy(&size, self->at + TAG_BYTES, sizeof size);
    if (size > self->left - HEAD_BYTES)
        return false;
    *field = (record_field_t){ tag, self->at + HEAD_BYTES, (size_t)size };
    self->at += HEAD_BYTES + size;
    self->left -= HEAD_BYTES + (size_t)size;
    return true;
}

bool
record_find(record_fields_t fields, unsigned tag, record_field_t *field)
{
    while (record_next(&fields, field))
        if (field->tag == tag)
            return true;
    return false;
}

bool
record_to_number(const record_field_t *field, uint64_t most, uint64_t *number)
{
    if (field->size != sizeof *number)
        return false;
    memcpy(number, field->at, sizeof *number);
    return *number <= most;
}

uint64_t
record_number_of(record_fields_t fields, unsigned tag, uint64_t most)
{
    record_field_t field;
    uint64_t number;
    return record_find(fields, tag, &field) && record_to_number(&field, most, &number) ? number : 0;
}

char *
record_to_text(const record_field_t *field, size_t most)
{
    if (field->size > most || memchr(field->at, 0, field->size))
        return NULL;
    return xstrndup((const char *)field->at, field->size);
}
