// SPDX-License-Identifier: MPL-2.0
// Standard error is exchanged for a file, a pipe or /dev/null, and what the log
// wrote there is read back.
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <regex.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <unistd.h>

static int real_stderr;
static int other_end = -1;

static void
stderr_is(int fd)
{
    dup2(fd, STDERR_FILENO);
    close(fd);
}

static void
stderr_is_pipe(void)
{
    int ends[2];
    CHECK(pipe(ends) == 0);
    other_end = ends[0];
    fcntl(other_end, F_SETFL, O_NONBLOCK);
    stderr_is(ends[1]);
}

// Everything written so far. The caller frees it.
static char *
pipe_text(void)
{
    char *text = xcalloc(1 << 20, 1);
    size_t size = 0;
    ssize_t got;
    while ((got = read(other_end, text + size, (1 << 20) - size - 1)) > 0)
        size += (size_t)got;
    return text;
}

static void
stderr_back(void)
{
    log_flush();
    dup2(real_stderr, STDERR_FILENO);
    if (other_end != -1)
        close(other_end);
    other_end = -1;
}

static size_t
count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

// How often LINE was said: each line once, and what it says of repetitions.
static size_t
told(const char *text, const char *line)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, line)); at += strlen(line)) {
        const char *more = at + strlen(line);
        if (*more == '\n')
            count++;
        else if (strncmp(more, " (repeated ", 11) == 0)
            count += strtoul(more + 11, NULL, 10);
    }
    return count;
}

static void
wait_ms(int64_t ms)
{
    for (int64_t end = clock_mono_ms() + ms; clock_mono_ms() < end;)
        usleep(5000);
}

static void
test_a_pipe_gets_plain_lines_of_the_wanted_levels(void)
{
    stderr_is_pipe();
    log_open(LOG_TARGET_AUTO, LOG_DAEMON, LOG_LEVEL_INFO);
    log_line(LOG_LEVEL_INFO, "route %s: started", "prices");
    log_line(LOG_LEVEL_DEBUG, "not this");
    log_set_level(LOG_LEVEL_TRACE);
    CHECK(log_level() == LOG_LEVEL_TRACE);
    log_line(LOG_LEVEL_TRACE, "this");
    char *text = pipe_text();
    CHECK_TEXT(text, "info: route prices: started\ntrace: this\n");
    free(text);
    stderr_back();
}

static void
test_the_journal_gets_the_priority(void)
{
    struct stat st;
    char stream[64];
    stderr_is_pipe();
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_journal_at("/nowhere");
    log_open(LOG_TARGET_AUTO, LOG_DAEMON, LOG_LEVEL_TRACE);
    log_line(LOG_LEVEL_ERROR, "a");
    log_line(LOG_LEVEL_WARNING, "b");
    log_line(LOG_LEVEL_NOTICE, "c");
    log_line(LOG_LEVEL_INFO, "d");
    log_line(LOG_LEVEL_DEBUG, "e");
    log_line(LOG_LEVEL_TRACE, "f");
    char *text = pipe_text();
    CHECK_TEXT(text, "<3>a\n<4>b\n<5>c\n<6>d\n<7>e\n<7>f\n");
    free(text);
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_open(LOG_TARGET_AUTO, LOG_DAEMON, LOG_LEVEL_TRACE);
    log_line(LOG_LEVEL_ERROR, "somebody else's stream");
    text = pipe_text();
    CHECK_TEXT(text, "error: somebody else's stream\n");
    free(text);
    unsetenv("JOURNAL_STREAM");
    stderr_back();
}

// --- the journal's own socket ---------------------------------------------------

static char journal_folder[] = "/tmp/zbroker-test-journal.XXXXXX", journal_path[64];
static int journal = -1;

static void
journal_listens(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", journal_path);
    unlink(journal_path);
    journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    CHECK(bind(journal, (struct sockaddr *)&address, sizeof address) == 0);
}

