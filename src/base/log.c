// SPDX-License-Identifier: MPL-2.0
// log.c - see log.h.
//
// One mutex, no thread. A reader of standard error that has stopped reading
// must not stop a route: a line that finds no room is dropped and counted.

#include "base/log.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/mem.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum {
    TABLE_SIZE = 64,       // distinct lines that are watched for repeats
    WINDOW_MS = 1000,      // how long repeats are held back; doubles while a storm lasts
    WINDOW_MAX_MS = 60000,
    WAIT_MS = 100, // for a slow reader of standard error
    ALIKE_MOST = 10, // lines that are alike, before they are summed up
    ALIKE_QUIET_MS = 10000, // without one they begin anew
};

static const struct {
    const char *name;
    int priority; // syslog(3)'s
} levels[] = {
    [LOG_LEVEL_ERROR] = { "error", LOG_ERR },      [LOG_LEVEL_WARNING] = { "warning", LOG_WARNING },
    [LOG_LEVEL_NOTICE] = { "notice", LOG_NOTICE }, [LOG_LEVEL_INFO] = { "info", LOG_INFO },
    [LOG_LEVEL_DEBUG] = { "debug", LOG_DEBUG },    [LOG_LEVEL_TRACE] = { "trace", LOG_DEBUG },
};

// A line that was written a moment ago, or the last one of those that are alike. Free when TEXT is NULL.
typedef struct {
    char *text;
    char *like; // NULL: only a line that is the same
    unsigned said;
    log_level_t level;
    int64_t start_ms; // of the window
    int64_t last_ms;  // when it was last said
    int64_t window_ms;
    uint64_t held;
} repeat_t;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static _Atomic int current_level = LOG_LEVEL_NOTICE;
static bool to_syslog;
static int journal = -1;
static const char *journal_path = JOURNAL_SOCKET;
static int journal_facility;
static bool with_prefix; // <N>, for the journal
static bool with_time;
static bool reader_stuck;
static uint64_t lost;
static repeat_t table[TABLE_SIZE];
static void (*observer)(log_level_t level, const char *text, void *arg);
static void *observer_arg;
static _Atomic bool observed;

// sd-daemon(3): JOURNAL_STREAM is DEVICE:INODE of the descriptor that is the journal.
static bool
is_journal(const struct stat *st)
{
    const char *stream = getenv("JOURNAL_STREAM");
    uintmax_t device, inode;
    return stream && sscanf(stream, "%ju:%ju", &device, &inode) == 2 && device == st->st_dev && inode == st->st_ino;
}

// Somebody may read it: a terminal, a file, a pipe, or a socket as the journal
// is one. /dev/null and a closed descriptor are nobody.
static bool
has_reader(const struct stat *st)
{
    return S_ISREG(st->st_mode) || S_ISFIFO(st->st_mode) || S_ISSOCK(st->st_mode) || isatty(STDERR_FILENO);
}

static void
open_journal(bool wanted, int facility)
{
    if (journal != -1)
        close(journal);
    journal = wanted ? journal_connect(journal_path) : -1;
    journal_facility = facility;
}

void
log_journal_at(const char *path)
{
    journal_path = path;
}

void
log_open(log_target_t target, int facility, log_level_t level)
{
    struct stat st = { 0 };
    bool open = fstat(STDERR_FILENO, &st) == 0;
    log_flush();
    pthread_mutex_lock(&mutex);
    to_syslog = target == LOG_TARGET_SYSLOG || (target == LOG_TARGET_AUTO && !(open && has_reader(&st)));
    open_journal(open && !to_syslog && is_journal(&st), facility);
    with_prefix = open && is_journal(&st);
    with_time = open && !with_prefix && (S_ISREG(st.st_mode) || isatty(STDERR_FILENO));
    if (to_syslog)
        openlog("zbroker", LOG_PID | LOG_NDELAY, facility);
    pthread_mutex_unlock(&mutex);
    log_set_level(level);
}

void
log_set_level(log_level_t level)
{
    current_level = (int)level;
}

log_level_t
log_level(void)
{
    return (log_level_t)current_level;
}

int
log_level_find(const char *name)
{
    for (int i = 0; i <= LOG_LEVEL_TRACE; i++)
        if (strcmp(levels[i].name, name) == 0)
            return i;
    return -1;
}

const char *
log_level_name(log_level_t level)
{
    return levels[level].name;
}

