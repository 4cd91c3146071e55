// SPDX-License-Identifier: MPL-2.0
#include "guard/users.h"

#include "base/clock.h"
#include "base/mem.h"
#include "guard/passwords.h"

#include "test.h"

#include <pthread.h>
#include <sodium.h>
#include <time.h>

#define HASH "$argon2id$v=19$m=65536,t=2,p=1$3qc1XAkw6nbsQsizcHGujw$9UUcr6mQ5//zKTAxRrnCo6UOTzc66H7+Fh9D8EV2A2w"

static users_t *
parse(const char *text, diag_t *diag)
{
    return users_parse("users", text, strlen(text), diag);
}

static void
names_are_found_and_only_those(void)
{
    diag_t *diag = diag_new();
    users_t *users = parse("# comment\n\nbob:" HASH "\nalice:" HASH "\r\nal:" HASH, diag);
    CHECK(users != NULL && users_count(users) == 3);
    CHECK(users_hash(users, "alice", 5) && strcmp(users_hash(users, "alice", 5), HASH) == 0);
    CHECK(users_hash(users, "al", 2) != NULL);
    CHECK(users_hash(users, "alic", 4) == NULL);
    CHECK(users_hash(users, "alicex", 6) == NULL);
    CHECK(users_hash(users, "alice\0x", 7) == NULL);
    CHECK(users_hash(users, "", 0) == NULL);
    users_free(&users);
    CHECK((users = parse("", diag)) != NULL && users_count(users) == 0);
    CHECK(users_hash(users, "alice", 5) == NULL);
    users_free(&users);
    diag_destroy(&diag);
}

static void
every_bad_line_is_reported(void)
{
    diag_t *diag = diag_new();
    diag_level_t level;
    CHECK(parse("alice\nbob:password\n:" HASH "\ncarol:$argon2id$v=19$m=4194304,t=2,p=1$3qc1XAkw6nbsQsizcHGujw$9UUcr6mQ5//zKTAxRrnCo6\n"
                "dave:" HASH "\ndave:" HASH "\n", diag) == NULL);
    CHECK(diag_errors(diag) == 5);
    CHECK_TEXT(diag_text(diag, 0, &level), "users:1:1: error: not NAME:HASH, as zbroker-keygen(1) writes it");
    CHECK_TEXT(diag_text(diag, 1, &level), "users:2:5: error: not a password hash: make one with zbroker-keygen password");
    CHECK_TEXT(diag_text(diag, 2, &level), "users:3:1: error: a name is missing");
    CHECK_TEXT(diag_text(diag, 4, &level), "users:6:1: error: user dave is there twice, first in line 5");
    diag_destroy(&diag);
}

static void
a_hash_that_costs_too_little_is_warned_of(void)
{
    static const char rest[] = ",p=1$3qc1XAkw6nbsQsizcHGujw$9UUcr6mQ5//zKTAxRrnCo6UOTzc66H7+Fh9D8EV2A2w";
    static const char *const costs[] = { "m=8,t=1", "m=65535,t=2", "m=65536,t=1", "m=65536,t=2", "m=262144,t=3" };
    for (size_t i = 0; i < sizeof costs / sizeof *costs; i++) {
        diag_t *diag = diag_new();
        char *line = xasprintf("bob:$argon2id$v=19$%s%s", costs[i], rest);
        users_t *users = parse(line, diag);
        CHECK(users != NULL && diag_warnings(diag) == (i < 3));
        if (i < 3)
            CHECK_TEXT(diag_text(diag, 0, NULL), "users:1:5: warning: user bob: a hash that is quickly guessed through: make it anew "
                                                 "with zbroker-keygen password");
        users_free(&users);
        free(line);
        diag_destroy(&diag);
    }
}

