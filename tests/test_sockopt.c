// SPDX-License-Identifier: MPL-2.0
#include "conf/pattern.h"
#include "conf/sockopt.h"
#include "conf/suggest.h"
#include "conf/units.h"
#include "test.h"

#include <inttypes.h>
#include <limits.h>

#include <zmq.h>

static bool
is_text(const sockopt_t *option)
{
    return option->kind == SOCKOPT_TEXT || option->kind == SOCKOPT_BYTES;
}

static void
check_set(void *ctx, const sockopt_t *option, int type, sockopt_value_t value)
{
    void *socket = zmq_socket(ctx, type);
    int now = 0;
    CHECK(socket);
    if (sockopt_set(option, socket, value) == -1) {
        printf("# %s on %s: %s\n", option->key, socket_type_name(type), zmq_strerror(zmq_errno()));
        test_ok = false;
    }
    zmq_setsockopt(socket, ZMQ_LINGER, &now, sizeof now);
    zmq_close(socket);
}

static void
libzmq_accepts_both_ends_of_every_range(void)
{
    void *ctx = zmq_ctx_new();
    char text[] = "X-a:b";
    for (unsigned i = 0; sockopt_at(i); i++) {
        const sockopt_t *option = sockopt_at(i);
        for (int type = ZMQ_PAIR; type <= ZMQ_STREAM && sockopt_works(option); type++) {
            if (!(option->sockets & ON(type)))
                continue;
            sockopt_value_t low = { .number = option->min }, high = { .number = option->max }, word = { .text = text };
            check_set(ctx, option, type, is_text(option) ? word : low);
            check_set(ctx, option, type, is_text(option) ? word : high);
        }
    }
    zmq_ctx_term(ctx);
}

static void
only_drafts_are_ever_missing(void)
{
    for (unsigned i = 0; sockopt_at(i); i++) {
        bool gssapi = strncmp(sockopt_at(i)->key, "gssapi_", 7) == 0 && !zmq_has("gssapi");
        if (!(sockopt_at(i)->flags & SOCKOPT_DRAFT) && !gssapi && !sockopt_works(sockopt_at(i))) {
            printf("# %s\n", sockopt_at(i)->key);
            test_ok = false;
        }
    }
}

static void
rows_are_sorted_and_whole(void)
{
    for (unsigned i = 0; sockopt_at(i); i++) {
        const sockopt_t *option = sockopt_at(i);
        CHECK(i == 0 || strcmp(sockopt_at(i - 1)->key, option->key) < 0);
        CHECK(sockopt_find(option->key) == option && option->sockets && option->min <= option->max);
        for (unsigned j = 0; j < i; j++)
            CHECK(sockopt_at(j)->option != option->option);
        CHECK(!sockopt_refusal(option->key));
    }
}

// What libzmq says of a fresh socket is what the table says, as far as it can be asked.
static void
initial_values_are_libzmqs(void)
{
    void *ctx = zmq_ctx_new();
    for (unsigned i = 0; sockopt_at(i); i++) {
        const sockopt_t *option = sockopt_at(i);
        if (is_text(option) || !sockopt_works(option))
            continue;
        void *socket = zmq_socket(ctx, __builtin_ctz(option->sockets));
        int64_t wide = 0;
        int narrow = 0;
        bool is_wide =
            option->kind == SOCKOPT_SIZE64 || option->kind == SOCKOPT_UINT64 || option->kind == SOCKOPT_INT64;
        size_t size = is_wide ? sizeof wide : sizeof narrow;
        int rc = zmq_getsockopt(socket, option->option, is_wide ? (void *)&wide : (void *)&narrow, &size);
        sockopt_value_t value;
        char reason[128];
        if (rc == 0 && sockopt_parse(option, option->initial, &value, reason, sizeof reason) == 0 &&
            value.number != (is_wide ? wide : narrow)) {
            printf("# %s: table %s, library %" PRId64 "\n", option->key, option->initial, is_wide ? wide : narrow);
            test_ok = false;
        }
        zmq_close(socket);
    }
    zmq_ctx_term(ctx);
}

static void
old_names_lead_to_new_ones(void)
{
    for (unsigned i = 0; sockopt_old_at(i); i++) {
        const sockopt_old_t *old = sockopt_old_at(i);
        CHECK(sockopt_old_find(old->old) == old && sockopt_find(old->key) &&
              sockopt_find(old->old) == sockopt_find(old->key));
        CHECK(!old->second || sockopt_find(old->second));
    }
    CHECK(!sockopt_find("ZMQ_LINGER") && !sockopt_find("") && !sockopt_old_find("sndhwm"));
}

static void
check_value(const char *key, const char *text, int64_t expected, const char *printed)
{
    const sockopt_t *option = sockopt_find(key);
    sockopt_value_t value, again;
    char reason[128];
    int rc = sockopt_parse(option, text, &value, reason, sizeof reason);
    if (rc == -1 || value.number != expected) {
        printf("# %s = %s: %s\n", key, text, rc ? reason : "another value");
        test_ok = false;
        return;
    }
    char *out = sockopt_print(option, value);
    CHECK_TEXT(out, printed);
    CHECK(sockopt_parse(option, out, &again, reason, sizeof reason) == 0 && again.number == value.number);
    free(out);
}

