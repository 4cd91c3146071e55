// SPDX-License-Identifier: MPL-2.0
// The store: what is put in comes out again, in order, once, after whatever happened to its files.

#include "test.h"

#include "base/clock.h"
#include "base/crc32c.h"
#include "base/mem.h"
#include "store/batch.h"
#include "store/ids.h"
#include "store/lmdbfile.h"
#include "store/recover.h"
#include "store/seqset.h"
#include "store/store.h"
#include "store/tries.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

// --- blocks of memory ----------------------------------------------------------------

static int blocks;

static void *
take(void *arg, size_t size, uint8_t **data)
{
    (void)arg;
    blocks++;
    return *data = xcalloc(1, size);
}

static void
drop(void *block)
{
    blocks--;
    free(block);
}

static const store_memory_t memory = { NULL, take, drop };

// --- a store to play with ---------------------------------------------------------------

static char folder[] = "/tmp/test_store.XXXXXX";
static store_conf_t conf;

static void
clear_folder(void)
{
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));)
        unlinkat(dirfd(dir), entry->d_name, 0);
    if (dir)
        closedir(dir);
}

static store_t *
open_as(const char *owner)
{
    diag_t *diag = diag_new();
    store_t *store = store_open(owner, &conf, diag, (place_t){ "", 0, 0 });
    diag_destroy(&diag);
    return store;
}

static void
wait_for_bell(store_t *store)
{
    struct pollfd fds[STORE_FDS];
    for (unsigned i = 0; i < STORE_FDS; i++)
        fds[i] = (struct pollfd){ store_fd(store, i), POLLIN, 0 };
    poll(fds, STORE_FDS, 100);
    store_hear(store);
}

static store_figures_t
figures_of(const store_t *store)
{
    store_figures_t figures;
    store_figures(store, &figures);
    return figures;
}

static store_t *
begin(void)
{
    store_t *store = open_as("test");
    store_begin(store, &memory);
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    while (figures_of(store).state == STORE_OPENING && clock_mono_ms() < end)
        wait_for_bell(store);
    return store;
}

static store_t *
begin_empty(void)
{
    clear_folder();
    conf = (store_conf_t){ .folder = folder, .max_bytes = 64 << 20, .dedupe_ms = 120000 };
    return begin();
}

static store_put_t
put_text(store_t *store, const char *text, const char *who, const char *id)
{
    uint64_t sequence;
    return store_put(store,
                     &(store_put_in_t){ .data = (const uint8_t *)text, .size = strlen(text), .payload = strlen(text),
                                        .who = who, .who_size = strlen(who), .id = id, .id_size = strlen(id) },
                     &sequence);
}

static void
commit(store_t *store)
{
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    uint64_t said = store_said(store), before = store_committed(store);
    store_hurry(store);
    while (clock_mono_ms() < end && (store_committed(store) == before || store_reached(store) < said)) {
        wait_for_bell(store);
        store_hurry(store);
        if (store_committed(store) == before && store_reached(store) >= said && said > 0)
            return; // words only
    }
}

// Waits for it, too. The caller frees the text; NULL: there is none.
static char *
next_text(store_t *store, store_message_t *message)
{
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    while (!store_next(store, message)) {
        if (store_is_passed(store) || clock_mono_ms() > end)
            return NULL;
        wait_for_bell(store);
    }
    return xstrndup((const char *)message->data, message->size);
}

static bool
next_is(store_t *store, const char *expected)
{
    store_message_t message;
    char *text = next_text(store, &message);
    bool is = text && strcmp(text, expected) == 0;
    if (!is)
        printf("# got %s, expected %s\n", text ? text : "nothing", expected);
    free(text);
    if (is)
        store_pass(store);
    return is;
}

enum { MANY = 5000 };

static void
put_many(store_t *store, int from, int count, int size)
{
    char *text = xcalloc(1, (size_t)size + 1);
    memset(text, 'x', (size_t)size);
    for (int i = from; i < from + count; i++) {
        snprintf(text, (size_t)size + 1, "%d", i);
        memset(text + strlen(text), '.', (size_t)size - strlen(text));
        int64_t end = clock_mono_ms() + ENOUGH_MS;
        while (put_text(store, text, "", "") == STORE_NO_ROOM && clock_mono_ms() < end)
            wait_for_bell(store);
        store_turn(store);
    }
    free(text);
}

// How many come, each with a higher number than the one before, up to a hole of none.
static int
take_many(store_t *store, int *last, bool done)
{
    store_message_t message;
    int count = 0;
    *last = -1;
    for (char *text; (text = next_text(store, &message)); count++) {
        int number = atoi(text);
        CHECK(number > *last);
        *last = number;
        free(text);
        store_pass(store);
        if (done)
            store_done(store, message.sequence);
    }
    return count;
}

// The names of its files that end so; the caller frees them, 0 ends.
static unsigned
count_files(const char *ending, char *first, size_t room)
{
    DIR *dir = opendir(folder);
    unsigned count = 0;
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        size_t size = strlen(entry->d_name), tail = strlen(ending);
        if (size < tail || strcmp(entry->d_name + size - tail, ending) != 0)
            continue;
        if (count++ == 0 && first)
            snprintf(first, room, "%s/%s", folder, entry->d_name);
    }
    if (dir)
        closedir(dir);
    return count;
}

// --- parts ---------------------------------------------------------------------------

static void
test_crc32c_of_known_bytes(void)
{
    char zeros[32] = { 0 };
    CHECK(crc32c(0, "123456789", 9) == 0xe3069283);
    CHECK(crc32c_by_table(0, "123456789", 9) == 0xe3069283);
    CHECK(crc32c(0, zeros, sizeof zeros) == 0x8a9136aa);
    CHECK(crc32c(crc32c(0, "1234", 4), "56789", 5) == 0xe3069283);
    CHECK(crc32c_by_table(0, zeros, sizeof zeros) == 0x8a9136aa);
}

