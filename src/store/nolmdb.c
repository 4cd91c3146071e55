// SPDX-License-Identifier: MPL-2.0
//
// In the place of lmdbfile.c where there is no LMDB: the configuration allows no store then.
#include "store/lmdbfile.h"

#include <errno.h>
#include <string.h>

bool
lmdbfile_is_built(void)
{
    return false;
}

lmdbfile_t *
lmdbfile_open(int folder, const char *name, size_t map_bytes, int *error)
{
    (void)folder;
    (void)name;
    (void)map_bytes;
    *error = ENOSYS;
    return NULL;
}

void
lmdbfile_close(lmdbfile_t **self_p)
{
    *self_p = NULL;
}

int
lmdbfile_append(lmdbfile_t *self, const struct iovec *parts, unsigned count, uint64_t *offset)
{
    (void)self;
    (void)parts;
    (void)count;
    (void)offset;
    return ENOSYS;
}

void
lmdbfile_forget(lmdbfile_t *self, uint64_t offset, uint64_t size)
{
    (void)self;
    (void)offset;
    (void)size;
}

const char *
lmdbfile_error(int error)
{
    return strerror(error);
}
