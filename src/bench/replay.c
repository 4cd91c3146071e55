// SPDX-License-Identifier: MPL-2.0
// replay.c - see replay.h.

#include "bench/replay.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bench/hist.h"
#include "bench/options.h"
#include "bench/recorded.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

enum {
    LOOK_MS = 50,      // between two looks at what has come, and at signals
    SETTLE_MS = 100,   // without another subscription
    PROGRESS_MS = 200, // between two pictures
    WAIT_MS = 10000,   // the default
};

#define SLOWEST 0.001
#define FASTEST 1e6

typedef struct {
    const char *name;
    int socket;
    int64_t strip;   // frames that were not the peer's own
    bool subscribed; // it is ready when somebody has subscribed
} kind_t;

// clang-format off
static const kind_t kinds[] = {
    { "dealer", ZMQ_DEALER, 1, false },
    { "pair",   ZMQ_PAIR,   0, false },
    { "pub",    ZMQ_XPUB,   0, true },  // as XPUB it hears of subscribers
    { "push",   ZMQ_PUSH,   0, false },
    { "req",    ZMQ_DEALER, 1, false }, // which need not wait for the answer
};
// clang-format on

typedef struct {
    const char *path, *to, *as, *side, *speed_text, *wait_text, *strip_text;
    const kind_t *kind;
    double speed; // 0: as fast as it goes
    int64_t wait_ms, strip;
    bool loop, quiet, backend;

    recorded_lines_t lines;
    recorded_t message;
    void *context, *socket;
    bool begun;
    int64_t first_wall_ns, start_ns, shown_ms;
    uint64_t messages, bytes;
    hist_t *late;
} replay_t;

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static int complain(int status, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int
complain(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("zbroker-bench: ", stderr);
    vfprintf(stderr, format, args);
    fputs("\n", stderr);
    va_end(args);
    return status;
}

// --- the command line ----------------------------------------------------------------

#define USAGE "usage: zbroker-bench replay FILE --to ENDPOINT --as TYPE [options]\n"

static const char help[] =
    USAGE "FILE is what `zbrokerctl record' has written, or - for standard input.\n"
          "      --to ENDPOINT     where to connect ('@' before it: bind)\n"
          "      --as TYPE         of the socket: dealer, pair, pub, push or req\n"
          "      --speed FACTOR    2: twice as fast as it was recorded; max: as fast as it goes (1)\n"
          "      --loop            from the beginning again, until interrupted\n"
          "      --side SIDE       what came in on this side: frontend or backend (frontend)\n"
          "      --strip N         leave out the first N frames of each message (1 as dealer and req:\n"
          "                        the routing id that a queue's message has; else 0)\n"
          "      --wait TIME       for the connection, or a subscriber (10s)\n"
          "  -q, --quiet           no progress and no figures\n"
          "  -h, --help            print this\n";

static const struct option longs[] = {
    { "to", required_argument, NULL, 't' },    { "as", required_argument, NULL, 'a' },
    { "speed", required_argument, NULL, 's' }, { "loop", no_argument, NULL, 'l' },
    { "side", required_argument, NULL, 'i' },  { "strip", required_argument, NULL, 'n' },
    { "wait", required_argument, NULL, 'w' },  { "quiet", no_argument, NULL, 'q' },
    { "help", no_argument, NULL, 'h' },        { NULL, 0, NULL, 0 },
};

static void
take(replay_t *self, int letter)
{
    const struct {
        int letter;
        const char **text;
        bool *flag;
    } rows[] = { { 't', &self->to, NULL },   { 'a', &self->as, NULL },         { 's', &self->speed_text, NULL },
                 { 'i', &self->side, NULL }, { 'n', &self->strip_text, NULL }, { 'w', &self->wait_text, NULL },
                 { 'l', NULL, &self->loop }, { 'q', NULL, &self->quiet } };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (rows[i].letter == letter && rows[i].flag)
            *rows[i].flag = true;
        else if (rows[i].letter == letter)
            *rows[i].text = optarg;
}

static const kind_t *
find_kind(const char *name)
{
    for (size_t i = 0; i < COUNT(kinds); i++)
        if (strcasecmp(kinds[i].name, name) == 0)
            return &kinds[i];
    return NULL;
}

// False: it is no speed.
static bool
read_speed(const char *text, double *speed)
{
    char *end;
    *speed = strtod(text, &end);
    if (strcmp(text, "max") == 0) {
        *speed = 0;
        return true;
    }
    return end != text && !*end && isfinite(*speed) && *speed >= SLOWEST && *speed <= FASTEST;
}

static int
check(replay_t *self)
{
    if (!self->path || !self->to || !self->as)
        return complain(EXIT_USAGE, "replay needs FILE, --to ENDPOINT and --as TYPE");
    self->kind = find_kind(self->as);
    if (!self->kind)
        return complain(EXIT_USAGE, "--as %s: not dealer, pair, pub, push or req", self->as);
    if (!read_speed(self->speed_text, &self->speed))
        return complain(EXIT_USAGE, "--speed %s: not max, nor between %g and %g", self->speed_text, SLOWEST, FASTEST);
    self->backend = strcmp(self->side, "backend") == 0;
    if (!self->backend && strcmp(self->side, "frontend") != 0)
        return complain(EXIT_USAGE, "--side %s: not frontend or backend", self->side);
    self->strip = self->strip_text ? options_count(self->strip_text, 1000) : self->kind->strip;
    if (self->strip < 0)
        return complain(EXIT_USAGE, "--strip %s: not a number", self->strip_text);
    self->wait_ms = self->wait_text ? options_time_ms(self->wait_text) : WAIT_MS;
    if (self->wait_ms < 0)
        return complain(EXIT_USAGE, "--wait %s: not a time such as 10s", self->wait_text);
    if (self->loop && strcmp(self->path, "-") == 0)
        return complain(EXIT_USAGE, "--loop needs a file that can be read again");
    return EXIT_GOOD;
}

static int
parse(replay_t *self, int argc, char **argv, bool *done)
{
    int letter;
    self->side = "frontend";
    self->speed_text = "1";
    *done = false;
    while ((letter = getopt_long(argc, argv, "qh", longs, NULL)) != -1) {
        *done = letter == 'h';
        if (*done)
            fputs(help, stdout);
        if (letter == 'h' || letter == '?')
            return letter == 'h' ? EXIT_GOOD : EXIT_USAGE;
        take(self, letter);
    }
    self->path = argv[optind];
    if (optind + 1 < argc)
        return complain(EXIT_USAGE, "%s: one FILE is enough", argv[optind + 1]);
    return check(self);
}

// --- the socket ------------------------------------------------------------------------

static int
open_socket(replay_t *self)
{
    bool binds = *self->to == '@';
    int look_ms = LOOK_MS, linger_ms = (int)self->wait_ms, on = 1;
    self->context = zmq_ctx_new();
    self->socket = zmq_socket(self->context, self->kind->socket);
    zmq_setsockopt(self->socket, ZMQ_SNDTIMEO, &look_ms, sizeof look_ms);
    zmq_setsockopt(self->socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    zmq_setsockopt(self->socket, ZMQ_IMMEDIATE, &on, sizeof on);
    if (self->kind->subscribed)
        zmq_setsockopt(self->socket, ZMQ_XPUB_NODROP, &on, sizeof on);
    if ((binds ? zmq_bind(self->socket, self->to + 1) : zmq_connect(self->socket, self->to)) == 0)
        return EXIT_GOOD;
    return complain(EXIT_UNREACHABLE, "cannot %s %s: %s", binds ? "bind" : "connect to", self->to + binds, zmq_strerror(errno));
}

static void
close_socket(const replay_t *self)
{
    int at_once = 0;
    if (self->socket && interrupted)
        zmq_setsockopt(self->socket, ZMQ_LINGER, &at_once, sizeof at_once);
    if (self->socket)
        zmq_close(self->socket);
    if (self->context)
        zmq_ctx_term(self->context);
}

// Replies and subscriptions are nobody's here, but must not wait. True: there were some.
static bool
read_away(const replay_t *self)
{
    zmq_msg_t frame;
    bool came = false;
    zmq_msg_init(&frame);
    while (self->kind->socket != ZMQ_PUSH && zmq_msg_recv(&frame, self->socket, ZMQ_DONTWAIT) != -1)
        came = true;
    zmq_msg_close(&frame);
    return came;
}

// Until the peer is there.
static int
wait_for_peer(const replay_t *self)
{
    int64_t end_ms = clock_mono_ms() + self->wait_ms, quiet_ms = INT64_MAX;
    zmq_pollitem_t item = { .socket = self->socket, .events = self->kind->subscribed ? ZMQ_POLLIN : ZMQ_POLLOUT };
    while (!interrupted && clock_mono_ms() < (quiet_ms < end_ms ? quiet_ms : end_ms)) {
        if (zmq_poll(&item, 1, LOOK_MS) < 1)
            continue;
        if (!self->kind->subscribed)
            return EXIT_GOOD;
        if (read_away(self))
            quiet_ms = clock_mono_ms() + SETTLE_MS; // there may be more of them
    }
    if (interrupted || quiet_ms < INT64_MAX)
        return EXIT_GOOD;
    return complain(EXIT_UNREACHABLE, "%s: %s within %g s", self->to,
                    self->kind->subscribed ? "nobody has subscribed" : "not connected", (double)self->wait_ms / 1000);
}

// --- playing ---------------------------------------------------------------------------

static void
show_progress(replay_t *self)
{
    int64_t now_ms = clock_mono_ms();
    if (self->quiet || !isatty(STDERR_FILENO) || now_ms - self->shown_ms < PROGRESS_MS)
        return;
    self->shown_ms = now_ms;
    fprintf(stderr, "\r\033[K%" PRIu64 " messages, %.0f s", self->messages,
            (double)(clock_mono_ns() - self->start_ns) / 1e9);
}

static int64_t
due_of(const replay_t *self)
{
    double gap_ns = self->speed > 0 ? (double)(self->message.wall_ns - self->first_wall_ns) / self->speed : 0;
    return gap_ns < 1e18 ? self->start_ns + (int64_t)gap_ns : INT64_MAX;
}

static void
wait_until(replay_t *self, int64_t due_ns)
{
    for (int64_t now; !interrupted && (now = clock_mono_ns()) < due_ns;) {
        int64_t look = now + LOOK_MS * INT64_C(1000000), until = due_ns < look ? due_ns : look;
        struct timespec time = { until / 1000000000, until % 1000000000 };
        read_away(self);
        show_progress(self);
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
    }
}

// A part that is refused waits for room, as the whole message does then.
static bool
send_frame(const replay_t *self, size_t i)
{
    const recorded_frame_t *frame = &self->message.frames[i];
    int more = i + 1 < self->message.count ? ZMQ_SNDMORE : 0;
    while (zmq_send(self->socket, self->message.bytes.data + frame->at, frame->size, more) == -1) {
        if (interrupted || (errno != EAGAIN && errno != EINTR))
            return false;
        read_away(self);
    }
    return true;
}

static void
play(replay_t *self)
{
    if (!self->begun) {
        self->begun = true;
        self->first_wall_ns = self->message.wall_ns;
        self->start_ns = clock_mono_ns();
    }
    int64_t due_ns = due_of(self);
    wait_until(self, due_ns);
    for (size_t i = (size_t)self->strip; i < self->message.count; i++)
        if (interrupted || !send_frame(self, i))
            return;
    if (self->speed > 0)
        hist_add(self->late, clock_mono_ns() - due_ns);
    for (size_t i = (size_t)self->strip; i < self->message.count; i++)
        self->bytes += self->message.frames[i].size;
    self->messages++;
}

static int
wrong_line(const replay_t *self, const char *what)
{
    return complain(EXIT_FAULTY, "%s:%" PRIu64 ": %s", self->path, self->lines.number, what);
}

static int
play_line(replay_t *self)
{
    recorded_line_t line = recorded_parse(&self->message, self->lines.line.data, self->lines.line.size);
    if (line == RECORDED_WRONG)
        return wrong_line(self, "not a recorded message");
    if (line == RECORDED_COUNT || self->message.from_backend != self->backend)
        return EXIT_GOOD;
    if (self->message.count <= (size_t)self->strip)
        return wrong_line(self, "the message has no frame that --strip leaves");
    play(self);
    show_progress(self);
    return EXIT_GOOD;
}

// Once through the file.
static int
play_file(replay_t *self)
{
    bool too_long = false;
    int status = EXIT_GOOD;
    rewind(self->lines.file);
    self->lines.number = 0;
    self->begun = false;
    while (status == EXIT_GOOD && !interrupted && recorded_next(&self->lines, &too_long))
        status = play_line(self);
    if (too_long)
        return wrong_line(self, "the line is too long");
    if (ferror(self->lines.file))
        return complain(EXIT_FAULTY, "%s: %s", self->path, strerror(errno));
    return status;
}

static void
show_figures(const replay_t *self, int64_t since_ns)
{
    if (self->shown_ms > 0)
        fputs("\r\033[K", stderr);
    if (self->quiet)
        return;
    printf("replayed %" PRIu64 " message%s, %" PRIu64 " bytes in %.3f s\n", self->messages,
           text_plural(self->messages), self->bytes, (double)(clock_mono_ns() - since_ns) / 1e9);
    if (self->late->count)
        printf("sent late by %.3f ms at the median, %.3f ms at 99 %%, %.3f ms at most\n",
               (double)hist_percentile(self->late, 50) / 1e6, (double)hist_percentile(self->late, 99) / 1e6,
               (double)self->late->max / 1e6);
}

static int
replay(replay_t *self)
{
    int status = open_socket(self);
    if (status == EXIT_GOOD)
        status = wait_for_peer(self);
    if (status != EXIT_GOOD)
        return status;
    int64_t since_ns = clock_mono_ns();
    uint64_t before;
    do {
        before = self->messages;
        status = play_file(self);
    } while (status == EXIT_GOOD && self->loop && !interrupted && self->messages > before);
    show_figures(self, since_ns);
    return status;
}

static int
open_file(replay_t *self)
{
    self->lines.file = strcmp(self->path, "-") == 0 ? stdin : fopen(self->path, "re");
    if (!self->lines.file)
        return complain(EXIT_FAULTY, "%s: %s", self->path, strerror(errno));
    struct sigaction action = { .sa_handler = on_signal };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return EXIT_GOOD;
}

int
replay_run(int argc, char **argv)
{
    replay_t self = { .late = xcalloc(1, sizeof *self.late) };
    bool done;
    int status = parse(&self, argc, argv, &done);
    if (status == EXIT_GOOD && !done)
        status = open_file(&self);
    if (status == EXIT_GOOD && !done)
        status = replay(&self);
    close_socket(&self);
    if (self.lines.file)
        fclose(self.lines.file);
    recorded_free(&self.message);
    text_free(&self.lines.line);
    free(self.late);
    return status;
}
