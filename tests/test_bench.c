// SPDX-License-Identifier: MPL-2.0

#include "test.h"

#include "base/clock.h"
#include "base/mem.h"
#include "bench/board.h"
#include "bench/figures.h"
#include "bench/hist.h"
#include "bench/options.h"
#include "bench/pacer.h"
#include "bench/payload.h"
#include "bench/peer.h"
#include "bench/proc.h"
#include "bench/recorded.h"
#include "bench/stream.h"
#include "bench/through.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

static void
hist_bounds_are_at_most_a_sixtyfourth_above_the_value(void)
{
    for (uint64_t value = 0; value < UINT64_C(1) << 38; value += value / 97 + 1) {
        uint64_t upper = hist_upper(hist_index(value));
        CHECK(upper >= value);
        CHECK(upper - value <= value / 64);
        CHECK(hist_index(upper) == hist_index(value));
        CHECK(hist_index(upper + 1) == hist_index(value) + 1);
        if (!test_ok)
            return;
    }
}

static void
hist_takes_values_beyond_its_end(void)
{
    hist_t *hist = calloc(1, sizeof *hist);
    hist_add(hist, INT64_MAX);
    hist_add(hist, -5);
    CHECK(hist->count == 2);
    CHECK(hist_percentile(hist, 100) == (uint64_t)INT64_MAX);
    CHECK(hist_percentile(hist, 50) == 0);
    free(hist);
}

static void
hist_percentiles_match_sorted_values(void)
{
    hist_t *half = calloc(1, sizeof *half), *hist = calloc(1, sizeof *hist);
    CHECK(hist_percentile(hist, 50) == 0);
    for (int64_t i = 1; i <= 100000; i++)
        hist_add(i % 2 ? half : hist, i * 1000);
    hist_merge(hist, half);
    CHECK(hist->count == 100000);
    CHECK(hist->max == 100000000);
    CHECK(hist_mean(hist) > 50.0e6 && hist_mean(hist) < 50.1e6);
    static const double percents[] = { 1, 50, 90, 99, 99.9, 99.99 };
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++) {
        double exact = percents[i] * 1e6, got = (double)hist_percentile(hist, percents[i]);
        CHECK(got >= exact && got <= exact * 1.017);
    }
    CHECK(hist_percentile(hist, 100) == 100000000);
    free(half);
    free(hist);
}

static void
payload_comes_back_as_it_was_written(void)
{
    payload_t *payload = payload_new(200, 3, true, "news/");
    CHECK(payload_size(payload, 0) == 200 && payload_size(payload, 1) == 0 && payload_size(payload, 2) == 200);
    CHECK(payload_bytes(payload) == 400);
    unsigned char data[200];
    stamp_t stamp = { PAYLOAD_DATA, 65535, 4095, 0xfedcba98, INT64_C(0x123456789abcdef0) }, read;
    payload_write(payload, 0, &stamp, data);
    CHECK(memcmp(data, "news/\xff\xff", 7) == 0);
    CHECK(payload_read(payload, data, sizeof data, &read));
    CHECK(read.kind == stamp.kind && read.tag == stamp.tag && read.producer == stamp.producer);
    CHECK(read.number == stamp.number && read.time_ns == stamp.time_ns);
    CHECK(payload_check(payload, 0, &stamp, data, sizeof data));
    payload_write(payload, 2, &stamp, data);
    CHECK(payload_check(payload, 2, &stamp, data, sizeof data));
    CHECK(payload_check(payload, 1, &stamp, data, 0));
    unsigned char topic[16];
    CHECK(payload_topic(payload, 258, topic, sizeof topic) == 7 && memcmp(topic, "news/\x01\x02", 7) == 0);
    payload_destroy(&payload);
    CHECK(!payload);
}