// Is there room for one line? A plain file always says so.
static bool
is_ready(int fd)
{
    struct pollfd item = { .fd = fd, .events = POLLOUT };
    int ready = poll(&item, 1, reader_stuck ? 0 : WAIT_MS);
    reader_stuck = ready == 0;
    return ready != 0;
}

static void
write_stderr(const char *bytes, size_t size)
{
    if (!is_ready(STDERR_FILENO)) {
        lost++;
        return;
    }
    while (size) {
        ssize_t done = write(STDERR_FILENO, bytes, size);
        if (done == -1 && errno != EINTR)
            return;
        if (done > 0) {
            bytes += done;
            size -= (size_t)done;
        }
    }
}

static void
tell_observer(log_level_t level, const char *text)
{
    if (observer && level <= LOG_LEVEL_INFO)
        observer(level, text, observer_arg);
}

static void
add_field(text_t *entry, const char *name, const char *value)
{
    journal_field(entry, name, value, strlen(value));
}

static int
send_entry(log_level_t level, const char *text)
{
    char priority[16], facility[16];
    text_t entry = { 0 };
    snprintf(priority, sizeof priority, "%d", levels[level].priority);
    snprintf(facility, sizeof facility, "%d", journal_facility >> 3);
    journal_line(&entry, text);
    add_field(&entry, "PRIORITY", priority);
    add_field(&entry, "SYSLOG_IDENTIFIER", "zbroker");
    add_field(&entry, "SYSLOG_FACILITY", facility);
    int rc = is_ready(journal) ? journal_send(journal, &entry) : -1;
    lost += rc == -1 && reader_stuck;
    text_free(&entry);
    return rc == 0 || reader_stuck ? 0 : -1;
}

// Written, or lost because the journal has no room. False: nobody listens there. One that was started again does.
static bool
to_journal(log_level_t level, const char *text)
{
    if (journal == -1)
        return false;
    if (send_entry(level, text) == 0)
        return true;
    open_journal(true, journal_facility);
    return journal != -1 && send_entry(level, text) == 0;
}

static void
to_stderr(log_level_t level, const char *text)
{
    text_t line = { 0 };
    char now[32];
    if (with_prefix)
        text_add(&line, "<%d>", levels[level].priority);
    if (with_time) {
        clock_rfc3339(clock_wall_ns(), now);
        text_add(&line, "%s ", now);
    }
    if (!with_prefix)
        text_add(&line, "%s: ", levels[level].name);
    text_add(&line, "%s\n", text);
    write_stderr(line.data, line.size);
    text_free(&line);
}

static void
write_out(log_level_t level, const char *text)
{
    if (to_syslog)
        syslog(levels[level].priority, "%s", text);
    else if (!to_journal(level, text))
        to_stderr(level, text);
}

static void
emit(log_level_t level, const char *text)
{
    tell_observer(level, text);
    uint64_t before = lost;
    write_out(level, text);
    if (before && lost == before) {
        text_t line = { 0 };
        lost = 0;
        event_line(EVENT_LINES_LOST, EVENT_FIELDS(EVENT_NUMBER("lines", before)), &line);
        write_out(LOG_LEVEL_WARNING, line.data);
        text_free(&line);
    }
}

static void
emit_sum(repeat_t *entry)
{
    if (entry->held) {
        text_t sum = { 0 };
        text_add(&sum, "%s (repeated %" PRIu64 " time%s)", entry->text, entry->held, text_plural(entry->held));
        emit(entry->level, sum.data);
        text_free(&sum);
    }
    entry->held = 0;
}

static void
forget(repeat_t *entry)
{
    emit_sum(entry);
    free(entry->text);
    free(entry->like);
    *entry = (repeat_t){ 0 };
}

// Close the windows that are over. A line that is still being said gets a
// longer one, so that a lasting storm costs a line a minute.
static void
sweep(int64_t now)
{
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        repeat_t *entry = &table[i];
        if (!entry->text || now - entry->start_ms < entry->window_ms)
            continue;
        bool quiet = now - entry->last_ms >= (entry->like ? ALIKE_QUIET_MS : WINDOW_MS);
        if (quiet || (!entry->held && !entry->like)) {
            forget(entry);
            continue;
        }
        emit_sum(entry);
        entry->start_ms = now;
        entry->window_ms = entry->window_ms * 2 < WINDOW_MAX_MS ? entry->window_ms * 2 : WINDOW_MAX_MS;
    }
}

