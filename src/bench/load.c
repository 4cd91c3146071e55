// SPDX-License-Identifier: MPL-2.0

#include "bench/load.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bench/board.h"
#include "bench/request.h"
#include "bench/stream.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

volatile sig_atomic_t load_interrupted;

enum { TICK_MS = 5 };

// Room in the maps where the number of messages is not known beforehand.
#define NUMBERS_UNKNOWN (UINT64_C(1) << 28)

typedef struct {
    const bench_options_t *options;
    board_t *board;
    pid_t *child;
    size_t children;
    pid_t broker;
    char *error;
} measurement_t;

typedef void (*client_work_t)(load_peer_t *self);

static void
start_client(measurement_t *self, client_work_t work, board_slot_t *slot, size_t index, place_list_t where)
{
    pid_t parent = getpid(), pid = fork();
    if (pid == -1) {
        snprintf(slot->error, sizeof slot->error, "cannot start a process: %s", strerror(errno));
        atomic_store(&slot->state, SLOT_FAILED);
        return;
    }
    if (pid > 0) {
        self->child[self->children++] = pid;
        return;
    }
    signal(SIGINT, SIG_IGN); // a terminal sends it to all: the conductor decides
    signal(SIGTERM, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1UL); // paced clients wake up when they mean to
    if (getppid() != parent)
        _exit(1);
    load_peer_t peer = { .options = self->options, .board = self->board, .slot = slot, .index = index, .where = where };
    work(&peer);
    _exit(0);
}

static int
complain(measurement_t *self, const char *format, size_t a, size_t b)
{
    snprintf(self->error, 256, format, a, b);
    return -1;
}

// Is the load in trouble? The first client that failed says why.
static int
check_clients(measurement_t *self)
{
    if (load_interrupted)
        return complain(self, "interrupted", 0, 0);
    for (size_t i = 0; i < self->board->producers + self->board->consumers; i++)
        if (atomic_load(&self->board->slot[i].state) == SLOT_FAILED) {
            snprintf(self->error, 256, "%s", self->board->slot[i].error);
            return -1;
        }
    for (size_t i = 0; i < self->children; i++)
        if (self->child[i] && waitpid(self->child[i], NULL, WNOHANG) == self->child[i]) {
            self->child[i] = 0;
            return complain(self, "client %zu of %zu ended early", i + 1, self->children);
        }
    return 0;
}

static size_t
count_state(board_t *board, size_t from, size_t count, slot_state_t state)
{
    size_t found = 0;
    for (size_t i = from; i < from + count; i++)
        found += atomic_load(&board->slot[i].state) >= (int)state;
    return found;
}

static size_t
count_met(board_t *board)
{
    size_t met = 0;
    for (size_t i = 0; i < board->producers; i++)
        met += atomic_load(&board_producer(board, i)->met);
    return met;
}

// Until every consumer listens: with --direct their endpoints are known only then.
static int
wait_open(measurement_t *self)
{
    board_t *board = self->board;
    int64_t limit = clock_mono_ms() + self->options->wait_ms;
    while (count_state(board, board->producers, board->consumers, SLOT_OPEN) < board->consumers) {
        if (check_clients(self) == -1)
            return -1;
        if (clock_mono_ms() > limit)
            return complain(self, "the consumers could not open their sockets in time", 0, 0);
        peer_sleep_ms(TICK_MS);
    }
    return 0;
}

static int
wait_sync(measurement_t *self)
{
    board_t *board = self->board;
    bool both = board->producers && board->consumers;
    bool replies = self->options->pattern->replies;
    int64_t limit = clock_mono_ms() + self->options->wait_ms;
    for (;;) {
        if (check_clients(self) == -1)
            return -1;
        size_t open = count_state(board, 0, board->producers, SLOT_OPEN), met = count_met(board);
        size_t synced = count_state(board, board->producers, board->consumers, SLOT_SYNCED);
        bool met_all = met == board->producers || !(both || replies);
        if (open == board->producers && met_all && (synced == board->consumers || !both))
            return 0;
        if (clock_mono_ms() > limit && replies)
            return complain(self, "no reply came for %zu of %zu clients: is a broker there, and a service?",
                            board->producers - met, board->producers);
        if (clock_mono_ms() > limit && met < board->producers)
            return complain(self, "nothing came through from %zu of %zu producers: is a broker there?",
                            board->producers - met, board->producers);
        if (clock_mono_ms() > limit)
            return complain(self, "nothing came through to %zu of %zu consumers: is a broker there?",
                            board->consumers - synced, board->consumers);
        peer_sleep_ms(TICK_MS);
    }
}

static uint64_t
sum(board_t *board, size_t field)
{
    uint64_t total = 0;
    for (size_t i = 0; i < board->producers + board->consumers; i++)
        total += atomic_load_explicit((atomic_uint_fast64_t *)((char *)&board->slot[i] + field), memory_order_relaxed);
    return total;
}
#define SUM(board, field) sum(board, offsetof(board_slot_t, field))

