// SPDX-License-Identifier: MPL-2.0
// The guard, asked directly: who comes in, what they may do, and who may stay after a reload.
#include "base/bell.h"
#include "base/mem.h"
#include "conf/load.h"
#include "guard/cert.h"
#include "guard/guard.h"
#include "guard/users.h"

#include "files.h"
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

static char folder[] = "/tmp/zb-admission-XXXXXX";

// --- files ------------------------------------------------------------------------------

static char *
path_of(const char *name)
{
    return xasprintf("%s/%s", folder, name);
}

static void
remove_file(const char *name)
{
    char *path = path_of(name);
    unlink(path);
    free(path);
}

// Names are passwords, too, but for PASSWORD.
static char *alice, *bob, *new_alice;

static void
write_users(const char *first, const char *second)
{
    char *text = xasprintf("%s\n%s\n", first, second);
    free(write_file(folder, "users", 0600, text));
    free(text);
}

static cert_t
write_cert(const char *name, bool secret)
{
    cert_t cert = { .has_public = true, .has_secret = true };
    text_t text = { 0 };
    crypto_box_keypair(cert.public_key, cert.secret_key);
    zmq_z85_encode(cert.public_text, cert.public_key, CERT_KEY_SIZE);
    zmq_z85_encode(cert.secret_text, cert.secret_key, CERT_KEY_SIZE);
    cert_print(&cert, secret, NULL, 0, &text);
    free(write_file(folder, name, 0600, text.data));
    text_free(&text);
    return cert;
}

static cert_t carol, dora, server, client, peer;

// --- a guard ----------------------------------------------------------------------------

typedef struct {
    void *ctx;
    guard_t *guard;
    conf_t *conf;
    counters_t counters;
    const admission_t *ask;
    int bell;
} house_t;

static void
load(house_t *self, const char *text)
{
    diag_t *diag = diag_new();
    conf_t *conf = conf_load_text("test.ini", text, strlen(text), diag);
    guard_route_t route = { conf ? conf->routes[0] : NULL, &self->counters };
    if (!conf || guard_load(self->guard, &route, 1, diag) == -1) {
        diag_print(diag, stdout);
        abort();
    }
    conf_destroy(&self->conf);
    self->conf = conf;
    diag_destroy(&diag);
}

static void
reload(house_t *self, const char *lines)
{
    char *text = xasprintf("[route r]\ntype = forwarder\nfrontend_bind = tcp://127.0.0.1:*\n"
                           "backend_bind = tcp://127.0.0.1:*\n%s\n",
                           lines);
    load(self, text);
    free(text);
}

static void
start(house_t *self)
{
    *self = (house_t){ .ctx = zmq_ctx_new(), .bell = bell_new() };
    self->guard = guard_new(self->ctx, NULL);
    self->ask = guard_admission(self->guard);
}

static void
open_house(house_t *self, const char *lines)
{
    start(self);
    reload(self, lines);
}

static void
close_house(house_t *self)
{
    guard_destroy(&self->guard);
    conf_destroy(&self->conf);
    zmq_ctx_term(self->ctx);
    close(self->bell);
}

// A file of the folder as a line of the configuration: the caller frees.
static char *line(const char *format, ...) __attribute__((format(printf, 1, 2)));

static char *
line(const char *format, ...)
{
    va_list args;
    text_t text = { 0 };
    va_start(args, format);
    text_vadd(&text, format, args);
    va_end(args);
    return text_take(&text);
}

static char *
plain_lines(const char *more)
{
    return line("backend_security = plain\nbackend_users = %s/users\n%s", folder, more);
}

static char *
curve_lines(const char *more)
{
    return line("backend_security = curve\nbackend_server_cert = %s/server\nbackend_client_certs = %s/clients\n%s",
                folder, folder, more);
}

