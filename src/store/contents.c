// SPDX-License-Identifier: MPL-2.0
#include "store/contents.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void
contents_free(contents_t *self)
{
    free(self->located);
    free(self->noted);
    free(self->files);
    seqset_free(&self->done);
    early_free(&self->early);
    tries_free(&self->tries);
    ids_free(&self->ids);
    *self = (contents_t){ 0 };
}

void
contents_locate(contents_t *self, const located_t *located)
{
    if (self->located_from > 0 && self->located_from + self->located_count == self->located_room) {
        memmove(self->located, self->located + self->located_from, self->located_count * sizeof *located);
        self->located_from = 0;
    }
    size_t end = self->located_from + self->located_count;
    mem_grow(self->located, end, self->located_room);
    self->located[end] = *located;
    self->located_count++;
}

store_file_t *
contents_file(const contents_t *self, uint32_t number)
{
    for (size_t i = self->file_count; i-- > 0;)
        if (self->files[i].name.number == number)
            return &self->files[i];
    return NULL;
}

void
contents_add_file(contents_t *self, const file_name_t *name)
{
    mem_grow(self->files, self->file_count, self->file_room);
    self->files[self->file_count++] = (store_file_t){ .name = *name };
    if (name->number >= self->next_file)
        self->next_file = name->number + 1;
}

void
contents_remove_file(contents_t *self, uint32_t number)
{
    store_file_t *file = contents_file(self, number);
    if (!file)
        return;
    size_t behind = (size_t)(self->files + self->file_count - file) - 1;
    memmove(file, file + 1, behind * sizeof *file);
    self->file_count--;
}