static void
payload_notices_every_changed_byte(void)
{
    payload_t *payload = payload_new(64, 2, false, "");
    unsigned char data[64];
    stamp_t stamp = { PAYLOAD_DATA, 0, 1, 7, 0 }, read;
    for (unsigned part = 0; part < 2; part++)
        for (size_t i = 0; i < sizeof data; i++) {
            payload_write(payload, part, &stamp, data);
            data[i] ^= 1;
            bool good = payload_check(payload, part, &stamp, data, sizeof data);
            // Bytes of the stamp are what the others are judged by: a wrong one shows there, or as a
            // message that nobody sent.
            CHECK(good == (part == 0 && i < PAYLOAD_STAMP));
        }
    payload_write(payload, 0, &stamp, data);
    CHECK(!payload_check(payload, 1, &stamp, data, sizeof data));
    CHECK(!payload_check(payload, 2, &stamp, data, sizeof data));
    CHECK(!payload_check(payload, 0, &stamp, data, sizeof data - 1));
    CHECK(!payload_read(payload, data, sizeof data - 1, &read));
    stamp.number = 8;
    CHECK(!payload_check(payload, 0, &stamp, data, sizeof data));
    payload_destroy(&payload);
}

static void
board_notes_each_number_once(void)
{
    board_t *board = board_new(2, 2, true, false, 1000);
    CHECK(board != NULL);
    CHECK(!board_note(board, 0, 0, 999) && !board_note(board, 0, 1, 999));
    CHECK(board_note(board, 1, 0, 999)); // another consumer got it before
    CHECK(!board_note(board, 1, 0, 998));
    board_destroy(&board);

    board = board_new(2, 2, true, true, 1000);
    CHECK(!board_note(board, 0, 1, 5) && !board_note(board, 1, 1, 5)); // everybody gets it: no doubling
    CHECK(board_note(board, 1, 1, 5));
    board_destroy(&board);
    CHECK(!board);
}

static void
pacer_spreads_producers_and_keeps_the_rate(void)
{
    int64_t before = clock_mono_ns();
    pacer_t slow[2] = { pacer_new(1000, 2, 0), pacer_new(1000, 2, 1) };
    int64_t after = clock_mono_ns();
    CHECK(slow[0].interval_ns == 2e6 && slow[0].group == 1);
    slow[1].start_ns -= 1000000; // half an interval later
    for (int i = 0; i < 2; i++)
        CHECK(slow[i].start_ns >= before && slow[i].start_ns <= after);
    int64_t start = slow[0].start_ns;
    for (int i = 0; i < 1000; i++)
        pacer_next(&slow[0]);
    CHECK(pacer_due(&slow[0]) == start + 2000000000);

    pacer_t fast = pacer_new(1000000, 1, 0);
    CHECK(fast.group == 50);
    start = fast.start_ns;
    for (int i = 0; i < 1000000; i++)
        pacer_next(&fast);
    CHECK(pacer_due(&fast) == start + 1000000000);
}

static void
pacer_waits_until_due_but_no_longer_than_allowed(void)
{
    pacer_t pacer = pacer_new(100, 1, 0);
    CHECK(pacer_wait(&pacer, 50));
    pacer_next(&pacer);
    bool due = pacer_wait(&pacer, 1); // not yet, unless this took longer than it should
    CHECK(!due || clock_mono_ns() >= pacer_due(&pacer));
    CHECK(pacer_wait(&pacer, ENOUGH_MS));
    CHECK(clock_mono_ns() >= pacer_due(&pacer));
}

static void
topics_are_shared_out_without_remainder(void)
{
    bench_options_t options = { .topics = 7, .consumers = 3, .split_topics = true };
    for (uint64_t sent = 0; sent < 100; sent++) {
        uint64_t total = 0;
        for (size_t c = 0; c < 3; c++)
            total += stream_share(&options, c, sent);
        CHECK(total == sent);
    }
    CHECK(stream_share(&options, 0, 7) == 3); // topics 0, 3, 6
    options.split_topics = false;
    CHECK(stream_share(&options, 2, 7) == 7);
}

static void
quotas_add_up_to_the_messages(void)
{
    bench_options_t options = { .messages = 1003, .producers = 4 };
    CHECK(peer_quota(&options, 0) == 251 && peer_quota(&options, 2) == 251 && peer_quota(&options, 3) == 250);
}