static admission_claim_t
claim_plain(const char *name, const char *password)
{
    return (admission_claim_t){ .route = "r",
                                .side = SIDE_BACKEND,
                                .address = "127.0.0.1",
                                .mechanism = SECURITY_PLAIN,
                                .name = name,
                                .name_size = strlen(name),
                                .password = password,
                                .password_size = strlen(password) };
}

static admission_claim_t
claim_curve(const cert_t *cert)
{
    return (admission_claim_t){
        .route = "r", .side = SIDE_BACKEND, .address = "127.0.0.1", .mechanism = SECURITY_CURVE, .key = cert->public_key
    };
}

static admission_claim_t
claim_nothing(const char *address)
{
    return (admission_claim_t){ .route = "r", .side = SIDE_BACKEND, .address = address, .mechanism = SECURITY_NONE };
}

static bool
is_rung(int bell, int timeout_ms)
{
    struct pollfd item = { .fd = bell, .events = POLLIN };
    return poll(&item, 1, timeout_ms) == 1;
}

static void
wait_for_answer(house_t *self, admission_ticket_t **ticket, admission_verdict_t *verdict)
{
    while (!self->ask->answer(self->ask->arg, ticket, verdict)) {
        if (!is_rung(self->bell, ENOUGH_MS))
            return;
        bell_hear(self->bell);
    }
}

// To the end, also if it takes a password's time. WAITED may be NULL.
static admission_verdict_t
judge(house_t *self, admission_claim_t claim, bool *waited)
{
    admission_verdict_t verdict;
    admission_ticket_t *ticket;
    self->ask->claim(self->ask->arg, &claim, self->bell, &ticket, &verdict);
    if (waited)
        *waited = verdict.status == ADMISSION_WAITS;
    CHECK((verdict.status == ADMISSION_WAITS) == (ticket != NULL));
    if (ticket)
        wait_for_answer(self, &ticket, &verdict);
    CHECK(!ticket);
    return verdict;
}

static void
check_verdict(admission_verdict_t verdict, admission_status_t status, const char *reason_or_user)
{
    CHECK(verdict.status == status);
    CHECK_TEXT(status == ADMISSION_WELCOME ? verdict.user : verdict.reason, reason_or_user);
    CHECK(status == ADMISSION_WELCOME || !*verdict.user);
}

static uint64_t
logins(const house_t *self)
{
    return counter_get(&self->counters.sides[SIDE_BACKEND].auth[AUTH_SUCCESS]);
}

static uint64_t
refusals(const house_t *self)
{
    return counter_get(&self->counters.sides[SIDE_BACKEND].auth[AUTH_FAILURE]);
}

// --- who comes in -----------------------------------------------------------------------

static void
an_open_side_takes_everybody_who_claims_nothing(void)
{
    house_t house;
    open_house(&house, "");
    check_verdict(judge(&house, claim_nothing("192.0.2.1"), NULL), ADMISSION_WELCOME, "");
    check_verdict(judge(&house, claim_nothing(""), NULL), ADMISSION_WELCOME, "");
    CHECK(house.ask->address(house.ask->arg, "r", SIDE_BACKEND, "192.0.2.1") == ADMISSION_WELCOME);
    CHECK(logins(&house) == 2 && refusals(&house) == 0);
    check_verdict(judge(&house, claim_plain("alice", "alice"), NULL), ADMISSION_REFUSED, "mechanism");
    check_verdict(judge(&house, claim_curve(&carol), NULL), ADMISSION_REFUSED, "mechanism");
    CHECK(logins(&house) == 2 && refusals(&house) == 2);
    close_house(&house);
}

static void
a_side_that_is_not_known_takes_nobody(void)
{
    house_t house;
    open_house(&house, "");
    admission_claim_t claim = claim_nothing("192.0.2.1");
    claim.route = "another";
    check_verdict(judge(&house, claim, NULL), ADMISSION_LATER, "no-such-side");
    claim.route = "r";
    claim.side = SIDE_CAPTURE;
    check_verdict(judge(&house, claim, NULL), ADMISSION_LATER, "no-such-side");
    CHECK(house.ask->address(house.ask->arg, "another", SIDE_BACKEND, "192.0.2.1") != ADMISSION_WELCOME);
    close_house(&house);
}