static void
test_crc32c_of_rows_is_that_of_each(void)
{
    uint8_t bytes[CRC32C_ROWS][100];
    const uint8_t *rows[CRC32C_ROWS];
    srandom(2);
    for (size_t size = 0; size <= sizeof bytes[0]; size++) {
        uint32_t crcs[CRC32C_ROWS], before[CRC32C_ROWS];
        for (unsigned row = 0; row < CRC32C_ROWS; row++) {
            for (size_t i = 0; i < size; i++)
                bytes[row][i] = (uint8_t)random();
            rows[row] = bytes[row];
            crcs[row] = before[row] = (uint32_t)random();
        }
        crc32c_rows(crcs, rows, size);
        for (unsigned row = 0; row < CRC32C_ROWS; row++)
            CHECK(crcs[row] == crc32c_by_table(before[row], rows[row], size));
    }
}

static void
test_seqset_against_an_array(void)
{
    enum { N = 3000 };
    seqset_t set = { 0 };
    bool is[N] = { true };
    srandom(1);
    seqset_done_before(&set, 1);
    for (int step = 0; step < 20000; step++) {
        uint64_t i = 1 + (uint64_t)random() % (N - 1);
        if (random() % 4 == 0) {
            CHECK(seqset_remove(&set, i) == is[i]);
            is[i] = false;
        } else if (random() % 16 == 0) {
            uint64_t end = i + (uint64_t)random() % 200, new = 0;
            end = end < N - 1 ? end : N - 1;
            for (uint64_t j = i; j < end; j++) {
                new += !is[j];
                is[j] = true;
            }
            CHECK(seqset_add_run(&set, i, end > i ? end - i : 0) == new);
        } else {
            CHECK(seqset_add(&set, i) == !is[i]);
            is[i] = true;
        }
        if (step % 500 != 0)
            continue;
        uint64_t above = 0;
        for (uint64_t j = 0; j < N; j++) {
            CHECK(seqset_has(&set, j) == is[j]);
            above += j >= set.before && is[j];
        }
        CHECK(above == set.above);
        CHECK(!is[set.before]);
    }
    seqset_done_before(&set, N + 100);
    CHECK(set.before == N + 100 && set.above == 0);
    seqset_done_before(&set, UINT64_C(1) << 60);
    CHECK(seqset_add(&set, (UINT64_C(1) << 60) + 1)); // takes no room for what is done
    CHECK(set.room < N);
    seqset_free(&set);
}

static void
test_tries_against_an_array(void)
{
    enum { N = 1000 };
    tries_t tries = { 0 };
    uint32_t is[N] = { 0 };
    srandom(2);
    for (int step = 0; step < 20000; step++) {
        uint64_t i = 1 + (uint64_t)random() % (N - 1);
        is[i] = (uint32_t)random() % 3;
        tries_set(&tries, i, is[i]);
    }
    for (uint64_t i = 1; i < N; i++)
        CHECK(tries_of(&tries, i) == is[i]);
    tries_free(&tries);
}

static void
test_ids_are_their_senders_and_expire(void)
{
    ids_t ids = { .key = "0123456789abcde" };
    taken_id_t id = { 0 };
    uint8_t hash[IDS_HASH];
    for (int i = 0; i < 10000; i++) {
        ids_hash(&ids, "alice", 5, &i, sizeof i, id.hash);
        id.wall_ns = i;
        CHECK(!ids_find(&ids, id.hash));
        ids_add(&ids, &id);
    }
    int i = 7000;
    ids_hash(&ids, "alice", 5, &i, sizeof i, hash);
    CHECK(ids_find(&ids, hash) && ids_find(&ids, hash)->wall_ns == 7000);
    ids_hash(&ids, "mallory", 7, &i, sizeof i, hash);
    CHECK(!ids_find(&ids, hash));
    ids_hash(&ids, "ab", 2, "c", 1, hash);
    ids_hash(&ids, "a", 1, "bc", 2, id.hash);
    CHECK(memcmp(hash, id.hash, sizeof hash) != 0);
    ids_expire(&ids, 9000, 100000);
    CHECK(ids.count == 1000);
    for (i = 0; i < 10000; i++) {
        ids_hash(&ids, "alice", 5, &i, sizeof i, hash);
        CHECK(!!ids_find(&ids, hash) == (i >= 9000));
    }
    ids_expire(&ids, 0, 10);
    CHECK(ids.count == 10);
    ids_free(&ids);
}

static void
test_ids_grow_wherever_the_oldest_is(void)
{
    ids_t ids = { .key = "0123456789abcde" };
    taken_id_t id = { 0 };
    for (int64_t i = 0, oldest = 0; i < 20000; i++) {
        ids_hash(&ids, "alice", 5, &i, sizeof i, id.hash);
        id.wall_ns = i;
        ids_add(&ids, &id);
        if (ids.count == ids.room && i % 3 > 0) // the next one finds it full: of that the head is not always the beginning
            ids_expire(&ids, oldest += 50, 100000);
        CHECK(ids.count == (size_t)(i + 1 - oldest) && ids_at(&ids, 0)->wall_ns == oldest && ids_find(&ids, id.hash)->wall_ns == i);
    }
    for (size_t i = 0; i < ids.count; i++)
        CHECK(ids_find(&ids, ids_at(&ids, i)->hash) == ids_at(&ids, i) && ids_at(&ids, i)->wall_ns == 20000 - (int64_t)(ids.count - i));
    ids_free(&ids);
}

// --- the whole -------------------------------------------------------------------------

