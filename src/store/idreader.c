// SPDX-License-Identifier: MPL-2.0
#include "store/idreader.h"

#include "base/mem.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct idreader {
    const folder_t *folder;
    file_name_t *files;
    size_t file_count;
    located_t *batches;
    size_t batch_count, at;
    uint64_t most;
    int64_t since_ns;
    ids_t ids;
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

bool
idreader_go_on(idreader_t *self)
{
    enum { SOON = 8 }; // records later
    const located_t *located = &self->batches[self->at];
    uint32_t count;
    go_to_file(self, located->file);
    said_t *said = self->fd == -1 ? NULL : recover_said(self->fd, located, self->file.salt, &count);
    for (uint32_t i = 0; said && i < count; i++) {
        if (i + SOON < count) // should it be an id
            ids_expect(&self->ids, said[i + SOON].about.bytes);
        if (said[i].kind == SAID_ID)
            take_id(self, &said[i], located);
    }
    free(said);
    return ++self->at < self->batch_count;
}

void
idreader_take(idreader_t *self, ids_t *ids)
{
    *ids = self->ids;
    self->ids = (ids_t){ 0 };
}