static void
addresses_are_judged_before_anything_is_said(void)
{
    house_t house;
    open_house(&house, "backend_deny = 192.0.2.0/24, 2001:db8::/32");
    const admission_t *ask = house.ask;
    CHECK(ask->address(ask->arg, "r", SIDE_BACKEND, "192.0.2.7") == ADMISSION_REFUSED);
    CHECK(ask->address(ask->arg, "r", SIDE_BACKEND, "2001:db8::5") == ADMISSION_REFUSED);
    CHECK(ask->address(ask->arg, "r", SIDE_FRONTEND, "192.0.2.7") == ADMISSION_WELCOME);
    CHECK(ask->address(ask->arg, "r", SIDE_BACKEND, "198.51.100.1") == ADMISSION_WELCOME);
    CHECK(ask->address(ask->arg, "r", SIDE_BACKEND, "") == ADMISSION_WELCOME);
    CHECK(refusals(&house) == 2 && logins(&house) == 0);
    check_verdict(judge(&house, claim_nothing("192.0.2.7"), NULL), ADMISSION_REFUSED, "address");
    check_verdict(judge(&house, claim_nothing("198.51.100.1"), NULL), ADMISSION_WELCOME, "");
    check_verdict(judge(&house, claim_nothing(""), NULL), ADMISSION_WELCOME, "");
    close_house(&house);
}

static void
a_key_is_known_or_refused(void)
{
    house_t house;
    char *lines = curve_lines("");
    open_house(&house, lines);
    check_verdict(judge(&house, claim_curve(&carol), NULL), ADMISSION_WELCOME, "carol");
    check_verdict(judge(&house, claim_curve(&server), NULL), ADMISSION_REFUSED, "unknown-key");
    check_verdict(judge(&house, claim_nothing("127.0.0.1"), NULL), ADMISSION_REFUSED, "mechanism");
    check_verdict(judge(&house, claim_plain("carol", ""), NULL), ADMISSION_REFUSED, "mechanism");
    admission_claim_t unproven = claim_curve(&carol);
    unproven.key = NULL;
    check_verdict(judge(&house, unproven, NULL), ADMISSION_REFUSED, "mechanism");
    CHECK(logins(&house) == 1 && refusals(&house) == 4);
    close_house(&house);
    free(lines);
}

// --- passwords --------------------------------------------------------------------------

static void
a_password_is_checked_aside_and_then_remembered(void)
{
    house_t house;
    bool waited;
    char *lines = plain_lines("");
    open_house(&house, lines);
    check_verdict(judge(&house, claim_plain("alice", "alice"), &waited), ADMISSION_WELCOME, "alice");
    CHECK(waited);
    admission_verdict_t again = judge(&house, claim_plain("alice", "alice"), &waited);
    check_verdict(again, ADMISSION_WELCOME, "alice");
    CHECK(!waited && again.proof != 0);
    check_verdict(judge(&house, claim_plain("alice", "bob"), &waited), ADMISSION_REFUSED, "bad-password");
    CHECK(waited);
    check_verdict(judge(&house, claim_plain("mallory", "alice"), &waited), ADMISSION_REFUSED, "unknown-user");
    CHECK(waited);
    check_verdict(judge(&house, claim_plain("", ""), NULL), ADMISSION_REFUSED, "unknown-user");
    CHECK(logins(&house) == 2 && refusals(&house) == 3);
    close_house(&house);
    free(lines);
}