static void
test_store_keeps_what_is_not_done_over_a_restart(void)
{
    store_t *store = begin_empty();
    store_message_t message;
    CHECK(put_text(store, "one", "", "") == STORE_TAKEN);
    CHECK(put_text(store, "two", "", "") == STORE_TAKEN);
    CHECK(put_text(store, "three", "", "") == STORE_TAKEN);
    commit(store);
    CHECK(next_is(store, "one"));
    CHECK(store_next(store, &message));
    store_pass(store);
    store_done(store, message.sequence);
    CHECK(next_is(store, "three"));
    CHECK(store_is_passed(store));
    CHECK(figures_of(store).messages == 2);
    CHECK(store_close(&store, ENOUGH_MS) == 0);
    store = begin();
    CHECK(figures_of(store).messages == 2);
    CHECK(next_is(store, "one"));
    CHECK(next_is(store, "three"));
    CHECK(!store_next(store, &message));
    CHECK(figures_of(store).corrupt == 0);
    store_close(&store, ENOUGH_MS);
    CHECK(blocks == 0);
}

static void
test_store_of_a_process_that_was_killed_keeps_what_was_committed(void)
{
    clear_folder();
    pid_t child = fork();
    if (child == 0) {
        store_t *store = begin_empty();
        put_many(store, 0, MANY, 300);
        while (store_committed(store) <= MANY)
            wait_for_bell(store);
        _exit(0); // without closing it
    }
    int status;
    waitpid(child, &status, 0);
    store_t *store = begin();
    int last;
    CHECK(take_many(store, &last, false) == MANY);
    CHECK(last == MANY - 1);
    CHECK(figures_of(store).corrupt == 0);
    store_close(&store, ENOUGH_MS);
}

static void
test_store_counts_tries_over_a_restart(void)
{
    store_t *store = begin_empty();
    store_message_t message;
    put_text(store, "job", "", "");
    commit(store);
    CHECK(store_next(store, &message) && message.tries == 0);
    store_pass(store);
    store_try(store, message.sequence, 1);
    commit(store);
    CHECK(store_reached(store) == store_said(store));
    store_close(&store, ENOUGH_MS);
    store = begin();
    char *text = next_text(store, &message);
    CHECK_TEXT(text, "job");
    CHECK(message.tries == 1);
    free(text);
    store_close(&store, ENOUGH_MS);
}

static void
test_store_takes_an_id_once_also_after_a_restart(void)
{
    store_t *store = begin_empty();
    int last;
    CHECK(put_text(store, "1", "alice", "id") == STORE_TAKEN);
    CHECK(put_text(store, "2", "alice", "id") == STORE_KNOWN);
    CHECK(put_text(store, "3", "bob", "id") == STORE_TAKEN);
    commit(store);
    CHECK(take_many(store, &last, true) == 2);
    CHECK(store_close(&store, ENOUGH_MS) == 0);
    store = begin();
    CHECK(put_text(store, "4", "alice", "id") == STORE_KNOWN);
    CHECK(put_text(store, "5", "carol", "id") == STORE_TAKEN);
    store_close(&store, ENOUGH_MS);
    conf.dedupe_ms = 1;
    store = begin();
    CHECK(put_text(store, "6", "alice", "id") == STORE_TAKEN);
    store_close(&store, ENOUGH_MS);
}

static store_put_in_t
named(const char *text, const char *id)
{
    return (store_put_in_t){ .data = (const uint8_t *)text, .size = strlen(text), .payload = strlen(text), .id = id, .id_size = strlen(id) };
}

static void
test_store_takes_many_at_once_as_it_takes_each(void)
{
    store_t *store = begin_empty();
    const store_put_in_t messages[] = { named("1", "a"), named("2", ""), named("3", "b"), named("again", "a"), named("5", ""), named("6", "c") };
    store_was_put_t put[STORE_AT_ONCE];
    CHECK(put_text(store, "0", "me", "c") == STORE_TAKEN);
    CHECK(store_put_each(store, "me", 2, messages, COUNT(messages), put) == COUNT(messages));
    for (unsigned i = 0; i < COUNT(messages); i++)
        CHECK(put[i].result == (i == 3 || i == 5 ? STORE_KNOWN : STORE_TAKEN));
    CHECK(put[3].sequence == put[0].sequence && put[4].sequence == put[2].sequence + 1 && put[5].sequence == put[0].sequence - 1);
    CHECK(store_put_each(store, "you", 3, messages, 1, put) == 1 && put[0].result == STORE_TAKEN);
    CHECK(put_text(store, "none", "me", "b") == STORE_KNOWN);
    commit(store);
    for (unsigned i = 0; i < 6; i++)
        CHECK(next_is(store, (const char *const[]){ "0", "1", "2", "3", "5", "1" }[i]));
    store_close(&store, ENOUGH_MS);
    CHECK(blocks == 0);
}

// While the batches before are on their way there is room for one.
static void
test_store_takes_of_many_those_that_have_room(void)
{
    enum { LARGE = 200 * 1024 };
    store_t *store = begin_empty();
    char *text = xcalloc(1, LARGE + 1), *huge = xcalloc(1, (16 << 20) + 2);
    memset(text, 'x', LARGE);
    memset(huge, 'x', (16 << 20) + 1);
    store_put_in_t messages[STORE_AT_ONCE];
    store_was_put_t put[STORE_AT_ONCE];
    for (unsigned i = 0; i < STORE_AT_ONCE; i++)
        messages[i] = named(text, "");
    CHECK(store_put_each(store, "", 0, messages, STORE_AT_ONCE, put) == 5); // 1 MB is a batch
    messages[0] = named(huge, "");
    CHECK(store_put_each(store, "", 0, messages, STORE_AT_ONCE, put) == 0);
    CHECK(store_put(store, &messages[0], &put[0].sequence) == STORE_TOO_LARGE);
    CHECK(store_put_each(store, "", 0, messages + 1, 0, put) == 0);
    store_close(&store, ENOUGH_MS);
    free(text);
    free(huge);
    CHECK(blocks == 0);
}