// Standard error is a pipe that passes for the journal's.
static void
log_to_journal(void)
{
    struct stat st;
    char stream[64];
    if (!*journal_path) {
        CHECK(mkdtemp(journal_folder));
        snprintf(journal_path, sizeof journal_path, "%s/socket", journal_folder);
    }
    stderr_is_pipe();
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof stream, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_journal_at(journal_path);
}

static void
journal_gone(void)
{
    close(journal);
    unlink(journal_path);
    unsetenv("JOURNAL_STREAM");
    stderr_back();
}

// The next entry as "NAME=value" lines, with \n in values shown as %, or "".
static const char *
journal_entry(void)
{
    static char shown[8192];
    unsigned char bytes[8192];
    ssize_t size = recv(journal, bytes, sizeof bytes, 0);
    char *out = shown;
    for (ssize_t at = 0; at < size;) {
        while (bytes[at] != '\n')
            *out++ = (char)bytes[at++];
        uint64_t length = 0;
        for (int i = 8; i > 0; i--)
            length = length << 8 | bytes[at + i];
        at += 9;
        CHECK(at + (ssize_t)length < size && bytes[at + (ssize_t)length] == '\n');
        *out++ = '=';
        for (; length && at < size; length--, at++)
            *out++ = bytes[at] == '\n' ? '%' : (char)bytes[at];
        *out++ = '\n';
        at++;
    }
    *out = '\0';
    return shown;
}

static void
test_the_journal_gets_fields_where_it_listens(void)
{
    log_to_journal();
    journal_listens();
    log_open(LOG_TARGET_AUTO, LOG_DAEMON, LOG_LEVEL_INFO);
    log_event(EVENT_ACL_DENIED, EVENT_TEXT("route", "prices"), EVENT_TEXT("address", "192.0.2.7"), EVENT_PROSE("action", "publish"),
              EVENT_TEXT("user", "al ice"), EVENT_TEXT("topic", "a\nPRIORITY=0\nZBROKER_ROUTE=b"));
    CHECK_TEXT(journal_entry(), "ZBROKER_EVENT=acl-denied\nZBROKER_ROUTE=prices\nZBROKER_ADDRESS=192.0.2.7\nZBROKER_ACTION=publish\n"
                                "ZBROKER_USER=al ice\nZBROKER_TOPIC=a%PRIORITY=0%ZBROKER_ROUTE=b\n"
                                "MESSAGE=acl: route prices: 192.0.2.7 may not publish \"a\\nPRIORITY\\x3d0\\nZBROKER_ROUTE\\x3db\"\n"
                                "PRIORITY=4\nSYSLOG_IDENTIFIER=zbroker\nSYSLOG_FACILITY=3\n");
    log_line(LOG_LEVEL_ERROR, "%s", "no tail");
    CHECK_TEXT(journal_entry(), "MESSAGE=no tail\nPRIORITY=3\nSYSLOG_IDENTIFIER=zbroker\nSYSLOG_FACILITY=3\n");
    for (int i = 0; i < 3; i++)
        log_event(EVENT_CONTROL_FOLDER, EVENT_TEXT("path", "/run/x"));
    CHECK_TEXT(journal_entry(), "ZBROKER_EVENT=control-folder\nZBROKER_PATH=/run/x\nMESSAGE=control: made /run/x\n"
                                "PRIORITY=6\nSYSLOG_IDENTIFIER=zbroker\nSYSLOG_FACILITY=3\n");
    log_flush();
    CHECK(strstr(journal_entry(), "\nMESSAGE=control: made /run/x (repeated 2 times)\n"));
    char *text = pipe_text();
    CHECK_TEXT(text, "");
    free(text);
    journal_gone();
}

static void
test_a_journal_that_is_started_again_gets_the_next_line(void)
{
    log_to_journal();
    journal_listens();
    log_open(LOG_TARGET_AUTO, LOG_DAEMON, LOG_LEVEL_INFO);
    close(journal);
    journal_listens();
    log_line(LOG_LEVEL_NOTICE, "to the new one");
    CHECK(strstr(journal_entry(), "MESSAGE=to the new one\n"));
    close(journal);
    unlink(journal_path);
    log_line(LOG_LEVEL_NOTICE, "nobody listens");
    char *text = pipe_text();
    CHECK_TEXT(text, "<5>nobody listens\n");
    free(text);
    journal_gone();
}