static void
who_has_gone_is_not_told(void)
{
    house_t house;
    char *lines = plain_lines("");
    admission_ticket_t *gone, *ticket;
    admission_verdict_t verdict;
    int other_bell = bell_new();
    open_house(&house, lines);
    admission_claim_t first = claim_plain("alice", "wrong"), second = claim_plain("bob", "bob");
    house.ask->claim(house.ask->arg, &first, other_bell, &gone, &verdict);
    house.ask->forget(house.ask->arg, &gone);
    CHECK(!gone);
    house.ask->forget(house.ask->arg, &gone);
    house.ask->claim(house.ask->arg, &second, house.bell, &ticket, &verdict);
    CHECK(verdict.status == ADMISSION_WAITS);
    wait_for_answer(&house, &ticket, &verdict); // they are checked one after the other
    check_verdict(verdict, ADMISSION_WELCOME, "bob");
    CHECK(!is_rung(other_bell, 0) && refusals(&house) == 0);
    house.ask->claim(house.ask->arg, &first, other_bell, &gone, &verdict);
    CHECK(is_rung(other_bell, ENOUGH_MS));
    house.ask->forget(house.ask->arg, &gone); // nobody has fetched it
    house.ask->claim(house.ask->arg, &first, other_bell, &gone, &verdict);
    house.ask->forget(house.ask->arg, &gone); // and this one the guard may not get round to
    close_house(&house);
    close(other_bell);
    free(lines);
}

static void
what_was_in_force_when_it_was_asked_does_not_count(void)
{
    house_t house;
    char *lines = plain_lines(""), *closed = plain_lines("backend_deny = 127.0.0.0/8");
    admission_ticket_t *ticket;
    admission_verdict_t verdict;
    admission_claim_t claim = claim_plain("alice", "alice");
    open_house(&house, lines);
    house.ask->claim(house.ask->arg, &claim, house.bell, &ticket, &verdict);
    write_users(new_alice, bob);
    reload(&house, lines);
    wait_for_answer(&house, &ticket, &verdict);
    check_verdict(verdict, ADMISSION_REFUSED, "bad-password");
    write_users(alice, bob);
    reload(&house, lines);
    claim = claim_plain("bob", "bob");
    house.ask->claim(house.ask->arg, &claim, house.bell, &ticket, &verdict);
    reload(&house, closed);
    wait_for_answer(&house, &ticket, &verdict);
    check_verdict(verdict, ADMISSION_REFUSED, "address");
    close_house(&house);
    free(closed);
    free(lines);
}

static void
an_address_has_only_so_many_tries(void)
{
    house_t house;
    char *lines = plain_lines("");
    admission_ticket_t *tickets[100];
    admission_verdict_t verdict;
    size_t count = 0;
    admission_claim_t claim = claim_plain("alice", "wrong");
    open_house(&house, lines);
    do
        house.ask->claim(house.ask->arg, &claim, house.bell, &tickets[count], &verdict);
    while (verdict.status == ADMISSION_WAITS && ++count < COUNT(tickets));
    check_verdict(verdict, ADMISSION_LATER, "too-many-tries");
    CHECK(count >= 20);
    while (count > 0)
        house.ask->forget(house.ask->arg, &tickets[--count]);
    close_house(&house);
    free(lines);
}

// --- rights -----------------------------------------------------------------------------

static admission_login_t
login_at(side_t side, const char *user)
{
    return (admission_login_t){
        .route = "r", .side = side, .address = "127.0.0.1", .mechanism = SECURITY_NONE, .user = user, .client = ""
    };
}

static bool
may(const house_t *self, const admission_rights_t *rights, admission_act_t act, const char *topic)
{
    return self->ask->may(rights, act, topic, strlen(topic));
}