// Waits until ids are looked at.
static store_put_t
put_id(store_t *store, const char *text, const char *id)
{
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    store_put_t put;
    while ((put = put_text(store, text, "alice", id)) == STORE_NO_ROOM && clock_mono_ms() < end) {
        store_hurry(store);
        wait_for_bell(store);
    }
    return put;
}

static void
test_store_with_more_ids_than_are_read_at_once_takes_none_again(void)
{
    enum { IDS = 6 * MANY };
    char id[16];
    store_t *store = begin_empty();
    for (int i = 0; i < IDS; i++) {
        snprintf(id, sizeof id, "%d", i);
        CHECK(put_id(store, id, id) == STORE_TAKEN);
    }
    CHECK(store_close(&store, ENOUGH_MS) == 0);
    store = begin();
    CHECK(figures_of(store).messages == IDS);
    CHECK(put_text(store, "without an id", "", "") == STORE_TAKEN);
    const store_put_in_t two[] = { named("without", ""), named("again", "0") };
    store_was_put_t was[2];
    CHECK(store_put_each(store, "alice", 5, two, 2, was) == 1 || was[1].result == STORE_KNOWN);
    CHECK(next_is(store, "0"));
    for (int i = 0; i < IDS; i++) {
        snprintf(id, sizeof id, "%d", i);
        CHECK(put_id(store, "again", id) == STORE_KNOWN);
    }
    CHECK(put_id(store, "another", "another") == STORE_TAKEN);
    CHECK(store_close(&store, ENOUGH_MS) == 0);
}

// Waits until its files have BYTES at most.
static void
shrink(store_t *store, uint64_t bytes)
{
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    while (clock_mono_ms() < end && figures_of(store).bytes > bytes) {
        store_hurry(store);
        wait_for_bell(store);
    }
    CHECK(figures_of(store).bytes <= bytes);
}

static void
test_store_removes_drained_files_and_remembers_their_ids(void)
{
    store_t *store = begin_empty();
    int last;
    conf.max_bytes = 8 << 20;
    store_change(store, &conf);
    CHECK(put_text(store, "0", "alice", "id") == STORE_TAKEN);
    put_many(store, 1, 3 * MANY, 400);
    CHECK(figures_of(store).files > 2);
    CHECK(take_many(store, &last, true) == 3 * MANY + 1);
    conf.max_bytes = 1 << 20; // the id does not keep a file any more
    store_change(store, &conf);
    shrink(store, 1 << 20);
    CHECK(count_files(".mdb", NULL, 0) == figures_of(store).files);
    CHECK(figures_of(store).messages == 0);
    store_close(&store, ENOUGH_MS);
    store = begin();
    CHECK(put_text(store, "again", "alice", "id") == STORE_KNOWN);
    store_close(&store, ENOUGH_MS);
}

// More of them in one batch than are read at once.
static void
test_store_with_many_ids_that_were_written_again_takes_none_again(void)
{
    enum { IDS = 6 * MANY };
    char id[16], text[256];
    int last;
    store_t *store = begin_empty();
    for (int i = 0; i < IDS; i++) {
        snprintf(id, sizeof id, "%d", i);
        snprintf(text, sizeof text, "%0250d", i);
        CHECK(put_id(store, text, id) == STORE_TAKEN);
    }
    commit(store);
    CHECK(take_many(store, &last, true) == IDS);
    conf.max_bytes = 8 << 20; // the ids keep no file any more
    store_change(store, &conf);
    shrink(store, 4 << 20);
    CHECK(store_close(&store, ENOUGH_MS) == 0);
    store = begin();
    for (int i = 0; i < IDS; i++) {
        snprintf(id, sizeof id, "%d", i);
        CHECK(put_id(store, "again", id) == STORE_KNOWN);
    }
    store_close(&store, ENOUGH_MS);
}

// As on a full disk, when nothing in it was left to deliver. Returns what the system has room for again.
static int64_t
empty_the_file(void)
{
    size_t count;
    struct stat before = { 0 }, after = { 0 };
    char name[FOLDER_NAME];
    diag_t *diag = diag_new();
    folder_t *opened = folder_open(folder, "test", diag, (place_t){ "", 0, 0 });
    file_name_t *files = folder_list(opened, &count);
    CHECK(count == 1 && folder_end_file(opened, &files[0]) == 0);
    folder_name(&files[0], name);
    CHECK(fstatat(folder_fd(opened), name, &before, 0) == 0);
    recover_empty(opened, &files[0]);
    CHECK(fstatat(folder_fd(opened), name, &after, 0) == 0);
    free(files);
    folder_leave(&opened);
    diag_destroy(&diag);
    return (int64_t)(before.st_blocks - after.st_blocks) * 512;
}

static void
test_store_of_a_file_that_was_emptied_knows_its_ids(void)
{
    store_t *store = begin_empty();
    CHECK(put_text(store, "before", "alice", "id") == STORE_TAKEN);
    put_many(store, 0, MANY, 200);
    uint64_t next = store_next_sequence(store);
    CHECK(store_close(&store, ENOUGH_MS) == 0);
    CHECK(empty_the_file() > MANY * 100);
    store = begin();
    CHECK(figures_of(store).messages == 0 && figures_of(store).corrupt == 0);
    CHECK(store_next_sequence(store) == next);
    CHECK(put_text(store, "again", "alice", "id") == STORE_KNOWN);
    CHECK(put_text(store, "after", "alice", "other") == STORE_TAKEN);
    CHECK(next_is(store, "after") || (commit(store), next_is(store, "after")));
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    while (count_files(".done", NULL, 0) > 0 && clock_mono_ms() < end)
        wait_for_bell(store);
    CHECK(count_files(".done", NULL, 0) == 0); // its ids are written again, so that it is not needed
    CHECK(store_close(&store, ENOUGH_MS) == 0);
    store = begin();
    CHECK(put_text(store, "again", "alice", "id") == STORE_KNOWN);
    store_close(&store, ENOUGH_MS);
}

