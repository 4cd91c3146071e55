// SPDX-License-Identifier: MPL-2.0
#include "store/writer.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
    FILES = 8,              // so many make up the whole, if it is small
    TREE_BYTES = 16 * 4096, // what a commit takes besides its value
    MAP_MORE = 4 * 1024 * 1024,
};

#define FILE_MOST (UINT64_C(256) << 20)
#define FILE_LEAST (UINT64_C(128) << 10)
#define BATCH_MOST (UINT64_C(1) << 20)
#define BATCH_LEAST (UINT64_C(64) << 10)

uint64_t
writer_file_bytes(uint64_t max_bytes)
{
    uint64_t bytes = max_bytes / FILES;
    return bytes > FILE_MOST ? FILE_MOST : bytes < FILE_LEAST ? FILE_LEAST : bytes;
}

uint64_t
writer_batch_bytes(uint64_t max_bytes)
{
    uint64_t bytes = writer_file_bytes(max_bytes) / 2;
    return bytes > BATCH_MOST ? BATCH_MOST : bytes < BATCH_LEAST ? BATCH_LEAST : bytes;
}

// --- files -----------------------------------------------------------------------------

static uint64_t
size_of(const writer_t *self, const file_name_t *file)
{
    char name[FOLDER_NAME];
    struct stat st;
    folder_name(file, name);
    return fstatat(folder_fd(self->folder), name, &st, AT_SYMLINK_NOFOLLOW) == 0 ? (uint64_t)st.st_size : 0;
}

static void
measure(writer_t *self)
{
    uint64_t bytes = size_of(self, &self->name);
    self->bytes += bytes - self->file_bytes;
    self->file_bytes = bytes;
}

static int
make_file(writer_t *self, uint64_t need, uint64_t max_bytes)
{
    int error = 0;
    char name[FOLDER_NAME];
    file_name_t file = { .number = self->next_file, .first = self->committed_to };
    if (getrandom(&file.salt, sizeof file.salt, 0) != sizeof file.salt)
        return errno;
    if (folder_make_file(self->folder, &file) == -1)
        return errno;
    folder_name(&file, name);
    uint64_t map = writer_file_bytes(max_bytes) + need + MAP_MORE;
    self->file = lmdbfile_open(folder_fd(self->folder), name, map, &error);
    if (!self->file) {
        folder_remove_file(self->folder, &file, false);
        return error;
    }
    self->next_file++;
    self->name = file;
    self->file_bytes = 0;
    return 0;
}

// --- writing ---------------------------------------------------------------------------

static uint64_t
need_of(const batch_t *batch)
{
    return batch_bytes(&batch->head) + TREE_BYTES;
}

static void
complete_head(const writer_t *self, batch_head_t *head)
{
    head->salt = self->name.salt;
    head->wall_ns = clock_wall_ns();
    if (head->messages == 0)
        head->first = self->committed_to;
    uint64_t end = head->first + head->messages;
    head->done_before = head->done_before < end ? head->done_before : end;
}

static int
append(writer_t *self, batch_t *batch)
{
    uint8_t head[BATCH_HEAD];
    bool begins_file = self->file_bytes == 0;
    if (begins_file)
        batch_say(batch, SAID_KEY, IDS_FORM, self->key, sizeof self->key);
    complete_head(self, &batch->head);
    batch_write_head(head, &batch->head, batch->entries, batch->saying);
    const struct iovec parts[] = { { head, sizeof head },
                                   { batch->entries, batch->head.messages * sizeof(entry_t) },
                                   { batch->saying, batch->head.said * sizeof(said_t) },
                                   { batch->data, batch->head.data } };
    int64_t start = clock_mono_ns();
    int error = lmdbfile_append(self->file, parts, COUNT(parts), &batch->offset);
    self->commit_ns = clock_mono_ns() - start;
    if (error == 0 && batch->stays) // what it says of them is read at the next start
        lmdbfile_forget(self->file, batch->offset + batch_bytes(&batch->head) - batch->head.data, batch->head.data);
    batch->head.said -= begins_file;
    return error;
}

// A file ends earlier on a disk that has not room for all of them.
static bool
is_over(const writer_t *self, const batch_t *batch, uint64_t max_bytes)
{
    uint64_t room = folder_room(self->folder), end = self->file_bytes + need_of(batch), most = max_bytes;
    if (batch->head.messages > 0 && room < max_bytes && self->bytes + room < max_bytes)
        most = self->bytes + room;
    return self->file_bytes > 0 && end > writer_file_bytes(most);
}

// What has failed may have left half a batch where the next one would go: that one goes to another file.
static int
write_batch(writer_t *self, batch_t *batch, uint64_t max_bytes)
{
    uint64_t need = need_of(batch), end = batch->head.first + batch->head.messages;
    if (self->file && is_over(self, batch, max_bytes))
        lmdbfile_close(&self->file);
    int error = self->file ? 0 : make_file(self, need, max_bytes);
    if (error)
        return error;
    error = append(self, batch);
    measure(self);
    if (error) {
        lmdbfile_close(&self->file);
        return error;
    }
    batch->file = self->name.number;
    if (batch->head.messages > 0)
        self->committed_to = end;
    return 0;
}

// Messages leave room for what will be said of them.
static store_state_t
room_for(const writer_t *self, const batch_t *batch, uint64_t max_bytes)
{
    bool has_messages = batch->head.messages > 0;
    uint64_t need = need_of(batch), room = folder_room(self->folder);
    if (has_messages && self->bytes + need > max_bytes)
        return STORE_FULL;
    return room < (has_messages ? 2 * (need + BATCH_LEAST) : need) ? STORE_NO_DISK : STORE_READY;
}

store_state_t
writer_write(writer_t *self, batch_t *batch, uint64_t max_bytes, int *error)
{
    store_state_t state = room_for(self, batch, max_bytes);
    *error = state == STORE_READY ? write_batch(self, batch, max_bytes) : 0;
    if (*error == 0)
        return state;
    bool is_full = *error == ENOSPC || *error == EDQUOT || folder_room(self->folder) < 2 * need_of(batch);
    return is_full ? STORE_NO_DISK : STORE_FAILED;
}

// --- files that go -----------------------------------------------------------------------

void
writer_leave(writer_t *self, const file_name_t *file)
{
    if (self->file && self->name.number == file->number)
        lmdbfile_close(&self->file);
}

void
writer_remove(writer_t *self, const file_name_t *file, bool keep)
{
    self->bytes -= size_of(self, file);
    folder_remove_file(self->folder, file, keep);
}

void
writer_close(writer_t *self)
{
    lmdbfile_close(&self->file);
}