// Only the measuring side counts: a service's own counters are not deliveries.
static uint64_t
count_moved(measurement_t *self)
{
    board_t *board = self->board;
    bool replies = self->options->pattern->replies;
    uint64_t total = 0;
    for (size_t i = 0; i < (replies ? board->producers : board->consumers); i++) {
        board_slot_t *slot = replies ? board_producer(board, i) : board_consumer(board, i);
        total += atomic_load_explicit(&slot->moved, memory_order_relaxed);
    }
    return total;
}

// How many must come, of what was sent so far.
static uint64_t
count_expected(measurement_t *self)
{
    board_t *board = self->board;
    if (self->options->pattern->consumer != ZMQ_SUB)
        return self->options->pattern->replies || board->consumers ? SUM(board, sent) : 0;
    uint64_t total = 0;
    for (size_t c = 0; c < board->consumers; c++)
        for (size_t p = 0; p < board->producers; p++)
            total += stream_share(self->options, c, atomic_load(&board_producer(board, p)->sent));
    return total;
}

static int
pause_ms(measurement_t *self, int64_t ms)
{
    for (int64_t limit = clock_mono_ms() + ms, now; (now = clock_mono_ms()) < limit;) {
        peer_sleep_ms((int)(limit - now < PEER_LOOK_MS ? limit - now : PEER_LOOK_MS));
        if (check_clients(self) == -1)
            return -1;
    }
    return 0;
}

// How long nothing may happen before what is missing counts as lost: --settle, and
// the time that a slow rate or an unanswered request takes by itself.
static int64_t
patience_ms(const bench_options_t *options)
{
    int64_t patience = options->settle_ms;
    if (options->rate)
        patience += 2000 * options->producers / options->rate;
    if (options->pattern->replies || options->ack)
        patience += options->timeout_ms * (options->retries + 1);
    return patience;
}

// Until everything has been sent and has come, or nothing happens any more.
static int
wait_arrival(measurement_t *self)
{
    board_t *board = self->board;
    uint64_t before = 0;
    int64_t since = clock_mono_ms();
    for (;;) {
        if (check_clients(self) == -1)
            return -1;
        bool sent = count_state(board, 0, board->producers, SLOT_DONE) == board->producers;
        if (sent && SUM(board, received) >= count_expected(self))
            return 0;
        uint64_t now = SUM(board, received) + SUM(board, sent) + count_moved(self);
        if (now != before) {
            before = now;
            since = clock_mono_ms();
        }
        if (clock_mono_ms() - since > patience_ms(self->options))
            return 0;
        peer_sleep_ms(TICK_MS);
    }
}

static void
set_phase(measurement_t *self, phase_t phase)
{
    atomic_store(&self->board->phase, phase);
}

static int64_t
last_arrival(board_t *board)
{
    int64_t last = 0;
    for (size_t i = 0; i < board->producers + board->consumers; i++) {
        int64_t mine = (int64_t)atomic_load(&board->slot[i].last_ns);
        last = mine > last ? mine : last;
    }
    return last;
}

// The measured part. With --messages it ends when the last message came.
static int
measure(measurement_t *self, load_result_t *result)
{
    const bench_options_t *options = self->options;
    proc_t before, after;
    set_phase(self, PHASE_WARM);
    if (options->warmup_ms && pause_ms(self, options->warmup_ms) == -1)
        return -1;
    proc_read(self->broker, &before);
    uint64_t moved = count_moved(self);
    int64_t start = clock_mono_ns();
    set_phase(self, PHASE_RUN);
    if ((options->messages ? wait_arrival(self) : pause_ms(self, options->duration_ms)) == -1)
        return -1;
    int64_t end = clock_mono_ns();
    result->delivered = count_moved(self) - moved;
    proc_read(self->broker, &after);
    set_phase(self, PHASE_STOP);
    int64_t last = last_arrival(self->board);
    if (options->messages && last)
        end = last;
    result->seconds = end > start ? (double)(end - start) / 1e9 : 1e-9;
    proc_since(&before, &after, &result->broker);
    return options->messages ? 0 : wait_arrival(self);
}