static void
test_store_that_is_full_takes_more_when_something_is_done(void)
{
    store_t *store = begin_empty();
    conf.max_bytes = 2 << 20;
    store_change(store, &conf);
    int put = 0, taken = 0;
    char text[2000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    while (figures_of(store).state != STORE_FULL && clock_mono_ms() < end) {
        while (put_text(store, text, "", "") == STORE_TAKEN)
            put++;
        store_turn(store);
        wait_for_bell(store);
    }
    CHECK(figures_of(store).state == STORE_FULL);
    CHECK(figures_of(store).bytes <= conf.max_bytes);
    store_message_t message;
    while (taken < put && clock_mono_ms() < end) {
        while (store_next(store, &message)) {
            store_pass(store);
            store_done(store, message.sequence);
            taken++;
        }
        store_hurry(store);
        wait_for_bell(store);
    }
    CHECK(taken == put);
    CHECK(figures_of(store).state == STORE_READY);
    CHECK(put_text(store, text, "", "") == STORE_TAKEN);
    CHECK(store_close(&store, ENOUGH_MS) == 0);
}

// The words are in the second of two batches of messages, and the first one has no room.
static void
test_store_that_is_full_reaches_what_is_said_behind_messages_that_wait(void)
{
    enum { SIZE = 40000, COUNT_BEFORE = 12 };
    store_t *store = begin_empty();
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    uint64_t first = store_next_sequence(store);
    put_many(store, 0, COUNT_BEFORE, SIZE);
    while (store_committed(store) < first + COUNT_BEFORE && clock_mono_ms() < end) {
        store_hurry(store);
        wait_for_bell(store);
    }
    conf.max_bytes = 512 << 10;
    store_change(store, &conf);
    put_many(store, COUNT_BEFORE, 1, SIZE);
    store_hurry(store);
    store_try(store, first, 1);
    uint64_t said = store_said(store);
    put_many(store, COUNT_BEFORE + 1, 1, SIZE);
    store_hurry(store);
    while (store_reached(store) < said && clock_mono_ms() < end)
        wait_for_bell(store);
    CHECK(figures_of(store).state == STORE_FULL);
    CHECK(store_reached(store) >= said);
    store_close(&store, 0);
}

static void
test_store_that_is_full_drops_the_oldest_if_it_shall(void)
{
    store_t *store = begin_empty();
    int last;
    conf.max_bytes = 2 << 20;
    conf.drop_oldest = true;
    store_change(store, &conf);
    put_many(store, 0, MANY, 1000);
    commit(store);
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    while (store_committed(store) <= MANY && clock_mono_ms() < end)
        wait_for_bell(store);
    uint64_t expired = figures_of(store).expired;
    CHECK(expired > 0);
    int taken = take_many(store, &last, true);
    CHECK(taken > MANY / 5);
    CHECK(figures_of(store).corrupt == 0);
    CHECK((uint64_t)taken + figures_of(store).expired >= MANY);
    CHECK(last == MANY - 1);
    store_close(&store, ENOUGH_MS);
}

static void
test_store_undoes_what_was_done(void)
{
    store_t *store = begin_empty();
    store_message_t message;
    put_text(store, "first", "", "");
    put_text(store, "second", "", "");
    commit(store);
    CHECK(store_next(store, &message));
    store_pass(store);
    store_done(store, message.sequence);
    commit(store);
    CHECK(store_undo(store, message.sequence));
    store_close(&store, ENOUGH_MS);
    store = begin();
    CHECK(next_is(store, "first"));
    CHECK(next_is(store, "second"));
    store_close(&store, ENOUGH_MS);
}

static void
put_early(store_t *store, const char *text)
{
    uint64_t sequence;
    CHECK(store_put(store, &(store_put_in_t){ .data = (const uint8_t *)text, .size = strlen(text), .early = true }, &sequence) == STORE_TAKEN);
}

static void
test_store_shows_what_is_early_before_all_others(void)
{
    static const char *const order[] = { "5", "6", "2", "3", "0", "1", "4", "7" };
    store_t *store = begin_empty();
    put_text(store, "0", "", "");
    commit(store);
    put_text(store, "1", "", "");
    put_early(store, "2");
    put_early(store, "3");
    put_text(store, "4", "", "");
    store_close(&store, ENOUGH_MS);
    store = begin();
    put_early(store, "5");
    commit(store);
    put_early(store, "6");
    put_text(store, "7", "", "");
    store_close(&store, ENOUGH_MS);
    for (unsigned done = 0; done <= COUNT(order); done++) { // each time the first one is done
        store_message_t message;
        store = begin();
        CHECK(figures_of(store).messages == COUNT(order) - done);
        for (unsigned i = done; i < COUNT(order); i++) {
            CHECK(next_is(store, order[i]));
        }
        char *text = next_text(store, &message);
        CHECK(!text && store_is_passed(store));
        free(text);
        store_close(&store, ENOUGH_MS);
        store = begin();
        if (done < COUNT(order) && (text = next_text(store, &message))) {
            free(text);
            store_pass(store);
            store_done(store, message.sequence);
        }
        store_close(&store, ENOUGH_MS);
    }
}

static void
test_store_gives_what_was_put_as_done_once(void)
{
    store_t *store = begin_empty();
    store_message_t message;
    uint64_t sequence;
    store_put_in_t in = { .data = (const uint8_t *)"now", .size = 3, .payload = 3, .done = true };
    CHECK(store_put(store, &in, &sequence) == STORE_TAKEN);
    commit(store);
    CHECK(store_next(store, &message) && message.done);
    store_close(&store, ENOUGH_MS);
    store = begin();
    CHECK(!store_next(store, &message));
    CHECK(store_is_passed(store));
    store_close(&store, ENOUGH_MS);
}

// Whoever gets it then has to say so.
static void
test_store_gives_what_was_put_as_done_and_undone_as_any_other(void)
{
    store_t *store = begin_empty();
    store_message_t message;
    uint64_t sequence;
    store_put_in_t in = { .data = (const uint8_t *)"now", .size = 3, .payload = 3, .done = true };
    CHECK(store_put(store, &in, &sequence) == STORE_TAKEN);
    commit(store);
    CHECK(store_next(store, &message) && message.done);
    CHECK(store_undo(store, sequence));
    store_close(&store, ENOUGH_MS);
    store = begin();
    free(next_text(store, &message));
    CHECK(message.sequence == sequence && !message.done);
    store_pass(store);
    store_done(store, sequence);
    store_close(&store, ENOUGH_MS);
    store = begin();
    CHECK(!store_next(store, &message) && store_is_passed(store));
    store_close(&store, ENOUGH_MS);
}

// --- damage ------------------------------------------------------------------------------

static void
test_store_takes_nothing_as_done_behind_what_it_has_not_read(void)
{
    store_t *store = begin_empty();
    store_message_t message;
    uint64_t sequence;
    put_many(store, 0, 4000, 10000); // more than is kept in memory
    store_close(&store, ENOUGH_MS);
    store = begin();
    CHECK(!store_is_read(store));
    const store_part_t part = { 4, 4 };
    CHECK(store_put(store, &(store_put_in_t){ .data = (const uint8_t *)"last", .size = 4, .payload = 4, .done = true }, &sequence) ==
          STORE_TAKEN);
    CHECK(store_put_many(store, (const uint8_t *)"more", &part, 1, true) == 1);
    commit(store);
    for (int i = 0; i < 4000; i++) {
        char *text = next_text(store, &message);
        CHECK(text && atoi(text) == i);
        free(text);
        store_pass(store);
    }
    free(next_text(store, &message));
    CHECK(message.sequence == sequence && !message.done);
    CHECK(next_is(store, "last") && next_is(store, "more") && store_is_read(store));
    store_close(&store, ENOUGH_MS);
}

static void
test_store_delivers_what_is_whole_of_a_damaged_file(void)
{
    store_t *store = begin_empty();
    char path[512];
    int last;
    put_many(store, 0, MANY, 500);
    store_close(&store, ENOUGH_MS);
    CHECK(count_files(".mdb", path, sizeof path) == 1);
    int fd = open(path, O_RDWR);
    struct stat st;
    fstat(fd, &st);
    int flips = 0;
    for (off_t at = 10240; at < st.st_size; at += 10240, flips++) {
        uint8_t byte;
        CHECK(pread(fd, &byte, 1, at) == 1);
        byte ^= 0x40;
        CHECK(pwrite(fd, &byte, 1, at) == 1);
    }
    close(fd);
    store = begin();
    int taken = take_many(store, &last, true);
    store_figures_t figures = figures_of(store);
    CHECK((uint64_t)taken + figures.corrupt == MANY);
    CHECK(figures.corrupt > 0);
    CHECK(figures.damaged_files == 1);
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    while (count_files(".bad", NULL, 0) == 0 && clock_mono_ms() < end) {
        store_hurry(store);
        wait_for_bell(store);
    }
    CHECK(count_files(".bad", path, sizeof path) == 1);
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    store_close(&store, ENOUGH_MS);
}

// A file with twenty batches of one message, whose number that is.
static void
leave_twenty(char *path, size_t size)
{
    store_t *store = begin_empty();
    char text[16];
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "%d", i);
        put_text(store, text, "", "");
        commit(store);
    }
    store_close(&store, ENOUGH_MS);
    CHECK(count_files(".mdb", path, size) == 1);
}