static void
test_a_full_journal_stops_nobody_and_the_loss_is_counted(void)
{
    log_to_journal();
    journal_listens();
    log_open(LOG_TARGET_AUTO, LOG_DAEMON, LOG_LEVEL_INFO);
    int64_t start = clock_mono_ms();
    for (int i = 0; i < 2000; i++)
        log_line(LOG_LEVEL_INFO, "line %d", i);
    printf("# 2000 lines into a full journal took %d ms\n", (int)(clock_mono_ms() - start));
    while (*journal_entry())
        ;
    log_line(LOG_LEVEL_INFO, "there is room");
    CHECK(strstr(journal_entry(), "MESSAGE=there is room\n"));
    CHECK(strstr(journal_entry(), "ZBROKER_EVENT=lines-lost\n"));
    journal_gone();
}

static void
test_a_file_gets_the_time(void)
{
    char path[] = "/tmp/zbroker-test-log.XXXXXX", line[256] = "";
    int fd = mkstemp(path);
    stderr_is(dup(fd));
    log_open(LOG_TARGET_AUTO, LOG_DAEMON, LOG_LEVEL_INFO);
    log_line(LOG_LEVEL_NOTICE, "x");
    CHECK(pread(fd, line, sizeof line - 1, 0) > 0);
    regex_t pattern;
    regcomp(&pattern, "^20[0-9][0-9]-[0-9-]{5}T[0-9:]{8}\\.[0-9]{3}Z notice: x\n$", REG_EXTENDED | REG_NOSUB);
    CHECK(regexec(&pattern, line, 0, NULL, 0) == 0);
    regfree(&pattern);
    close(fd);
    unlink(path);
    stderr_back();
}

static void
test_without_a_reader_nothing_goes_to_stderr(void)
{
    // What goes to syslog(3) then cannot be seen from here; that nothing reaches the descriptor can.
    int null = open("/dev/null", O_WRONLY);
    stderr_is(null);
    log_open(LOG_TARGET_AUTO, LOG_USER, LOG_LEVEL_ERROR);
    stderr_is_pipe();
    log_line(LOG_LEVEL_INFO, "below the level, so that syslog stays clean");
    log_set_level(LOG_LEVEL_TRACE);
    log_line(LOG_LEVEL_TRACE, "zbroker's unit test");
    char *text = pipe_text();
    CHECK_TEXT(text, "");
    free(text);
    log_open(LOG_TARGET_STDERR, LOG_USER, LOG_LEVEL_INFO);
    log_line(LOG_LEVEL_INFO, "asked for");
    text = pipe_text();
    CHECK_TEXT(text, "info: asked for\n");
    free(text);
    stderr_back();
}

static void
test_nobody_can_forge_a_line(void)
{
    stderr_is_pipe();
    log_open(LOG_TARGET_STDERR, LOG_DAEMON, LOG_LEVEL_INFO);
    log_line(LOG_LEVEL_INFO, "user \"%s\" refused", "x\nerror: all is lost\x1b[2J\r\xff");
    char *text = pipe_text();
    CHECK_TEXT(text, "info: user \"x\\nerror: all is lost\\x1b[2J\\r\\xff\" refused\n");
    free(text);
    stderr_back();
}

static void
test_a_long_line_is_cut(void)
{
    char *longer = xcalloc(100001, 1);
    memset(longer, '\1', 100000);
    stderr_is_pipe();
    log_open(LOG_TARGET_STDERR, LOG_DAEMON, LOG_LEVEL_INFO);
    log_line(LOG_LEVEL_INFO, "%s", longer);
    char *text = pipe_text();
    size_t size = strlen(text);
    CHECK(size > 1000 && size <= 4096 && strcmp(text + size - 4, "...\n") == 0);
    free(text);
    free(longer);
    stderr_back();
}

