// SPDX-License-Identifier: MPL-2.0
// zbroker-bench - drive a ZeroMQ broker, or two peers, and say what came of it.

#include "base/mem.h"
#include "bench/load.h"
#include "bench/options.h"
#include "bench/replay.h"
#include "bench/report.h"
#include "bench/target.h"
#include "bench/through.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
    bench_options_t options;
    through_t through;
    const char *to[OPTIONS_LIST], *from[OPTIONS_LIST]; // of --through
    target_t target[OPTIONS_LIST + 2];
    subject_t subject[OPTIONS_LIST + 2];
    size_t count;
    size_t base; // what the others are compared with
    bool faulty;
} bench_t;

static void
on_signal(int number)
{
    (void)number;
    load_interrupted = 1;
}

static int
complain(const char *text)
{
    fprintf(stderr, "zbroker-bench: %s\n", text);
    return EXIT_UNREACHABLE;
}

static void
add(bench_t *self, const char *name, target_t target)
{
    size_t i = self->count++;
    self->target[i] = target;
    self->subject[i].name = name;
    self->subject[i].round = xcalloc((size_t)self->options.rounds, sizeof(figures_t));
}

// The route's endpoints, as zbroker itself says them.
static int
look_through(bench_t *self, target_t *target)
{
    char error[256];
    const bench_options_t *options = &self->options;
    if (through_read(&self->through, options->conf, options->through, options->ack, error) == -1) {
        complain(error);
        return -1;
    }
    if (strcmp(self->through.type, options->pattern->route_type) != 0)
        fprintf(stderr, "zbroker-bench: warning: route %s is a %s, and %s wants a %s\n", options->through,
                self->through.type, options->pattern->name, options->pattern->route_type);
    for (size_t i = 0; i < self->through.tos; i++)
        self->to[i] = self->through.to[i];
    for (size_t i = 0; i < self->through.froms; i++)
        self->from[i] = self->through.from[i];
    target->to = (place_list_t){ .endpoint = self->to, .count = self->through.tos };
    target->from = (place_list_t){ .endpoint = self->from, .count = self->through.froms };
    target->pid = through_pid(&self->through);
    return 0;
}

// Who is measured, in the order of the table: the candidate, then what it is
// held against, then the first of these once more: how much two runs of the
// same thing differ says what a ratio is worth.
static int
line_up(bench_t *self)
{
    const bench_options_t *options = &self->options;
    target_t given = { .name = "broker", .kind = TARGET_GIVEN };
    if (options->through) {
        if (look_through(self, &given) == -1)
            return -1;
        add(self, options->through, given);
    } else if (options->to.count || options->from.count) {
        given.to = (place_list_t){ .endpoint = options->to.item, .count = options->to.count };
        given.from = (place_list_t){ .endpoint = options->from.item, .count = options->from.count };
        add(self, "broker", given);
    } else if (options->zbroker)
        add(self, "zbroker", (target_t){ .name = "zbroker", .kind = TARGET_ZBROKER, .command = options->zbroker });
    else if (options->direct)
        add(self, "direct", (target_t){ .name = "direct", .kind = TARGET_DIRECT });
    if (self->count && options->pid)
        self->target[0].pid = (pid_t)options->pid;
    self->base = self->count;
    for (size_t i = 0; i < options->against.count; i++)
        add(self, options->against.item[i], target_named(options->against.item[i]));
    if (options->against.count)
        add(self, "the same again", target_named(options->against.item[0]));
    return 0;
}

static void
progress(const bench_t *self, size_t round, const char *name)
{
    if (self->options.quiet || !isatty(STDERR_FILENO))
        return;
    fprintf(stderr, "\r\033[Kround %zu of %lld: %s", round + 1, (long long)self->options.rounds, name);
}

static void
end_progress(const bench_t *self)
{
    if (!self->options.quiet && isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
}

// One measurement of one subject.
static int
measure(bench_t *self, size_t i, size_t round, load_result_t *result)
{
    char error[256], ended[256];
    target_t *target = &self->target[i];
    subject_t *subject = &self->subject[i];
    // What is direct depends on the subject, not on the run.
    bench_options_t options = self->options;
    options.direct = target->kind == TARGET_DIRECT;
    progress(self, round, subject->name);
    int rc = target_start(target, &options, error);
    if (rc == 0)
        rc = load_run(&options, target->to, target->from, target->pid, result, error);
    bool gone = target_ended(target, ended);
    target_stop(target);
    if (rc == -1 || gone) {
        end_progress(self);
        complain(gone ? ended : error);
        return -1;
    }
    subject->round[subject->rounds++] = figures_of(result);
    figures_add(&subject->total, result);
    self->faulty = self->faulty || (options.verify ? load_faulty(result) : result->corrupt || result->doubled);
    return options.json ? report_json(&options, subject->name, round + 1, result) : 0;
}

// Rounds, so that what else happens on the machine meets everybody alike; the
// order turns, because the second one of two often does better.
static int
run_rounds(bench_t *self)
{
    load_result_t *result = xcalloc(1, sizeof *result);
    int rc = 0;
    for (size_t round = 0; rc == 0 && round < (size_t)self->options.rounds; round++)
        for (size_t i = 0; rc == 0 && i < self->count; i++)
            rc = measure(self, (i + round) % self->count, round, result);
    end_progress(self);
    free(result);
    return rc;
}

static bool
everybody_ran(const bench_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->subject[i].rounds == 0)
            return false;
    return true;
}

static int
run(bench_t *self)
{
    const bench_options_t *options = &self->options;
    if (line_up(self) == -1)
        return EXIT_UNREACHABLE;
    int rc = run_rounds(self);
    // After ^C what is known is shown, provided that everybody had a turn.
    if (rc == -1 && (!load_interrupted || !everybody_ran(self)))
        return EXIT_UNREACHABLE;
    report_heading(options);
    report_table(options, self->subject, self->count);
    if (options->against.count)
        report_ratios(&self->subject[self->base], self->subject, self->count);
    if (options->plot)
        report_plot(options, self->subject, self->count);
    return rc == -1 ? EXIT_UNREACHABLE : self->faulty ? EXIT_FAULTY : EXIT_GOOD;
}

static int
bench(bench_t *self, int argc, char **argv)
{
    bool done;
    const bench_options_t *options = &self->options;
    if (argc > 1 && strcmp(argv[1], "replay") == 0)
        return replay_run(argc - 1, argv + 1);
    if (options_parse(&self->options, argc, argv, &done) == -1)
        return EXIT_USAGE;
    if (done)
        return EXIT_GOOD;
    if (options->serve && strstr(options->serve, "proxy"))
        return target_serve(options);

    setvbuf(stdout, NULL, _IOLBF, 0); // and nothing unwritten is inherited by a fork
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return options->serve ? load_serve(options) : run(self);
}

int
main(int argc, char **argv)
{
    bench_t *self = xcalloc(1, sizeof *self);
    int status = bench(self, argc, argv);
    for (size_t i = 0; i < self->count; i++)
        free(self->subject[i].round);
    free(self);
    return status;
}
