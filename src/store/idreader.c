// SPDX-License-Identifier: MPL-2.0
#include "store/idreader.h"

#include "base/mem.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    RECORDS_AT_ONCE = 8192,
    BYTES_AT_ONCE = 2 * 1024 * 1024, // of memory that is new: a large page of it
};

struct idreader {
    const folder_t *folder;
    file_name_t *files;
    size_t file_count;
    located_t *batches;
    size_t batch_count, at;
    uint64_t most;
    int64_t since_ns;
    ids_t ids;
    size_t touched; // bytes of their places
    said_t *said;   // by the batch at hand; NULL: it is not read
    uint32_t said_count, said_at;
    int fd; // of FILE
    file_name_t file;
};

idreader_t *
idreader_new(const folder_t *folder, int64_t since_ns, contents_t *contents)
{
    if (contents->noted_count == 0)
        return NULL;
    idreader_t *self = xcalloc(1, sizeof *self);
    *self = (idreader_t){ .folder = folder,
                          .batches = contents->noted,
                          .batch_count = contents->noted_count,
                          .most = contents->noted_ids,
                          .since_ns = since_ns,
                          .fd = -1 };
    self->files = xcalloc(contents->file_count, sizeof *self->files);
    for (; self->file_count < contents->file_count; self->file_count++)
        self->files[self->file_count] = contents->files[self->file_count].name;
    memcpy(self->ids.key, contents->ids.key, IDS_KEY);
    ids_reserve(&self->ids, self->most);
    contents->noted = NULL;
    contents->noted_count = contents->noted_room = 0;
    return self;
}

void
idreader_free(idreader_t **self_p)
{
    idreader_t *self = *self_p;
    if (!self)
        return;
    if (self->fd != -1)
        close(self->fd);
    ids_free(&self->ids);
    free(self->said);
    free(self->batches);
    free(self->files);
    free(self);
    *self_p = NULL;
}

uint64_t
idreader_count(const idreader_t *self)
{
    return self->most;
}

static void
go_to_file(idreader_t *self, uint32_t number)
{
    uint64_t bytes;
    if (self->fd != -1 && self->file.number == number)
        return;
    if (self->fd != -1)
        close(self->fd);
    self->fd = -1;
    for (size_t i = 0; i < self->file_count; i++)
        if (self->files[i].number == number) {
            self->file = self->files[i];
            self->fd = folder_open_file(self->folder, &self->file, O_RDONLY, &bytes);
        }
}

static void
take_id(idreader_t *self, const said_t *said, const located_t *located)
{
    taken_id_t id = { .wall_ns = recover_taken_ns(said, located), .batch = located->number };
    memcpy(id.hash, said->about.bytes, sizeof id.hash);
    if (id.wall_ns < self->since_ns)
        return;
    taken_id_t *known = ids_find(&self->ids, id.hash);
    if (known)
        *known = id;
    else
        ids_add(&self->ids, &id);
}

// Ids lie all over their places: the first few would have the system make all of that memory.
static bool
touch_places(idreader_t *self)
{
    size_t left = self->ids.place_room * sizeof *self->ids.places - self->touched;
    size_t size = left < BYTES_AT_ONCE ? left : BYTES_AT_ONCE;
    memset((uint8_t *)self->ids.places + self->touched, 0, size);
    self->touched += size;
    return size > 0;
}

static void
read_batch(idreader_t *self)
{
    const located_t *located = &self->batches[self->at];
    go_to_file(self, located->file);
    self->said = self->fd == -1 ? NULL : recover_said(self->fd, located, self->file.salt, &self->said_count);
    self->said_count = self->said ? self->said_count : 0;
    self->said_at = 0;
}

static void
end_batch(idreader_t *self)
{
    free(self->said);
    self->said = NULL;
    self->at++;
}

// Of the batch at hand. Returns how many.
static uint32_t
take_records(idreader_t *self, uint32_t most)
{
    enum { SOON = 8 }; // records later
    uint32_t left = self->said_count - self->said_at, count = left < most ? left : most;
    for (uint32_t end = self->said_at + count; self->said_at < end; self->said_at++) {
        const said_t *said = &self->said[self->said_at];
        if (self->said_at + SOON < self->said_count) // should it be an id
            ids_expect(&self->ids, said[SOON].about.bytes);
        if (said->kind == SAID_ID)
            take_id(self, said, &self->batches[self->at]);
    }
    return count;
}

bool
idreader_go_on(idreader_t *self)
{
    if (touch_places(self))
        return true;
    for (uint32_t left = RECORDS_AT_ONCE; left > 0 && self->at < self->batch_count;) {
        if (!self->said)
            read_batch(self);
        left -= take_records(self, left);
        if (self->said_at == self->said_count)
            end_batch(self);
    }
    return self->at < self->batch_count;
}

void
idreader_take(idreader_t *self, ids_t *ids)
{
    *ids = self->ids;
    self->ids = (ids_t){ 0 };
}