static void
test_store_of_a_truncated_file_delivers_what_is_there(void)
{
    char path[512];
    leave_twenty(path, sizeof path);
    struct stat st;
    stat(path, &st);
    for (off_t size = st.st_size; size > 0; size -= 1000) {
        int last, taken;
        if (truncate(path, size) == -1)
            break; // nothing was left in it
        store_t *store = begin();
        taken = take_many(store, &last, false);
        CHECK((uint64_t)taken + figures_of(store).corrupt >= (uint64_t)last + 1);
        CHECK(st.st_size - size >= 8192 || taken >= 17);
        store_close(&store, ENOUGH_MS);
    }
}

// A store that a later version has written: what CHANGE does to each batch of the file, and to what it says.
static void
write_again(const char *path, void (*change)(uint8_t head[BATCH_HEAD], said_t *said, uint32_t count))
{
    enum { CONTROL_MOST = 4096 };
    uint8_t head[BATCH_HEAD], control[CONTROL_MOST];
    batch_head_t batch;
    file_name_t name;
    struct stat st;
    int fd = open(path, O_RDWR);
    CHECK(fstat(fd, &st) == 0 && folder_read_name(strrchr(path, '/') + 1, &name));
    for (off_t at = LMDBFILE_PAGE_HEAD; at < st.st_size; at += LMDBFILE_PAGE) {
        bool is_batch = pread(fd, head, sizeof head, at) == sizeof head && batch_read_head(head, name.salt, (uint64_t)st.st_size, &batch);
        if (!is_batch || batch_control(&batch) > CONTROL_MOST)
            continue;
        CHECK(pread(fd, control, batch_control(&batch), at + BATCH_HEAD) == (ssize_t)batch_control(&batch));
        said_t *said = (said_t *)(control + batch.messages * sizeof(entry_t));
        change(NULL, said, batch.said);
        batch_write_head(head, &batch, control, said);
        change(head, said, batch.said);
        CHECK(pwrite(fd, head, sizeof head, at) == sizeof head);
        CHECK(pwrite(fd, control, batch_control(&batch), at + BATCH_HEAD) == (ssize_t)batch_control(&batch));
    }
    close(fd);
}