static void
rights_are_those_of_user_and_side(void)
{
    house_t house;
    free(write_file(folder, "acl", 0600,
                    "topic read open/#\nuser alice\ntopic read prices/#\ntopic write orders/alice\n"));
    char *lines = line("ingress_bind = tcp://127.0.0.1:*\nsecurity = plain\nusers = %s/users\nacl = %s/acl\n", folder,
                       folder);
    open_house(&house, lines);
    static const side_t sides[] = { SIDE_FRONTEND, SIDE_BACKEND, SIDE_INGRESS };
    for (size_t i = 0; i < COUNT(sides); i++) {
        admission_login_t login = login_at(sides[i], "alice"), stranger = login_at(sides[i], "mallory");
        admission_rights_t *rights = house.ask->rights(house.ask->arg, &login);
        CHECK(rights && may(&house, rights, ADMISSION_READ, "prices/EUR") &&
              !may(&house, rights, ADMISSION_READ, "orders/alice"));
        CHECK(may(&house, rights, ADMISSION_PUBLISH, "orders/alice") &&
              !may(&house, rights, ADMISSION_PUBLISH, "prices/EUR"));
        CHECK(!may(&house, rights, ADMISSION_READ, "open/all") && !may(&house, rights, ADMISSION_READ, ""));
        house.ask->rights_free(&rights);
        rights = house.ask->rights(house.ask->arg, &stranger);
        CHECK(rights && !may(&house, rights, ADMISSION_READ, "prices/EUR"));
        house.ask->rights_free(&rights);
        house.ask->rights_free(&rights);
    }
    close_house(&house);
    free(lines);
}

static void
without_an_acl_everything_is_allowed_and_without_a_side_nothing(void)
{
    house_t house;
    open_house(&house, "capture_bind = tcp://127.0.0.1:*");
    admission_login_t login = login_at(SIDE_BACKEND, "");
    admission_rights_t *rights = house.ask->rights(house.ask->arg, &login);
    CHECK(!rights && may(&house, rights, ADMISSION_READ, "a") && may(&house, rights, ADMISSION_PUBLISH, "a"));
    login.side = SIDE_CAPTURE;
    rights = house.ask->rights(house.ask->arg, &login);
    CHECK(!rights);
    login.route = "another";
    rights = house.ask->rights(house.ask->arg, &login);
    CHECK(rights && !may(&house, rights, ADMISSION_READ, "a") && !may(&house, rights, ADMISSION_PUBLISH, "a"));
    house.ask->rights_free(&rights);
    close_house(&house);
}

// --- who may stay -----------------------------------------------------------------------

// A connection that was let in, and the generation in which it was last judged.
typedef struct {
    admission_login_t login;
    char user[256];
    admission_rights_t *rights;
    uint64_t generation;
} guest_t;

static void
let_in(house_t *self, guest_t *guest, admission_claim_t claim)
{
    admission_verdict_t verdict = judge(self, claim, NULL);
    CHECK(verdict.status == ADMISSION_WELCOME);
    snprintf(guest->user, sizeof guest->user, "%s", verdict.user);
    guest->login = (admission_login_t){ .route = claim.route,
                                        .side = claim.side,
                                        .address = claim.address,
                                        .mechanism = claim.mechanism,
                                        .key = claim.key,
                                        .user = guest->user,
                                        .proof = verdict.proof,
                                        .client = "" };
    guest->rights = self->ask->rights(self->ask->arg, &guest->login);
    guest->generation = self->ask->generation(self->ask->arg);
}

// "stays", "changed", or why it goes.
static const char *
after_reload(house_t *self, guest_t *guest)
{
    const char *reason;
    uint64_t generation = self->ask->generation(self->ask->arg);
    CHECK(generation != guest->generation);
    guest->generation = generation;
    admission_review_t review = self->ask->review(self->ask->arg, &guest->login, &guest->rights, &reason);
    return review == ADMISSION_STAYS ? "stays" : review == ADMISSION_STAYS_CHANGED ? "changed" : reason;
}

static void
see_out(house_t *self, guest_t *guest)
{
    self->ask->rights_free(&guest->rights);
}

