// SPDX-License-Identifier: MPL-2.0
//
// A file of a store that anybody may have written: the octets are a batch behind the
// head of the second page. Its head gets the check sums that it needs to be looked at, if
// the first octet says so. Whatever it says, it is read within its bounds.
#include "base/mem.h"
#include "store/lmdbfile.h"
#include "store/recover.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEND_HEAD = 1, SALT = 7 };

static char path[] = "/tmp/fuzz_store.XXXXXX";
static folder_t *folder;

static void
begin(void)
{
    diag_t *diag = diag_new();
    folder = mkdtemp(path) ? folder_open(path, "fuzz", diag, (place_t){ "", 0, 0 }) : NULL;
    diag_destroy(&diag);
    if (!folder)
        abort();
}

static void
write_file(const file_name_t *file, const uint8_t *bytes, size_t size)
{
    char name[FOLDER_NAME];
    folder_name(file, name);
    int fd = openat(folder_fd(folder), name, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd == -1 || pwrite(fd, bytes, size, LMDBFILE_PAGE + LMDBFILE_PAGE_HEAD) != (ssize_t)size)
        abort();
    close(fd);
}

static void
read_all(const contents_t *contents, const file_name_t *file)
{
    uint64_t bytes;
    int fd = folder_open_file(folder, file, O_RDONLY, &bytes);
    for (size_t i = 0; fd != -1 && i < contents->located_count; i++) {
        const located_t *located = &contents->located[contents->located_from + i];
        batch_t *batch = batch_new();
        batch->data = xcalloc(1, located->data + 1);
        recover_batch(fd, located, file->salt, batch);
        free(batch->data);
        batch_free(batch);
    }
    if (fd != -1)
        close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const file_name_t file = { .number = 1, .first = 1, .salt = SALT };
    contents_t contents;
    if (size < 1 + BATCH_HEAD)
        return 0;
    if (!folder)
        begin();
    uint8_t *bytes = xcalloc(1, size - 1);
    memcpy(bytes, data + 1, size - 1);
    batch_head_t head;
    memcpy(&head, data + 1, sizeof head);
    head.salt = SALT;
    if (data[0] & MEND_HEAD && batch_control(&head) <= size - 1 - BATCH_HEAD)
        batch_write_head(bytes, &head, bytes + BATCH_HEAD, bytes + BATCH_HEAD + head.messages * sizeof(entry_t));
    write_file(&file, bytes, size - 1);
    if (recover(folder, 0, &contents) == 0)
        read_all(&contents, &file);
    contents_free(&contents);
    free(bytes);
    return 0;
}