static void
hash_ids_otherwise(uint8_t head[BATCH_HEAD], said_t *said, uint32_t count)
{
    for (uint32_t i = 0; !head && i < count; i++)
        said[i].number += said[i].kind == SAID_KEY;
}

static void
use_another_format(uint8_t head[BATCH_HEAD], said_t *said, uint32_t count)
{
    (void)said;
    (void)count;
    if (head)
        head[6] = head[BATCH_HEAD / 2 + 6] = '9'; // "zbatch1"
}

static void
test_store_knows_no_ids_that_another_version_has_hashed_otherwise(void)
{
    char path[512];
    for (int other = 0; other < 2; other++) {
        store_t *store = begin_empty();
        CHECK(put_text(store, "before", "alice", "id") == STORE_TAKEN);
        CHECK(store_close(&store, ENOUGH_MS) == 0);
        CHECK(count_files(".mdb", path, sizeof path) == 1);
        if (other)
            write_again(path, hash_ids_otherwise);
        store = begin();
        CHECK(figures_of(store).corrupt == 0);
        CHECK(put_text(store, "again", "alice", "id") == (other ? STORE_TAKEN : STORE_KNOWN));
        CHECK(next_is(store, "before"));
        store_close(&store, ENOUGH_MS);
    }
}

static void
test_store_keeps_a_file_of_another_format_aside(void)
{
    char path[512];
    leave_twenty(path, sizeof path);
    write_again(path, use_another_format);
    store_t *store = begin();
    CHECK(figures_of(store).messages == 0);
    CHECK(figures_of(store).corrupt == 20);
    int64_t end = clock_mono_ms() + ENOUGH_MS;
    while (count_files(".bad", NULL, 0) == 0 && clock_mono_ms() < end)
        wait_for_bell(store);
    CHECK(count_files(".bad", NULL, 0) == 1);
    CHECK(put_text(store, "new", "", "") == STORE_TAKEN);
    CHECK(store_close(&store, ENOUGH_MS) == 0);
}

// LMDB's first pages need not have reached the disk when the power fails, nor its trees: only what was committed has.
static void
test_store_whose_first_pages_are_older_than_its_batches_has_them_all(void)
{
    enum { PAGES = 2 * 4096 };
    static uint8_t before[PAGES];
    char path[512];
    store_t *store = begin_empty();
    CHECK(put_text(store, "one", "me", "1") == STORE_TAKEN);
    commit(store);
    count_files(".mdb", path, sizeof path);
    int fd = open(path, O_RDWR);
    CHECK(pread(fd, before, PAGES, 0) == PAGES);
    for (int i = 2; i < 5; i++) {
        char text[2] = { (char)('0' + i), 0 };
        CHECK(put_text(store, text, "me", text) == STORE_TAKEN);
        commit(store);
    }
    store_close(&store, ENOUGH_MS);
    CHECK(pwrite(fd, before, PAGES, 0) == PAGES);
    close(fd);
    store = begin();
    CHECK(next_is(store, "one") && next_is(store, "2") && next_is(store, "3") && next_is(store, "4"));
    CHECK(put_text(store, "4 again", "me", "4") == STORE_KNOWN && figures_of(store).corrupt == 0);
    store_close(&store, ENOUGH_MS);
}

// --- its folder --------------------------------------------------------------------------

// Copies the head of the last batch in the file to where LMDB has pages of its trees. Returns to how many.
static int
copy_head_to_trees(const char *path)
{
    enum { PAGE = 4096, PAGE_HEAD = 16, FLAGS_AT = 10, LEAF = 2, OVERFLOW = 4 };
    uint8_t page[PAGE], head[BATCH_HEAD];
    int fd = open(path, O_RDWR), copies = 0;
    for (off_t at = 0; pread(fd, page, PAGE, at) == PAGE; at += PAGE)
        if (memcmp(page + PAGE_HEAD, "zbatch1", 8) == 0)
            memcpy(head, page + PAGE_HEAD, sizeof head);
    for (off_t at = 0; pread(fd, page, PAGE, at) == PAGE; at += PAGE)
        if ((page[FLAGS_AT] & (LEAF | OVERFLOW)) == LEAF) {
            CHECK(pwrite(fd, head, sizeof head, at + PAGE_HEAD) == sizeof head);
            copies++;
        }
    close(fd);
    return copies;
}

static void
test_store_takes_a_head_of_a_batch_in_a_page_of_a_tree_for_no_batch(void)
{
    char path[512], text[16];
    leave_twenty(path, sizeof path);
    CHECK(copy_head_to_trees(path) > 0);
    store_t *store = begin();
    CHECK(figures_of(store).messages == 20);
    CHECK(figures_of(store).corrupt == 0);
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "%d", i);
        CHECK(next_is(store, text));
    }
    store_close(&store, ENOUGH_MS);
}