static void
test_repeats_are_summed_up_for_each_line(void)
{
    stderr_is_pipe();
    log_open(LOG_TARGET_STDERR, LOG_DAEMON, LOG_LEVEL_INFO);
    for (int i = 0; i < 413; i++) {
        log_line(LOG_LEVEL_WARNING, "one");
        if (i < 2)
            log_line(LOG_LEVEL_WARNING, "two");
    }
    // Sums come once a second, should it have taken that long; and the rest now.
    char *text = pipe_text();
    size_t one = told(text, "warning: one"), two = told(text, "warning: two"), lines = count_of(text, "\n");
    CHECK(strncmp(text, "warning: one\nwarning: two\n", 26) == 0);
    free(text);
    log_flush();
    text = pipe_text();
    CHECK(one + told(text, "warning: one") == 413 && two + told(text, "warning: two") == 2);
    CHECK(lines + count_of(text, "\n") < 20);
    if (lines == 2)
        CHECK_TEXT(text, "warning: one (repeated 412 times)\nwarning: two (repeated 1 time)\n");
    free(text);
    log_line(LOG_LEVEL_WARNING, "one");
    text = pipe_text();
    CHECK_TEXT(text, "warning: one\n");
    free(text);
    stderr_back();
}

static void
test_of_lines_that_are_alike_ten_are_written_and_all_counted(void)
{
    stderr_is_pipe();
    log_open(LOG_TARGET_STDERR, LOG_DAEMON, LOG_LEVEL_INFO);
    char line[64];
    for (int i = 0; i < 500; i++) {
        snprintf(line, sizeof line, "refused port %d", i);
        log_alike(LOG_LEVEL_WARNING, "refused", line);
    }
    log_alike(LOG_LEVEL_WARNING, "another", "refused elsewhere");
    char *text = pipe_text();
    size_t lines = count_of(text, "\n");
    CHECK(strstr(text, "warning: refused port 9\n") && strstr(text, "warning: refused elsewhere\n"));
    free(text);
    log_flush();
    text = pipe_text();
    CHECK(lines + count_of(text, "\n") < 20);
    if (lines == 11)
        CHECK_TEXT(text, "warning: refused port 499 (repeated 490 times)\n");
    free(text);
    stderr_back();
}

static void
test_the_tick_writes_sums_that_are_due(void)
{
    stderr_is_pipe();
    log_open(LOG_TARGET_STDERR, LOG_DAEMON, LOG_LEVEL_INFO);
    int64_t start = clock_mono_ms();
    log_line(LOG_LEVEL_WARNING, "again");
    log_line(LOG_LEVEL_WARNING, "again");
    log_tick();
    char *text = pipe_text();
    bool slow = clock_mono_ms() - start >= 1000; // then the sum was due already
    CHECK(slow || strcmp(text, "warning: again\n") == 0);
    free(text);
    wait_ms(1050);
    log_tick();
    log_line(LOG_LEVEL_WARNING, "again");
    text = pipe_text();
    CHECK(slow || strcmp(text, "warning: again (repeated 1 time)\nwarning: again\n") == 0);
    free(text);
    stderr_back();
}

static void
test_a_lasting_storm_costs_ever_fewer_lines(void)
{
    stderr_is_pipe();
    log_open(LOG_TARGET_STDERR, LOG_DAEMON, LOG_LEVEL_INFO);
    // Lines come at 0, 1 and 3 seconds, and not before.
    static const int64_t due_ms[] = { 0, 1000, 3000 };
    int64_t start = clock_mono_ms(), patience = start + ENOUGH_MS;
    for (size_t lines = 0; lines < 3 && clock_mono_ms() < patience; usleep(10000)) {
        log_line(LOG_LEVEL_WARNING, "storm");
        char *text = pipe_text();
        for (size_t i = count_of(text, "\n"); i > 0; i--, lines++)
            CHECK(lines < 3 && clock_mono_ms() - start >= due_ms[lines]);
        CHECK(count_of(text, "repeated") == (lines > 1 && *text));
        free(text);
    }
    CHECK(clock_mono_ms() < patience);
    stderr_back();
}

