// SPDX-License-Identifier: MPL-2.0
// lmdbfile.h - one file of a store while it is written to: an LMDB environment, to
// which values are appended, one a commit. What is read again is read by recover.h,
// which trusts no tree.

#ifndef ZB_STORE_LMDBFILE_H
#define ZB_STORE_LMDBFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

typedef struct lmdbfile lmdbfile_t;

// A file NAME in FOLDER, which is empty and ours. NULL, with *ERROR (errno, or one of LMDB's).
lmdbfile_t *lmdbfile_open(int folder, const char *name, size_t map_bytes, int *error);
void lmdbfile_close(lmdbfile_t **self_p); // *SELF_P may be NULL

// PARTS, one behind the other, as one value: it is on the disk, and *OFFSET is where in the file, or nothing has changed
// and the error is returned.
int lmdbfile_append(lmdbfile_t *self, const struct iovec *parts, unsigned count, uint64_t *offset);

// What is at OFFSET is not read again soon: the system need not keep it in memory.
void lmdbfile_forget(lmdbfile_t *self, uint64_t offset, uint64_t size);

bool lmdbfile_is_built(void); // else nothing can be opened
const char *lmdbfile_error(int error);

// Where in a file values may begin: behind the head of a page, whose smallest size this is.
enum { LMDBFILE_PAGE = 4096, LMDBFILE_PAGE_HEAD = 16 };

#endif