static void
who_may_stay_stays(void)
{
    house_t house;
    guest_t here, named, keyed;
    char *plain = plain_lines(""), *curve = curve_lines("");
    open_house(&house, "");
    let_in(&house, &here, claim_nothing("192.0.2.1"));
    reload(&house, "backend_deny = 192.0.2.2");
    CHECK_TEXT(after_reload(&house, &here), "stays");
    reload(&house, plain);
    CHECK_TEXT(after_reload(&house, &here), "mechanism");
    let_in(&house, &named, claim_plain("alice", "alice"));
    write_users(alice, bob);
    reload(&house, plain);
    CHECK_TEXT(after_reload(&house, &named), "stays");
    reload(&house, curve);
    let_in(&house, &keyed, claim_curve(&carol));
    reload(&house, curve);
    CHECK_TEXT(after_reload(&house, &keyed), "stays");
    close_house(&house);
    free(curve);
    free(plain);
}

static void
who_would_not_be_let_in_any_more_goes(void)
{
    house_t house;
    guest_t first, second, keyed;
    char *plain = plain_lines(""), *curve = curve_lines(""), *closed = plain_lines("backend_deny = 127.0.0.1");
    open_house(&house, plain);
    let_in(&house, &first, claim_plain("alice", "alice"));
    let_in(&house, &second, claim_plain("bob", "bob"));
    write_users(new_alice, "# nobody else");
    reload(&house, plain);
    CHECK_TEXT(after_reload(&house, &first), "another-password");
    CHECK_TEXT(after_reload(&house, &second), "unknown-user");
    write_users(alice, bob);
    reload(&house, closed);
    CHECK_TEXT(after_reload(&house, &first), "address");
    reload(&house, curve);
    let_in(&house, &keyed, claim_curve(&dora));
    remove_file("clients/dora");
    reload(&house, curve);
    CHECK_TEXT(after_reload(&house, &keyed), "unknown-key");
    CHECK(logins(&house) == 3 && refusals(&house) == 0); // a review is no login
    close_house(&house);
    free(closed);
    free(curve);
    free(plain);
}

static void
new_rights_reach_who_is_there(void)
{
    house_t house;
    guest_t guest;
    char *acl = line("backend_acl = %s/acl\n", folder), *lines = plain_lines(acl), *open = plain_lines("");
    free(write_file(folder, "acl", 0600, "user alice\ntopic read a/#\n"));
    open_house(&house, lines);
    let_in(&house, &guest, claim_plain("alice", "alice"));
    CHECK(may(&house, guest.rights, ADMISSION_READ, "a/1"));
    reload(&house, lines);
    CHECK_TEXT(after_reload(&house, &guest), "stays");
    free(write_file(folder, "acl", 0600, "user alice\ntopic read bb/#\n"));
    reload(&house, lines);
    CHECK_TEXT(after_reload(&house, &guest), "changed");
    CHECK(!may(&house, guest.rights, ADMISSION_READ, "a/1") && may(&house, guest.rights, ADMISSION_READ, "bb/1"));
    reload(&house, open);
    CHECK_TEXT(after_reload(&house, &guest), "changed");
    CHECK(!guest.rights);
    reload(&house, open);
    CHECK_TEXT(after_reload(&house, &guest), "stays");
    reload(&house, lines);
    CHECK_TEXT(after_reload(&house, &guest), "changed");
    CHECK(guest.rights && !may(&house, guest.rights, ADMISSION_READ, "a/1"));
    see_out(&house, &guest);
    close_house(&house);
    free(open);
    free(lines);
    free(acl);
}

static void
a_route_that_leaves_keeps_its_guests_and_their_rights(void)
{
    house_t house;
    guest_t guest;
    diag_t *diag = diag_new();
    char *acl = line("backend_acl = %s/acl\n", folder), *lines = plain_lines(acl);
    free(write_file(folder, "acl", 0600, "user alice\ntopic read a/#\n"));
    open_house(&house, lines);
    let_in(&house, &guest, claim_plain("alice", "alice"));
    CHECK(guard_load(house.guard, NULL, 0, diag) == 0);
    CHECK_TEXT(after_reload(&house, &guest), "stays");
    CHECK(may(&house, guest.rights, ADMISSION_READ, "a/1") && !may(&house, guest.rights, ADMISSION_READ, "b"));
    check_verdict(judge(&house, claim_plain("alice", "alice"), NULL), ADMISSION_LATER, "no-such-side");
    see_out(&house, &guest);
    close_house(&house);
    diag_destroy(&diag);
    free(lines);
    free(acl);
}

