// SPDX-License-Identifier: MPL-2.0
#include "store/lmdbfile.h"

#include "base/mem.h"

#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lmdbfile {
    MDB_env *env;
    MDB_dbi values;
    uint64_t next; // key
    size_t page;
};

static int
open_values(lmdbfile_t *self)
{
    MDB_txn *txn;
    MDB_stat stat;
    int rc = mdb_txn_begin(self->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = mdb_dbi_open(txn, NULL, 0, &self->values);
    if (rc)
        mdb_txn_abort(txn);
    else
        rc = mdb_txn_commit(txn);
    if (rc == 0 && (rc = mdb_env_stat(self->env, &stat)) == 0)
        self->page = stat.ms_psize;
    return rc;
}

// One thread uses it, one transaction at a time: it needs no locks of its own. What is committed is synced before LMDB says
// on its first pages that it is: those need not be synced by themselves, for whoever recovers a file looks for what is in it.
static int
open_env(lmdbfile_t *self, int folder, const char *name, size_t map_bytes)
{
    char path[128];
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", folder, name);
    int rc = mdb_env_create(&self->env);
    if (rc == 0)
        rc = mdb_env_set_mapsize(self->env, map_bytes);
    if (rc == 0)
        rc = mdb_env_open(self->env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NORDAHEAD | MDB_NOMETASYNC, 0600);
    return rc ? rc : open_values(self);
}

lmdbfile_t *
lmdbfile_open(int folder, const char *name, size_t map_bytes, int *error)
{
    lmdbfile_t *self = xcalloc(1, sizeof *self);
    size_t system_page = (size_t)sysconf(_SC_PAGESIZE);
    *error = open_env(self, folder, name, (map_bytes + system_page - 1) / system_page * system_page);
    if (*error)
        lmdbfile_close(&self);
    return self;
}

void
lmdbfile_close(lmdbfile_t **self_p)
{
    lmdbfile_t *self = *self_p;
    if (!self)
        return;
    if (self->page > 0)
        mdb_env_sync(self->env, true); // what its first pages say of the last commit
    if (self->env)
        mdb_env_close(self->env);
    free(self);
    *self_p = NULL;
}

// Small values would lie among others in a page: then one damaged byte would be of many.
static size_t
value_size(const lmdbfile_t *self, const struct iovec *parts, unsigned count)
{
    size_t size = 0;
    for (unsigned i = 0; i < count; i++)
        size += parts[i].iov_len;
    return size > self->page / 2 ? size : self->page / 2 + 1;
}

static void
fill(uint8_t *at, size_t size, const struct iovec *parts, unsigned count)
{
    const uint8_t *end = at + size;
    for (unsigned i = 0; i < count; at += parts[i++].iov_len)
        if (parts[i].iov_len > 0)
            memcpy(at, parts[i].iov_base, parts[i].iov_len);
    memset(at, 0, (size_t)(end - at));
}

// A value of this size begins behind the head of a page, and that begins with the number of the page.
static uint64_t
offset_of(const lmdbfile_t *self, const MDB_val *value)
{
    uint64_t page;
    memcpy(&page, (uint8_t *)value->mv_data - LMDBFILE_PAGE_HEAD, sizeof page);
    return page * self->page + LMDBFILE_PAGE_HEAD;
}

void
lmdbfile_forget(lmdbfile_t *self, uint64_t offset, uint64_t size)
{
    int fd;
    if (mdb_env_get_fd(self->env, &fd) == 0)
        posix_fadvise(fd, (off_t)offset, (off_t)size, POSIX_FADV_DONTNEED);
}

int
lmdbfile_append(lmdbfile_t *self, const struct iovec *parts, unsigned count, uint64_t *offset)
{
    MDB_txn *txn;
    uint8_t name[sizeof self->next];
    uint64_t next = ++self->next;
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = (uint8_t)(next >> 8 * (sizeof name - 1 - i));
    MDB_val key = { sizeof name, name }, value = { value_size(self, parts, count), NULL };
    int rc = mdb_txn_begin(self->env, NULL, 0, &txn);
    if (rc)
        return rc;
    rc = mdb_put(txn, self->values, &key, &value, MDB_RESERVE | MDB_APPEND);
    if (rc) {
        mdb_txn_abort(txn);
        return rc;
    }
    fill(value.mv_data, value.mv_size, parts, count);
    *offset = offset_of(self, &value);
    return mdb_txn_commit(txn);
}

bool
lmdbfile_is_built(void)
{
    return true;
}

const char *
lmdbfile_error(int error)
{
    return mdb_strerror(error);
}