static void
times_and_counts_take_units(void)
{
    CHECK(options_time_ms("2") == 2000 && options_time_ms("1.5s") == 1500 && options_time_ms("250ms") == 250);
    CHECK(options_time_ms("2m") == 120000 && options_time_ms("1h") == 3600000);
    CHECK(options_time_ms("") == -1 && options_time_ms("-1") == -1 && options_time_ms("3 s") == -1 && options_time_ms("nan") == -1);
    CHECK(options_count("0", 1000) == 0 && options_count("64k", 1024) == 65536 && options_count("2M", 1000) == 2000000);
    CHECK(options_count("", 1000) == -1 && options_count("12x", 1000) == -1 && options_count("1kk", 1000) == -1);
    CHECK(options_count("-4", 1000) == -1 && options_count("9223372036854775807k", 1000) == -1);
}

// Parse a command line of up to 15 words; what it says goes nowhere.
static int
parse(bench_options_t *options, const char *const *words)
{
    char *argv[16];
    int argc = 0;
    bool done;
    for (; words[argc]; argc++)
        argv[argc] = (char *)words[argc];
    argv[argc] = NULL;
    fflush(stderr);
    int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
    dup2(null, STDERR_FILENO);
    int rc = options_parse(options, argc, argv, &done);
    fflush(stderr);
    dup2(kept, STDERR_FILENO);
    close(kept);
    close(null);
    return rc;
}
#define PARSE(options, ...) parse(options, (const char *const[]){ "zbroker-bench", __VA_ARGS__, NULL })

static void
good_command_lines_are_understood(void)
{
    bench_options_t options;
    CHECK(PARSE(&options, "pushpull", "--direct") == 0);
    CHECK(options.size == 64 && options.warmup_ms == 500 && options.settle_ms == 1000 && options.rounds == 1 && !options.verify);
    CHECK(PARSE(&options, "dealer", "--against", "zmq_proxy", "-m", "10k", "-p", "2") == 0);
    CHECK(options.messages == 10000 && options.verify && options.rounds == 7 && options.outstanding == 64 && options.warmup_ms == 0);
    CHECK(PARSE(&options, "--to", "tcp://a:1", "--to", "tcp://a:2", "--from", "ipc://x", "pubsub", "-s", "1M") == 0);
    CHECK(options.to.count == 2 && options.size == 1048576);
    CHECK(PARSE(&options, "pair", "--direct", "-o", "4") == 0 && options.pattern->replies);
    CHECK(PARSE(&options, "pair", "--direct") == 0 && !options.pattern->replies);
    CHECK(PARSE(&options, "--serve", "rep", "--from", "tcp://a:1", "-w", "3") == 0 && options.workers == 3);
}

static void
senseless_command_lines_are_refused(void)
{
    bench_options_t options;
    CHECK(PARSE(&options, "--direct") == -1);
    CHECK(PARSE(&options, "pushpull") == -1);
    CHECK(PARSE(&options, "pushpull", "pubsub", "--direct") == -1);
    CHECK(PARSE(&options, "carrier-pigeon", "--direct") == -1);
    CHECK(PARSE(&options, "pushpull", "--direct", "--sise", "5") == -1);
    CHECK(PARSE(&options, "pushpull", "--direct", "-s", "15") == -1);
    CHECK(PARSE(&options, "pushpull", "--direct", "-p", "0") == -1);
    CHECK(PARSE(&options, "pushpull", "--direct", "--zbroker", "x") == -1);
    CHECK(PARSE(&options, "pushpull", "--to", "tcp://a:1") == -1);
    CHECK(PARSE(&options, "pushpull", "--direct", "--topics", "3") == -1);
    CHECK(PARSE(&options, "pushpull", "--direct", "--service", "rep") == -1);
    CHECK(PARSE(&options, "pushpull", "--direct", "--set", "a=b") == -1);
    CHECK(PARSE(&options, "pubsub", "--direct", "--topics", "2", "-n", "3", "--split-topics") == -1);
    CHECK(PARSE(&options, "pair", "--direct", "-p", "2") == -1);
    CHECK(PARSE(&options, "pushpull", "--direct", "--transport", "pigeon") == -1);
    CHECK(PARSE(&options, "reqrep", "--ack", "--zbroker", "x") == -1);
    CHECK(PARSE(&options, "pushpull", "--ack", "--direct") == -1);
    CHECK(PARSE(&options, "pushpull", "--ack", "--zbroker", "x", "-o", "0") == -1);
    CHECK(PARSE(&options, "--serve", "tea", "--from", "tcp://a:1") == -1);
    CHECK(PARSE(&options, "--serve", "proxy", "--to", "tcp://a:1", "--from", "tcp://a:2") == -1);
}