// What a write leaves that ended with the disk full: the head of a batch with the message that comes next.
static void
leave_begun(const char *path, uint64_t number, uint64_t first)
{
    uint8_t head[BATCH_HEAD];
    file_name_t name;
    struct stat st;
    int fd = open(path, O_RDWR);
    CHECK(folder_read_name(strrchr(path, '/') + 1, &name));
    const entry_t entry = { .size = 5 };
    const batch_head_t batch = { .salt = name.salt, .number = number, .first = first, .done_before = first, .data = 5, .messages = 1 };
    batch_write_head(head, &batch, &entry, NULL);
    CHECK(fstat(fd, &st) == 0);
    CHECK(pwrite(fd, head, sizeof head, st.st_size + LMDBFILE_PAGE_HEAD) == sizeof head);
    CHECK(ftruncate(fd, st.st_size + LMDBFILE_PAGE) == 0);
    close(fd);
}

static void
test_store_what_was_said_after_a_batch_that_was_begun_does_not_end_it(void)
{
    char path[512];
    store_message_t message;
    store_t *store = begin_empty();
    for (int i = 0; i < 3; i++)
        put_text(store, "done", "", "");
    commit(store); // batch 1
    for (int i = 0; i < 3 && store_next(store, &message); i++) {
        store_pass(store);
        store_done(store, message.sequence);
        commit(store); // 2, 3, 4
    }
    CHECK(store_close(&store, ENOUGH_MS) == 0);
    CHECK(count_files(".mdb", path, sizeof path) == 1);
    leave_begun(path, 2, 4);
    store = begin();
    CHECK(figures_of(store).messages == 0 && figures_of(store).corrupt == 0);
    CHECK(store_next_sequence(store) == 4);
    store_close(&store, ENOUGH_MS);
}

static void
test_store_folder_is_of_one_owner_and_ours_alone(void)
{
    store_t *store = begin_empty();
    CHECK(!open_as("another"));
    store_t *next = open_as("test");
    CHECK(next);
    store_begin(next, &memory);
    put_text(store, "from the one before", "", "");
    wait_for_bell(next);
    CHECK(figures_of(next).state == STORE_OPENING);
    store_close(&store, ENOUGH_MS);
    CHECK(next_is(next, "from the one before") || (wait_for_bell(next), next_is(next, "from the one before")));
    store_close(&next, ENOUGH_MS);
    CHECK(chmod(folder, 0755) == 0);
    CHECK(!open_as("test"));
    CHECK(chmod(folder, 0700) == 0);
}

static void
test_store_folder_of_another_process_is_refused(void)
{
    int ready[2], go[2];
    char byte;
    clear_folder();
    CHECK(pipe(ready) == 0 && pipe(go) == 0);
    pid_t child = fork();
    if (child == 0) {
        store_t *store = begin_empty();
        CHECK(write(ready[1], "r", 1) == 1 && read(go[0], &byte, 1) == 1);
        store_close(&store, ENOUGH_MS);
        _exit(0);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    diag_t *diag = diag_new();
    conf = (store_conf_t){ .folder = folder, .max_bytes = 64 << 20 };
    CHECK(!store_open("test", &conf, diag, (place_t){ "", 0, 0 }));
    CHECK(strstr(diag_text(diag, 0, &(diag_level_t){ 0 }), "another process uses it"));
    diag_destroy(&diag);
    CHECK(write(go[1], "g", 1) == 1);
    int status;
    waitpid(child, &status, 0);
    store_t *store = begin();
    CHECK(store);
    store_close(&store, ENOUGH_MS);
}

int
main(void)
{
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    RUN(test_crc32c_of_known_bytes);
    RUN(test_crc32c_of_rows_is_that_of_each);
    RUN(test_seqset_against_an_array);
    RUN(test_tries_against_an_array);
    RUN(test_ids_are_their_senders_and_expire);
    RUN(test_ids_grow_wherever_the_oldest_is);
    RUN(test_store_keeps_what_is_not_done_over_a_restart);
    RUN(test_store_of_a_process_that_was_killed_keeps_what_was_committed);
    RUN(test_store_counts_tries_over_a_restart);
    RUN(test_store_takes_an_id_once_also_after_a_restart);
    RUN(test_store_takes_many_at_once_as_it_takes_each);
    RUN(test_store_takes_of_many_those_that_have_room);
    RUN(test_store_with_more_ids_than_are_read_at_once_takes_none_again);
    RUN(test_store_removes_drained_files_and_remembers_their_ids);
    RUN(test_store_with_many_ids_that_were_written_again_takes_none_again);
    RUN(test_store_of_a_file_that_was_emptied_knows_its_ids);
    RUN(test_store_that_is_full_takes_more_when_something_is_done);
    RUN(test_store_that_is_full_reaches_what_is_said_behind_messages_that_wait);
    RUN(test_store_that_is_full_drops_the_oldest_if_it_shall);
    RUN(test_store_undoes_what_was_done);
    RUN(test_store_shows_what_is_early_before_all_others);
    RUN(test_store_gives_what_was_put_as_done_once);
    RUN(test_store_takes_nothing_as_done_behind_what_it_has_not_read);
    RUN(test_store_gives_what_was_put_as_done_and_undone_as_any_other);
    RUN(test_store_delivers_what_is_whole_of_a_damaged_file);
    RUN(test_store_of_a_truncated_file_delivers_what_is_there);
    RUN(test_store_whose_first_pages_are_older_than_its_batches_has_them_all);
    RUN(test_store_takes_a_head_of_a_batch_in_a_page_of_a_tree_for_no_batch);
    RUN(test_store_what_was_said_after_a_batch_that_was_begun_does_not_end_it);
    RUN(test_store_knows_no_ids_that_another_version_has_hashed_otherwise);
    RUN(test_store_keeps_a_file_of_another_format_aside);
    RUN(test_store_folder_is_of_one_owner_and_ours_alone);
    RUN(test_store_folder_of_another_process_is_refused);
    clear_folder();
    rmdir(folder);
    return test_done();
}