static void
test_many_distinct_lines_lose_nothing(void)
{
    stderr_is_pipe();
    log_open(LOG_TARGET_STDERR, LOG_DAEMON, LOG_LEVEL_INFO);
    for (int i = 0; i < 500; i++)
        for (int j = 0; j <= i % 3; j++)
            log_line(LOG_LEVEL_INFO, "line %d", i);
    log_flush();
    char *text = pipe_text();
    for (int i = 0; i < 500; i++) {
        char line[30];
        snprintf(line, sizeof line, "info: line %d", i);
        CHECK(told(text, line) == (size_t)(i % 3 + 1));
    }
    CHECK(count_of(text, "\n") >= 500 + 333);
    free(text);
    stderr_back();
}

static void *
write_lines(void *arg)
{
    for (int i = 0; i < 200; i++)
        log_line(LOG_LEVEL_INFO, "thread %s line %d end", (const char *)arg, i);
    return NULL;
}

static void
test_lines_of_threads_stay_whole(void)
{
    static char names[][2] = { "a", "b", "c", "d" };
    pthread_t threads[4];
    stderr_is_pipe();
    log_open(LOG_TARGET_STDERR, LOG_DAEMON, LOG_LEVEL_INFO);
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, write_lines, names[i]);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    char *text = pipe_text(), *save = NULL;
    size_t lines = 0;
    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save), lines++)
        CHECK(strncmp(line, "info: thread ", 13) == 0 && strcmp(line + strlen(line) - 4, " end") == 0);
    CHECK(lines == 800);
    free(text);
    stderr_back();
}

static void
test_a_stuck_reader_stops_nobody_and_the_loss_is_counted(void)
{
    stderr_is_pipe();
    log_open(LOG_TARGET_STDERR, LOG_DAEMON, LOG_LEVEL_INFO);
    for (int i = 0; i < 10000; i++) // whoever waited for the reader would do so for ever
        log_line(LOG_LEVEL_INFO, "a line that nobody reads, and which is long enough to fill a pipe soon: %d", i);
    char *text = pipe_text();
    size_t written = count_of(text, "\n");
    CHECK(written > 100 && written < 10000);
    free(text);
    log_line(LOG_LEVEL_INFO, "read again");
    text = pipe_text();
    char expected[200];
    snprintf(expected, sizeof expected, "info: read again\nwarning: log: lost %zu lines, standard error was not read event=lines-lost lines=%zu\n",
             10000 - written, 10000 - written);
    CHECK_TEXT(text, expected);
    free(text);
    stderr_back();
}

static void
test_levels_have_names(void)
{
    CHECK(log_level_find("error") == LOG_LEVEL_ERROR && log_level_find("trace") == LOG_LEVEL_TRACE);
    CHECK(log_level_find("") == -1 && log_level_find("Error") == -1 && log_level_find("verbose") == -1);
    for (int i = LOG_LEVEL_ERROR; i <= LOG_LEVEL_TRACE; i++)
        CHECK(log_level_find(log_level_name((log_level_t)i)) == i);
}

int
main(void)
{
    real_stderr = dup(STDERR_FILENO);
    RUN(test_a_pipe_gets_plain_lines_of_the_wanted_levels);
    RUN(test_the_journal_gets_the_priority);
    RUN(test_the_journal_gets_fields_where_it_listens);
    RUN(test_a_journal_that_is_started_again_gets_the_next_line);
    RUN(test_a_full_journal_stops_nobody_and_the_loss_is_counted);
    RUN(test_a_file_gets_the_time);
    RUN(test_without_a_reader_nothing_goes_to_stderr);
    RUN(test_nobody_can_forge_a_line);
    RUN(test_a_long_line_is_cut);
    RUN(test_repeats_are_summed_up_for_each_line);
    RUN(test_of_lines_that_are_alike_ten_are_written_and_all_counted);
    RUN(test_the_tick_writes_sums_that_are_due);
    RUN(test_a_lasting_storm_costs_ever_fewer_lines);
    RUN(test_many_distinct_lines_lose_nothing);
    RUN(test_lines_of_threads_stay_whole);
    RUN(test_a_stuck_reader_stops_nobody_and_the_loss_is_counted);
    RUN(test_levels_have_names);
    rmdir(journal_folder);
    return test_done();
}
