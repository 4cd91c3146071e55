// SPDX-License-Identifier: MPL-2.0
// record.h - state written down for another program to read: fields, one after the
// other, each with a tag, a length and that many bytes. A field may hold fields.
//
// A reader skips tags that it does not know, so both programs may be of another
// version than the other. What is read is not trusted: no length leads out of the
// record, and a number is taken within its bounds only. The bytes may hold keys:
// they are wiped when they move and when they are forgotten. Those of a large record
// do not move: its pages do, and the kernel wipes them.

#ifndef ZB_RECORD_H
#define ZB_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// --- writing -------------------------------------------------------------------

// All zeros is an empty one.
typedef struct {
    uint8_t *data;
    size_t size, room;
} record_t;

void record_bytes(record_t *self, unsigned tag, const void *bytes, size_t size);
uint8_t *record_place(record_t *self, unsigned tag, size_t size); // the same, to be written by the caller
void record_number(record_t *self, unsigned tag, uint64_t number);
void record_text(record_t *self, unsigned tag, const char *text); // NULL: no field

// What is added in between is the field's content.
size_t record_open(record_t *self, unsigned tag);
void record_add(record_t *self, const void *bytes, size_t size); // no field, but content as it is
void record_close(record_t *self, size_t opened);

void record_forget(record_t *self);

// An empty one with room for SIZE bytes, which SELF->SIZE may then say that it has.
record_t record_of_size(size_t size);
// All that is in the memory of FD, a sealed memfd, without copying it. False: it cannot be mapped.
bool record_map(record_t *self, int fd, size_t size);

// --- reading -------------------------------------------------------------------

typedef struct {
    unsigned tag;
    const uint8_t *at;
    size_t size;
} record_field_t;

// Fields that are still to be read.
typedef struct {
    const uint8_t *at;
    size_t left;
} record_fields_t;

record_fields_t record_fields(const record_t *record);
record_fields_t record_inside(const record_field_t *field);

// False: there is none any more. Fields that are cut off are none.
bool record_next(record_fields_t *self, record_field_t *field);
bool record_find(record_fields_t fields, unsigned tag, record_field_t *field); // the first of that tag

// False: it is not a number of at most MOST.
bool record_to_number(const record_field_t *field, uint64_t most, uint64_t *number);
uint64_t record_number_of(record_fields_t fields, unsigned tag, uint64_t most); // 0: it is not there, or is not one

// To be freed. NULL: it is longer than MOST, or has a 0 byte.
char *record_to_text(const record_field_t *field, size_t most);

#endif