static const char dump[] = "[zbroker]\ncontrol = /run/x.sock\n"
                           "[route jobs]\ntype = streamer\nfrontend_bind = tcp://*:5555 ; the way in\r\n"
                           "frontend_bind = ipc:///run/a\nbackend_connect = tcp://far:1\nsndhwm = 5\n"
                           "[route jobs2]\ntype = queue\nfrontend_bind = tcp://[::]:1\nbackend_bind = tcp://0.0.0.0:2\n"
                           "[route free]\ntype = pair\nfrontend_bind = tcp://127.0.0.1:*\nbackend_bind = tcp://127.0.0.1:3\n"
                           "[route half]\nfrontend_bind = tcp://127.0.0.1:4\n"
                           "[route kept]\nfrontend_bind = tcp://127.0.0.1:5\nack_bind = tcp://127.0.0.1:6\nworker_ack_bind = tcp://127.0.0.1:7\n";

static void
endpoints_of_a_route_are_made_reachable(void)
{
    static through_t through;
    char error[256];
    CHECK(through_parse(&through, dump, "jobs", false, error) == 0);
    CHECK_TEXT(through.type, "streamer");
    CHECK_TEXT(through.control, "/run/x.sock");
    CHECK(through.tos == 2 && through.froms == 1);
    CHECK_TEXT(through.to[0], "tcp://127.0.0.1:5555");
    CHECK_TEXT(through.to[1], "ipc:///run/a");
    CHECK_TEXT(through.from[0], "@tcp://far:1");
    CHECK(through_parse(&through, dump, "jobs2", false, error) == 0);
    CHECK_TEXT(through.to[0], "tcp://[::1]:1");
    CHECK_TEXT(through.from[0], "tcp://127.0.0.1:2");
    CHECK(through_parse(&through, dump, "kept", true, error) == 0 && through.tos == 1 && through.froms == 1);
    CHECK_TEXT(through.to[0], "tcp://127.0.0.1:6");
    CHECK_TEXT(through.from[0], "tcp://127.0.0.1:7");
}

static void
routes_that_cannot_be_reached_say_why(void)
{
    static through_t through;
    char error[256];
    CHECK(through_parse(&through, dump, "job", false, error) == -1);
    CHECK_TEXT(error, "there is no route job");
    CHECK(through_parse(&through, dump, "free", false, error) == -1 && strstr(error, "free port"));
    CHECK(through_parse(&through, dump, "half", false, error) == -1);
    CHECK_TEXT(error, "route half has no backend endpoint");
    CHECK(through_parse(&through, dump, "half", true, error) == -1);
    CHECK_TEXT(error, "route half has no acknowledged frontend endpoint");
}

static void
processes_are_read_by_thread(void)
{
    static proc_t before, after, used;
    proc_read(getpid(), &before);
    CHECK(before.known && before.threads == 1 && before.rss_bytes > 100000);
    CHECK(before.thread[0].tid == getpid());
    for (clock_t end = clock() + CLOCKS_PER_SEC / 30; clock() < end;) // of the processor
        ;
    proc_read(getpid(), &after);
    proc_since(&before, &after, &used);
    CHECK(used.known && used.cpu_ns > 1000000 && used.cpu_ns < 2000000000);
    CHECK(used.thread[0].cpu_ns == used.cpu_ns);
    proc_read(0, &after);
    CHECK(!after.known);
}