static bool
is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static repeat_t *
find_repeat(log_level_t level, const char *like, const char *text)
{
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        repeat_t *entry = &table[i];
        if (entry->text && entry->level == level && is_same(entry->like, like) && (like || strcmp(entry->text, text) == 0))
            return entry;
    }
    return NULL;
}

// A free place, or that of the line which was said longest ago.
static repeat_t *
free_place(void)
{
    repeat_t *oldest = &table[0];
    for (size_t i = 0; i < TABLE_SIZE; i++) {
        if (!table[i].text)
            return &table[i];
        if (table[i].last_ms < oldest->last_ms)
            oldest = &table[i];
    }
    forget(oldest);
    return oldest;
}

static void
say_again(repeat_t *entry, const char *text)
{
    bool differs = strcmp(entry->text, text) != 0, writes = differs && entry->said < ALIKE_MOST;
    if (writes) {
        emit_sum(entry);
        emit(entry->level, text);
    }
    if (differs) {
        free(entry->text);
        entry->text = xstrdup(text);
    }
    entry->said += writes;
    entry->held += !writes;
}

static void
say(log_level_t level, const char *like, const char *text)
{
    int64_t now = clock_mono_ms();
    sweep(now);
    repeat_t *entry = find_repeat(level, like, text);
    if (entry) {
        say_again(entry, text);
        entry->last_ms = now;
        return;
    }
    emit(level, text);
    *free_place() = (repeat_t){ .text = xstrdup(text), .like = like ? xstrdup(like) : NULL, .said = 1, .level = level,
                                .start_ms = now, .last_ms = now, .window_ms = WINDOW_MS };
}

bool
log_wants(log_level_t level)
{
    return (int)level <= current_level || (observed && level <= LOG_LEVEL_INFO);
}

static void
write_line(log_level_t level, const char *like, const char *line, size_t size)
{
    bool wanted = (int)level <= current_level;
    text_t text = { 0 };
    text_shown(&text, line, size < LOG_LINE_MAX ? size : LOG_LINE_MAX);
    if (text.size > LOG_LINE_MAX) {
        text.size = LOG_LINE_MAX;
        text_add(&text, "...");
    }
    pthread_mutex_lock(&mutex);
    if (wanted)
        say(level, like, text.data);
    else
        tell_observer(level, text.data);
    pthread_mutex_unlock(&mutex);
    text_free(&text);
}

void
log_line(log_level_t level, const char *format, ...)
{
    if (!log_wants(level))
        return;
    int saved = errno;
    text_t line = { 0 };
    va_list args;
    va_start(args, format);
    text_vadd(&line, format, args);
    va_end(args);
    write_line(level, NULL, line.data, line.size);
    text_free(&line);
    errno = saved;
}

void
log_alike(log_level_t level, const char *like, const char *text)
{
    int saved = errno;
    if (log_wants(level))
        write_line(level, like, text, strlen(text));
    errno = saved;
}

void
log_fields(event_id_t id, const event_field_t *fields)
{
    log_level_t level = event_at(id)->level;
    if (!log_wants(level))
        return;
    text_t line = { 0 }, like = { 0 };
    event_line(id, fields, &line);
    log_alike(level, event_likeness(id, fields, &like) ? like.data : NULL, line.data);
    text_free(&like);
    text_free(&line);
}

void
log_problem(event_id_t id, const char *route, const diag_item_t *problem)
{
    const event_field_t none = EVENT_TEXT("", NULL), line = EVENT_NUMBER("line", problem->place.line),
                        column = EVENT_NUMBER("column", problem->place.column);
    log_event(id, EVENT_TEXT("route", route), EVENT_WORDS("whole", problem->text),
              EVENT_TEXT("file", *problem->place.file ? problem->place.file : NULL), problem->place.line ? line : none,
              problem->place.line && problem->place.column ? column : none, EVENT_TEXT("problem", problem->message));
}

void
log_observe(void (*fn)(log_level_t level, const char *text, void *arg), void *arg)
{
    pthread_mutex_lock(&mutex);
    observer = fn;
    observer_arg = arg;
    observed = fn != NULL;
    pthread_mutex_unlock(&mutex);
}

void
log_tick(void)
{
    pthread_mutex_lock(&mutex);
    sweep(clock_mono_ms());
    pthread_mutex_unlock(&mutex);
}

void
log_flush(void)
{
    pthread_mutex_lock(&mutex);
    for (size_t i = 0; i < TABLE_SIZE; i++)
        if (table[i].text)
            forget(&table[i]);
    pthread_mutex_unlock(&mutex);
}