static void
add_up(measurement_t *self, load_result_t *result)
{
    board_t *board = self->board;
    const bench_options_t *options = self->options;
    size_t message = (size_t)(options->size * (options->empty ? (options->parts + 1) / 2 : options->parts));
    result->bytes = result->delivered * message;
    result->producers = board->producers;
    result->clients = board->producers + board->consumers;
    for (size_t i = 0; i < result->clients; i++) {
        board_slot_t *slot = &board->slot[i];
        load_client_t *client = &result->client[i];
        bool service = options->pattern->replies && i >= board->producers;
        client->sent = atomic_load(&slot->sent);
        client->received = atomic_load(service ? &slot->moved : &slot->received);
        client->bytes = client->received * message;
        client->mean_ns = hist_mean(&slot->latency);
        result->sent += client->sent;
        result->received += service ? 0 : client->received;
        result->doubled += slot->doubled;
        result->reordered += slot->reordered;
        result->corrupt += slot->corrupt;
        result->retried += slot->retried;
        result->failed += slot->failed;
        hist_merge(&result->latency, &slot->latency);
    }
    result->expected = count_expected(self);
    // A message that found no way out is no loss, but the run did not do what was asked.
    if (options->messages && result->sent < (uint64_t)options->messages)
        result->failed += (uint64_t)options->messages - result->sent;
    result->lost = result->expected > result->received ? result->expected - result->received : 0;
}

static void
end_clients(measurement_t *self)
{
    set_phase(self, PHASE_END);
    int64_t limit = clock_mono_ms() + 2000;
    for (size_t left = self->children; left;) {
        left = 0;
        for (size_t i = 0; i < self->children; i++) {
            if (self->child[i] && waitpid(self->child[i], NULL, WNOHANG) == self->child[i])
                self->child[i] = 0;
            left += self->child[i] != 0;
        }
        if (left && clock_mono_ms() > limit)
            for (size_t i = 0; i < self->children; i++)
                if (self->child[i])
                    kill(self->child[i], SIGKILL);
        if (left)
            peer_sleep_ms(1);
    }
}

// Where direct producers connect: to every consumer, each of which bound its own.
static place_list_t
direct_places(const board_t *board, const char **endpoints)
{
    for (size_t i = 0; i < board->consumers; i++)
        endpoints[i] = board->slot[board->producers + i].endpoint;
    return (place_list_t){ .endpoint = endpoints, .count = board->consumers, .all = true };
}

static int
run(measurement_t *self, place_list_t to, place_list_t from, load_result_t *result)
{
    board_t *board = self->board;
    bool replies = self->options->pattern->replies;
    const char *endpoints[OPTIONS_CLIENTS];
    for (size_t i = 0; i < board->consumers; i++)
        start_client(self, replies ? request_service : stream_consume, board_consumer(board, i), i, from);
    if (self->options->direct) {
        if (wait_open(self) == -1)
            return -1;
        to = direct_places(board, endpoints);
    }
    for (size_t i = 0; i < board->producers; i++)
        start_client(self, replies || self->options->ack ? request_client : stream_produce, board_producer(board, i), i, to);
    if (wait_sync(self) == -1 || measure(self, result) == -1)
        return -1;
    return 0;
}

int
load_run(const bench_options_t *options, place_list_t to, place_list_t from, pid_t pid, load_result_t *result,
         char error[256])
{
    bool replies = options->pattern->replies;
    measurement_t self = { .options = options, .broker = pid, .error = error };
    memset(result, 0, sizeof *result);
    uint64_t numbers = options->messages ? peer_quota(options, 0) : NUMBERS_UNKNOWN;
    self.board = board_new((size_t)options->producers, (size_t)options->consumers, options->verify && !replies,
                           options->pattern->consumer == ZMQ_SUB, numbers);
    if (!self.board)
        return complain(&self, "not enough memory for %zu producers and %zu consumers", (size_t)options->producers,
                        (size_t)options->consumers);
    self.child = xcalloc((size_t)(options->producers + options->consumers), sizeof *self.child);
    int rc = run(&self, to, from, result);
    end_clients(&self);
    if (rc == 0)
        add_up(&self, result);
    board_destroy(&self.board);
    free(self.child);
    return rc;
}

bool
load_faulty(const load_result_t *result)
{
    return result->lost || result->doubled || result->reordered || result->corrupt || result->failed;
}

int
load_serve(const bench_options_t *options)
{
    char error[256] = "";
    bench_options_t own = *options;
    own.service = options->serve;
    measurement_t self = { .options = &own, .error = error };
    self.board = board_new(0, (size_t)options->workers, false, false, 0);
    if (!self.board)
        return EXIT_UNREACHABLE;
    self.child = xcalloc((size_t)options->workers, sizeof *self.child);
    place_list_t from = { .endpoint = options->from.item, .count = options->from.count };
    for (size_t i = 0; i < (size_t)options->workers; i++)
        start_client(&self, request_service, board_consumer(self.board, i), i, from);
    while (check_clients(&self) == 0)
        peer_sleep_ms(PEER_LOOK_MS);
    uint64_t served = SUM(self.board, moved);
    end_clients(&self);
    board_destroy(&self.board);
    free(self.child);
    if (!load_interrupted) {
        fprintf(stderr, "zbroker-bench: %s\n", error);
        return EXIT_UNREACHABLE;
    }
    printf("%llu served\n", (unsigned long long)served);
    return EXIT_GOOD;
}
