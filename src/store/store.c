// SPDX-License-Identifier: MPL-2.0
#include "store/store_internal.h"

#include "base/bell.h"
#include "base/clock.h"
#include "base/mem.h"
#include "store/lmdbfile.h"

#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

const char *
store_state_name(store_state_t state)
{
    static const char *const names[] = { "ready", "opening", "full", "no_disk", "failed" };
    return names[state];
}

const char *
store_error(int error)
{
    return lmdbfile_error(error);
}

// --- opening and closing -----------------------------------------------------------

bool
store_is_built(void)
{
    return lmdbfile_is_built();
}

store_t *
store_open(const char *owner, const store_conf_t *conf, diag_t *diag, place_t place)
{
    folder_t *folder = folder_open(conf->folder, owner, diag, place);
    if (!folder)
        return NULL;
    store_t *self = xcalloc(1, sizeof *self);
    self->owner = xstrdup(owner);
    self->conf = *conf;
    self->conf.folder = NULL;
    self->committer = committer_new(&folder);
    self->news.state = STORE_OPENING;
    self->bell = bell_new();
    self->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    self->loaded_end = &self->loaded;
    return self;
}

int
store_could_open(const char *owner, const char *folder, diag_t *diag, place_t place)
{
    return folder_try(folder, owner, diag, place);
}

void
store_begin(store_t *self, const store_memory_t *memory)
{
    self->memory = *memory;
    self->fill = batch_new();
    self->words = batch_new();
    if (committer_start(self->committer, self->owner, self->bell, self->conf.max_bytes, self->conf.dedupe_ms) == -1)
        self->news.state = STORE_FAILED;
}

void
store_change(store_t *self, const store_conf_t *conf)
{
    self->conf = *conf;
    self->conf.folder = NULL;
    committer_change(self->committer, conf->max_bytes);
}

int
store_fd(const store_t *self, unsigned i)
{
    return i == 0 ? self->bell : self->timer;
}

void
store_release(store_t *self, batch_t *batch)
{
    if (batch->block)
        self->memory.drop(batch->block);
    batch_free(batch);
}

static void take_committed(store_t *self);

static uint64_t
close_begun(store_t *self, int64_t wait_ms)
{
    uint64_t lost = 0;
    if (self->opened) {
        filling_submit(self);
        filling_submit_words(self);
    }
    committer_stop(self->committer, wait_ms);
    take_committed(self);
    for (batch_t *batch; (batch = committer_lost(self->committer)); store_release(self, batch))
        lost += batch->head.messages;
    for (batch_t *batch; (batch = committer_was_read(self->committer)); store_release(self, batch))
        ;
    for (batch_t *batch; (batch = self->loaded); store_release(self, batch))
        self->loaded = batch->next;
    lost += self->fill->head.messages;
    store_release(self, self->fill);
    store_release(self, self->words);
    return lost;
}

uint64_t
store_close(store_t **self_p, int64_t wait_ms)
{
    store_t *self = *self_p;
    if (!self)
        return 0;
    uint64_t lost = self->fill ? close_begun(self, wait_ms) : 0;
    committer_free(&self->committer);
    contents_free(&self->contents);
    close(self->bell);
    close(self->timer);
    free(self->later);
    free(self->owner);
    free(self);
    *self_p = NULL;
    return lost;
}

// --- news --------------------------------------------------------------------------------

static void
take_contents(store_t *self)
{
    if (self->opened || !committer_contents(self->committer, &self->contents))
        return;
    self->opened = true;
    self->committed = self->inherited = self->contents.next_sequence;
    loading_begin(self);
    loading_read_ahead(self);
    committer_want_ids(self->committer);
    self->corrupt = self->contents.corrupt;
}

static void
take_ids(store_t *self)
{
    if (self->contents.ids_later && committer_ids(self->committer, &self->contents.ids))
        self->contents.ids_later = false;
}

static void
say_what_had_to_wait(store_t *self)
{
    size_t count = self->later_count;
    uint64_t *later = self->later;
    self->later = NULL;
    self->later_count = self->later_room = 0;
    for (size_t i = 0; i < count; i++)
        store_done(self, later[i]);
    free(later);
}

static void
take_messages(store_t *self, batch_t *batch)
{
    bool is_next = loading_is_at(self, batch->head.first);
    contents_locate(&self->contents,
                    &(located_t){ batch->head.first, batch->offset, batch->head.data, batch->head.number,
                                  batch->head.wall_ns, batch->head.messages, batch->file });
    self->commits--;
    self->contents.messages += batch->alive;
    self->committed = batch->head.first + batch->head.messages;
    if (!is_next || (self->loaded_bytes >= LOADED_BYTES && !batch->fresh)) {
        store_release(self, batch);
        return;
    }
    self->cursor = self->committed;
    loading_add(self, batch);
}

static void
take_committed(store_t *self)
{
    for (batch_t *batch; (batch = committer_committed(self->committer));) {
        store_file_t *file = contents_file(&self->contents, batch->file);
        if (file && file->last_batch < batch->head.number)
            file->last_batch = batch->head.number;
        if (batch->head.messages > 0)
            take_messages(self, batch);
        else {
            self->words_given--;
            store_release(self, batch);
        }
    }
    if (self->later_count > 0)
        say_what_had_to_wait(self);
}

void
store_set_timer(store_t *self, int64_t ms)
{
    struct itimerspec when = { .it_value = { ms / 1000, ms % 1000 * 1000000 + 1 } };
    int64_t due_ms = clock_mono_ms() + ms;
    if (self->timer_ms != 0 && self->timer_ms <= due_ms)
        return;
    timerfd_settime(self->timer, 0, &when, NULL);
    self->timer_ms = due_ms;
}

void
store_hear(store_t *self)
{
    uint64_t times;
    bell_hear(self->bell);
    if (self->timer_ms != 0 && read(self->timer, &times, sizeof times) == sizeof times)
        self->timer_ms = 0;
    take_contents(self);
    if (!self->opened)
        return;
    committer_news(self->committer, &self->news);
    take_ids(self);
    tidying_take_files(self);
    take_committed(self);
    loading_take_read(self);
    tidying_drop_oldest(self);
    tidying_look(self);
    loading_read_ahead(self);
    store_turn(self);
}

void
store_figures(const store_t *self, store_figures_t *figures)
{
    const contents_t *contents = &self->contents;
    *figures = (store_figures_t){ .state = self->opened ? self->news.state : STORE_OPENING,
                                  .error = self->news.error,
                                  .messages = contents->messages,
                                  .bytes = self->news.bytes,
                                  .corrupt = self->corrupt,
                                  .expired = self->expired,
                                  .commit_ns = self->news.commit_ns,
                                  .files = (unsigned)contents->file_count };
    if (figures->state == STORE_FULL && self->conf.drop_oldest)
        figures->state = STORE_READY; // something is about to go
    if (contents->located_count > 0 && contents->messages > 0)
        figures->oldest_ns = contents->located[contents->located_from].wall_ns;
    for (size_t i = 0; i < contents->file_count; i++)
        figures->damaged_files += contents->files[i].damaged;
    memcpy(figures->commits, self->news.commits, sizeof figures->commits);
}