static void
values_are_read_and_printed_with_their_units(void)
{
    check_value("sndhwm", "1000", 1000, "1000");
    check_value("sndhwm", "0", 0, "0");
    check_value("sndhwm", "+5", 5, "5");
    check_value("tos", "0x1F", 31, "31");
    check_value("handshake_ivl", "500", 500, "500ms");
    check_value("handshake_ivl", "5000ms", 5000, "5s");
    check_value("handshake_ivl", "90s", 90000, "90s");
    check_value("handshake_ivl", "2m", 120000, "2m");
    check_value("handshake_ivl", "3h", 10800000, "3h");
    check_value("reconnect_ivl", "-1", -1, "-1");
    check_value("tcp_keepalive_idle", "60", 60, "1m");
    check_value("tcp_keepalive_idle", "60s", 60, "1m");
    check_value("tcp_keepalive_idle", "2000ms", 2, "2s");
    check_value("tcp_keepalive_idle", "-1", -1, "-1");
    check_value("maxmsgsize", "16M", 16 << 20, "16M");
    check_value("maxmsgsize", "4096", 4096, "4k");
    check_value("maxmsgsize", "1500", 1500, "1500");
    check_value("maxmsgsize", "3G", 3LL << 30, "3G");
    check_value("maxmsgsize", "-1", -1, "-1");
    check_value("immediate", "yes", 1, "yes");
    check_value("immediate", "OFF", 0, "no");
    check_value("tcp_keepalive", "on", 1, "yes");
    check_value("tcp_keepalive", "0", 0, "no");
    check_value("tcp_keepalive", "-1", -1, "-1");
}

static void
wrong_values_have_a_reason(void)
{
    static const char *const wrong[][2] = {
        { "sndhwm", "" },
        { "sndhwm", "ten" },
        { "sndhwm", "10k" },
        { "sndhwm", " 10" },
        { "sndhwm", "-1" },
        { "sndhwm", "2147483648" },
        { "sndhwm", "0x" },
        { "sndhwm", "--1" },
        { "sndhwm", "1e3" },
        { "handshake_ivl", "5 s" },
        { "handshake_ivl", "s" },
        { "handshake_ivl", "5S" },
        { "handshake_ivl", "597h" },
        { "handshake_ivl", "-1" },
        { "maxmsgsize", "16MB" },
        { "maxmsgsize", "9999999999G" },
        { "maxmsgsize", "-2" },
        { "rcvbuf", "3G" },
        { "immediate", "2" },
        { "immediate", "" },
        { "tcp_keepalive", "2" },
        { "tcp_keepalive_idle", "1500ms" },
        { "metadata", "x:y" },
        { "metadata", "X-x" },
        { "heartbeat_ttl", "2h" },
        { "sndhwm", "99999999999999999999999999" },
        { "handshake_ivl", "9223372036854775807h" },
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        sockopt_value_t value = { 0 };
        char reason[128] = "";
        if (sockopt_parse(sockopt_find(wrong[i][0]), wrong[i][1], &value, reason, sizeof reason) != -1 || !*reason) {
            printf("# %s = %s was taken\n", wrong[i][0], wrong[i][1]);
            test_ok = false;
        }
    }
}

static void
texts_have_a_length(void)
{
    char reason[128], long_text[300];
    sockopt_value_t value;
    memset(long_text, 'x', sizeof long_text);
    long_text[255] = '\0';
    CHECK(sockopt_parse(sockopt_find("routing_id"), long_text, &value, reason, sizeof reason) == 0);
    free(value.text);
    long_text[255] = 'x';
    long_text[256] = '\0';
    CHECK(sockopt_parse(sockopt_find("routing_id"), long_text, &value, reason, sizeof reason) == -1);
    CHECK_TEXT(reason, "256 bytes are too many, 1 to 255");
    CHECK(sockopt_parse(sockopt_find("subscribe"), "", &value, reason, sizeof reason) == 0);
    free(value.text);
}

static void
near_words_are_suggested_far_ones_not(void)
{
    CHECK(suggest_distance("sndhvm", "sndhwm") == 1 && suggest_distance("sndwhm", "sndhwm") == 1);
    CHECK(suggest_distance("", "abc") == 3 && suggest_distance("abc", "") == 3 && suggest_distance("", "") == 0);
    CHECK(suggest_distance("kitten", "sitting") == 3 && suggest_distance("ABC", "abc") == 0);
    char long_word[100];
    memset(long_word, 'a', sizeof long_word);
    long_word[99] = '\0';
    CHECK(suggest_distance(long_word, "a") == UINT_MAX);
    suggest_t suggest = suggest_for("querue");
    suggest_offer(&suggest, "pair");
    suggest_offer(&suggest, "queue");
    suggest_offer(&suggest, "queues");
    CHECK_TEXT(suggest.best, "queue");
    suggest = suggest_for("zzz");
    suggest_offer(&suggest, "queue");
    CHECK_TEXT(suggest.best, "");
}

static void
modes_are_octal(void)
{
    int64_t mode;
    CHECK(units_mode("0660", &mode) == 0 && mode == 0660);
    CHECK(units_mode("777", &mode) == 0 && mode == 0777);
    CHECK(units_mode("1777", &mode) == -1 && units_mode("068", &mode) == -1 && units_mode("", &mode) == -1 &&
          units_mode("-1", &mode) == -1);
}

int
main(void)
{
    RUN(rows_are_sorted_and_whole);
    RUN(libzmq_accepts_both_ends_of_every_range);
    RUN(only_drafts_are_ever_missing);
    RUN(initial_values_are_libzmqs);
    RUN(old_names_lead_to_new_ones);
    RUN(values_are_read_and_printed_with_their_units);
    RUN(wrong_values_have_a_reason);
    RUN(texts_have_a_length);
    RUN(near_words_are_suggested_far_ones_not);
    RUN(modes_are_octal);
    return test_done();
}