static void
a_line_we_make_is_a_line_we_read(void)
{
    diag_t *diag = diag_new();
    char *line = users_line("alice", "wonderland");
    users_t *users = parse(line, diag);
    CHECK(users != NULL);
    if (users)
        CHECK(crypto_pwhash_str_verify(users_hash(users, "alice", 5), "wonderland", 10) == 0);
    users_free(&users);
    free(line);
    diag_destroy(&diag);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told_more = PTHREAD_COND_INITIALIZER;
static int results[300], result_count, forgotten;

// A ticket, negative when wrong.
static void
told(void *mine, password_result_t *result)
{
    pthread_mutex_lock(&lock);
    if (result) {
        results[result_count++] = result->right ? *(int *)mine : -*(int *)mine;
        free(result->hash);
    } else {
        forgotten++;
    }
    pthread_cond_signal(&told_more);
    pthread_mutex_unlock(&lock);
    free(mine);
}

// The result that comes next; 0: none came.
static int
next_result(void)
{
    static int taken;
    struct timespec end;
    clock_gettime(CLOCK_REALTIME, &end);
    end.tv_sec += ENOUGH_MS / 1000;
    pthread_mutex_lock(&lock);
    while (taken == result_count && pthread_cond_timedwait(&told_more, &lock, &end) == 0) { }
    int result = taken < result_count ? results[taken++] : 0;
    pthread_mutex_unlock(&lock);
    return result;
}

static int *
ticket(int number)
{
    int *made = xcalloc(1, sizeof *made);
    *made = number;
    return made;
}

static void
passwords_are_checked_in_order_and_remembered(void)
{
    passwords_t *passwords = passwords_new();
    char *line = users_line("a", "right");
    const char *hash = strchr(line, ':') + 1;
    CHECK(passwords_ask(passwords, ticket(1), 1, hash, "right", 5, told) == PASSWORD_QUEUED);
    CHECK(passwords_ask(passwords, ticket(2), 1, hash, "wrong", 5, told) == PASSWORD_QUEUED);
    CHECK(passwords_ask(passwords, ticket(3), 1, NULL, "right", 5, told) == PASSWORD_QUEUED);
    CHECK(next_result() == 1);
    CHECK(next_result() == -2);
    CHECK(next_result() == -3);
    CHECK(passwords_ask(passwords, NULL, 1, hash, "right", 5, told) == PASSWORD_RIGHT);
    int *again = ticket(4);
    CHECK(passwords_ask(passwords, again, 1, hash, "wrong", 5, told) == PASSWORD_QUEUED);
    CHECK(next_result() == -4);
    passwords_destroy(&passwords);
    free(line);
}

static void
an_origin_has_only_so_many_tries(void)
{
    passwords_t *passwords = passwords_new();
    int queued = 0, limited = 0;
    for (int i = 0; i < 40; i++) {
        int *mine = ticket(i + 1);
        password_answer_t answer = passwords_ask(passwords, mine, 1, NULL, "x", 1, told);
        queued += answer == PASSWORD_QUEUED;
        limited += answer == PASSWORD_LIMITED;
        if (answer != PASSWORD_QUEUED)
            free(mine);
    }
    CHECK(queued == 20 && limited == 20);
    int *other = ticket(99);
    CHECK(passwords_ask(passwords, other, 2, NULL, "x", 1, told) == PASSWORD_QUEUED);
    passwords_destroy(&passwords);
}

static void
who_has_tried_least_goes_first(void)
{
    enum { GUESSES = 10, FRIEND = 99 };
    passwords_t *passwords = passwords_new();
    char *line = users_line("a", "right");
    const char *hash = strchr(line, ':') + 1;
    for (int i = 0; i < GUESSES; i++)
        CHECK(passwords_ask(passwords, ticket(i + 1), 1, hash, "wrong", 5, told) == PASSWORD_QUEUED);
    CHECK(passwords_ask(passwords, ticket(FRIEND), 2, hash, "right", 5, told) == PASSWORD_QUEUED);
    int last = 0;
    for (int i = 0; i <= GUESSES; i++)
        last = next_result();
    CHECK(last == -GUESSES);
    passwords_destroy(&passwords);
    free(line);
}

static void
the_queue_is_bounded(void)
{
    passwords_t *passwords = passwords_new();
    int queued = 0, busy = 0;
    for (int i = 0; i < 200; i++) {
        int *mine = ticket(i + 1);
        password_answer_t answer = passwords_ask(passwords, mine, (uint64_t)i, NULL, "x", 1, told);
        queued += answer == PASSWORD_QUEUED;
        busy += answer == PASSWORD_BUSY;
        if (answer != PASSWORD_QUEUED)
            free(mine);
    }
    CHECK(queued == 64);
    CHECK(busy > 100);
    passwords_destroy(&passwords);
    CHECK(forgotten >= 60); // each is told of, checked or not
}

int
main(void)
{
    if (sodium_init() == -1)
        return EXIT_FAILURE;
    RUN(names_are_found_and_only_those);
    RUN(every_bad_line_is_reported);
    RUN(a_hash_that_costs_too_little_is_warned_of);
    RUN(a_line_we_make_is_a_line_we_read);
    RUN(passwords_are_checked_in_order_and_remembered);
    RUN(an_origin_has_only_so_many_tries);
    RUN(who_has_tried_least_goes_first);
    RUN(the_queue_is_bounded);
    return test_done();
}