// --- secrets ----------------------------------------------------------------------------

static const admission_secrets_t *
secrets_of(const house_t *self, side_t side)
{
    return self->ask->secrets(self->ask->arg, "r", side);
}

static void
secrets_are_those_of_the_policy_in_force(void)
{
    house_t house;
    cert_t old = server;
    char *lines = curve_lines("");
    open_house(&house, lines);
    const admission_secrets_t *before = secrets_of(&house, SIDE_BACKEND), *same = secrets_of(&house, SIDE_BACKEND),
                              *after;
    CHECK(before && before == same && memcmp(before->public_key, server.public_key, CERT_KEY_SIZE) == 0);
    CHECK(before && memcmp(before->secret_key, server.secret_key, CERT_KEY_SIZE) == 0);
    CHECK(!secrets_of(&house, SIDE_FRONTEND));
    server = write_cert("server", true);
    reload(&house, lines);
    after = secrets_of(&house, SIDE_BACKEND);
    CHECK(after && memcmp(after->secret_key, server.secret_key, CERT_KEY_SIZE) == 0);
    CHECK(before && memcmp(before->secret_key, old.secret_key, CERT_KEY_SIZE) == 0); // as long as it is held
    house.ask->secrets_free(&before);
    house.ask->secrets_free(&same);
    house.ask->secrets_free(&after);
    CHECK(!before);
    house.ask->secrets_free(&before);
    close_house(&house);
    free(lines);
}

static void
a_side_that_connects_knows_its_peer(void)
{
    house_t house;
    char *text = line("[route r]\ntype = forwarder\nbackend_connect = tcp://127.0.0.1:5555\nbackend_security = curve\n"
                      "backend_client_cert = %s/client\nbackend_peer_cert = %s/peer\n"
                      "frontend_connect = tcp://127.0.0.1:5556\nfrontend_security = plain\n"
                      "frontend_plain_username = zbroker\nfrontend_plain_password_file = %s/password\n",
                      folder, folder, folder);
    free(write_file(folder, "password", 0600, "sesame\n"));
    start(&house);
    load(&house, text);
    const admission_secrets_t *curve = secrets_of(&house, SIDE_BACKEND), *plain = secrets_of(&house, SIDE_FRONTEND);
    CHECK(curve && memcmp(curve->secret_key, client.secret_key, CERT_KEY_SIZE) == 0);
    CHECK(curve && memcmp(curve->public_key, client.public_key, CERT_KEY_SIZE) == 0);
    CHECK(curve && memcmp(curve->peer_key, peer.public_key, CERT_KEY_SIZE) == 0);
    CHECK_TEXT(plain ? plain->username : NULL, "zbroker");
    CHECK_TEXT(plain ? plain->password : NULL, "sesame");
    house.ask->secrets_free(&curve);
    house.ask->secrets_free(&plain);
    close_house(&house);
    free(text);
}

// --- many at once -----------------------------------------------------------------------

enum { RELOADS = 20, ROUTES = 4 };

typedef struct {
    house_t *house;
    pthread_t thread;
    size_t rounds, wrong;
} asker_t;

static atomic_bool have_reloaded;