static void
medians_ignore_what_is_unknown(void)
{
    CHECK(figures_median((double[]){ 3, -1, 1, 2 }, 4) == 2);
    CHECK(figures_median((double[]){ 4, 1, 3, 2 }, 4) == 2.5);
    CHECK(figures_median((double[]){ -1, -1 }, 2) == -1);
}

#define RECORDED(time, frames) "{\"seq\":1,\"time\":\"" time "\",\"side\":\"backend\",\"frames\":" frames "}"

static void
recorded_message_has_its_bytes_and_its_time(void)
{
    static const char line[] = RECORDED("1970-01-01T00:00:02.000345Z", "[\"a\\u0000\\u00e4\",{\"hex\":\"00ff\"},\"\"]");
    recorded_t message = { 0 };
    CHECK(recorded_parse(&message, line, strlen(line)) == RECORDED_MESSAGE);
    CHECK(message.wall_ns == 2000345000 && message.from_backend && message.count == 3);
    CHECK(message.bytes.size == 6 && memcmp(message.bytes.data, "a\0\xc3\xa4\0\xff", 6) == 0);
    CHECK(message.frames[1].at == 4 && message.frames[1].size == 2 && message.frames[2].size == 0);
    CHECK(recorded_parse(&message, "{\"missed\": 3}", 13) == RECORDED_COUNT);
    recorded_free(&message);
}

static void
recorded_line_that_is_no_message_is_wrong(void)
{
    static const char *const wrong[] = {
        "", "{", "[]", "7", "{\"missed\":\"3\"}", RECORDED("1970-01-01T00:00:02Z", "[]"),
        RECORDED("1970-01-01T00:00:02Z", "{}"), RECORDED("1970-01-01T00:00:02Z", "[1]"),
        RECORDED("1970-01-01T00:00:02Z", "[{\"hex\":\"0\"}]"), RECORDED("1970-01-01T00:00:02Z", "[{\"hex\":\"0g\"}]"),
        RECORDED("1970-01-01T00:00:02Z", "[{\"hex\":3}]"), RECORDED("1969-01-01T00:00:02Z", "[\"\"]"),
        RECORDED("9999-01-01T00:00:02Z", "[\"\"]"), RECORDED("1970-01-01T00:00:02", "[\"\"]"),
        RECORDED("1970-01-01T00:00:02.Z", "[\"\"]"), RECORDED("soon", "[\"\"]"),
    };
    recorded_t message = { 0 };
    for (size_t i = 0; i < COUNT(wrong); i++)
        CHECK(recorded_parse(&message, wrong[i], strlen(wrong[i])) == RECORDED_WRONG);
    recorded_free(&message);
}

int
main(void)
{
    RUN(hist_bounds_are_at_most_a_sixtyfourth_above_the_value);
    RUN(hist_takes_values_beyond_its_end);
    RUN(hist_percentiles_match_sorted_values);
    RUN(payload_comes_back_as_it_was_written);
    RUN(payload_notices_every_changed_byte);
    RUN(board_notes_each_number_once);
    RUN(pacer_spreads_producers_and_keeps_the_rate);
    RUN(pacer_waits_until_due_but_no_longer_than_allowed);
    RUN(topics_are_shared_out_without_remainder);
    RUN(quotas_add_up_to_the_messages);
    RUN(times_and_counts_take_units);
    RUN(good_command_lines_are_understood);
    RUN(senseless_command_lines_are_refused);
    RUN(endpoints_of_a_route_are_made_reachable);
    RUN(routes_that_cannot_be_reached_say_why);
    RUN(processes_are_read_by_thread);
    RUN(medians_ignore_what_is_unknown);
    RUN(recorded_message_has_its_bytes_and_its_time);
    RUN(recorded_line_that_is_no_message_is_wrong);
    return test_done();
}