static void *
ask_on(void *arg)
{
    asker_t *self = arg;
    const admission_t *ask = self->house->ask;
    admission_verdict_t verdict;
    admission_ticket_t *ticket;
    const char *reason;
    admission_claim_t known = claim_curve(&carol), unknown = claim_curve(&peer);
    for (; !have_reloaded || self->rounds == 0; self->rounds++) {
        ask->claim(ask->arg, &known, -1, &ticket, &verdict);
        self->wrong += verdict.status != ADMISSION_WELCOME || strcmp(verdict.user, "carol") != 0;
        admission_login_t login = { .route = "r",
                                    .side = SIDE_BACKEND,
                                    .address = "127.0.0.1",
                                    .client = "",
                                    .mechanism = SECURITY_CURVE,
                                    .key = carol.public_key,
                                    .user = "carol" };
        admission_rights_t *rights = ask->rights(ask->arg, &login);
        self->wrong += !ask->may(rights, ADMISSION_READ, "x", 1) || ask->may(rights, ADMISSION_PUBLISH, "x", 1);
        self->wrong += ask->review(ask->arg, &login, &rights, &reason) == ADMISSION_GOES;
        ask->rights_free(&rights);
        ask->claim(ask->arg, &unknown, -1, &ticket, &verdict);
        self->wrong += verdict.status != ADMISSION_REFUSED;
        const admission_secrets_t *secrets = ask->secrets(ask->arg, "r", SIDE_BACKEND);
        self->wrong += !secrets;
        ask->secrets_free(&secrets);
    }
    return NULL;
}

static void
many_routes_ask_while_the_policy_is_replaced(void)
{
    house_t house;
    asker_t askers[ROUTES];
    char *acl = line("backend_acl = %s/acl\n", folder), *lines = curve_lines(acl);
    size_t rounds = 0;
    free(write_file(folder, "acl", 0600, "user carol\ntopic read x\n"));
    open_house(&house, lines);
    for (size_t i = 0; i < ROUTES; i++) {
        askers[i] = (asker_t){ .house = &house };
        CHECK(pthread_create(&askers[i].thread, NULL, ask_on, &askers[i]) == 0);
    }
    for (size_t i = 0; i < RELOADS; i++)
        reload(&house, lines);
    have_reloaded = true;
    for (size_t i = 0; i < ROUTES; i++) {
        pthread_join(askers[i].thread, NULL);
        CHECK(askers[i].wrong == 0);
        rounds += askers[i].rounds;
    }
    CHECK(logins(&house) == rounds && refusals(&house) == rounds);
    close_house(&house);
    free(lines);
    free(acl);
}

static void
make_files(void)
{
    char *clients = path_of("clients");
    if (sodium_init() == -1 || mkdir(clients, 0700) == -1)
        abort();
    free(clients);
    alice = users_line("alice", "alice");
    bob = users_line("bob", "bob");
    new_alice = users_line("alice", "other");
    write_users(alice, bob);
    carol = write_cert("clients/carol", false);
    dora = write_cert("clients/dora", false);
    server = write_cert("server", true);
    client = write_cert("client", true);
    peer = write_cert("peer", false);
}

int
main(void)
{
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    make_files();
    RUN(an_open_side_takes_everybody_who_claims_nothing);
    RUN(a_side_that_is_not_known_takes_nobody);
    RUN(addresses_are_judged_before_anything_is_said);
    RUN(a_key_is_known_or_refused);
    RUN(a_password_is_checked_aside_and_then_remembered);
    RUN(who_has_gone_is_not_told);
    RUN(what_was_in_force_when_it_was_asked_does_not_count);
    RUN(an_address_has_only_so_many_tries);
    RUN(rights_are_those_of_user_and_side);
    RUN(without_an_acl_everything_is_allowed_and_without_a_side_nothing);
    RUN(who_may_stay_stays);
    RUN(who_would_not_be_let_in_any_more_goes);
    RUN(new_rights_reach_who_is_there);
    RUN(a_route_that_leaves_keeps_its_guests_and_their_rights);
    RUN(secrets_are_those_of_the_policy_in_force);
    RUN(a_side_that_connects_knows_its_peer);
    RUN(many_routes_ask_while_the_policy_is_replaced);
    char *command = xasprintf("rm -rf '%s'", folder);
    int rc = system(command);
    free(command);
    free(alice);
    free(bob);
    free(new_alice);
    return rc == 0 ? test_done() : EXIT_FAILURE;
}
