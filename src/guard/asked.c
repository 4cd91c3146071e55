// SPDX-License-Identifier: MPL-2.0
#include "guard/asked.h"

#include "base/bell.h"
#include "base/hash.h"
#include "base/mem.h"
#include "guard/audit.h"
#include "guard/secrets.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asked_guard {
    admission_t admission;
    current_t *current;
    passwords_t *passwords;
    pthread_mutex_t lock; // over the tickets
};

// A password that is being checked. It is the connection's and the module's; whoever lets go last frees it.
struct admission_ticket {
    asked_guard_t *asked;
    verdict_t verdict; // its entry is of a policy that may have gone
    char route[ROUTE_NAME_MAX + 1];
    side_t side;
    int bell;
    unsigned holders;
    bool is_known, is_forgotten;
    bool right;
    char *hash; // that it was right for, or not
};

struct admission_rights {
    acl_view_t *view; // NULL: nothing is allowed
};

// --- verdicts -------------------------------------------------------------------------

// Only a password can change and leave the name as it was.
static uint64_t
proof_of(const char *hash)
{
    return hash ? hash_bytes(hash, strlen(hash)) : 0;
}

static void
conclude(const verdict_t *from, security_t mechanism, const char *hash, admission_verdict_t *verdict)
{
    bool is_welcome = from->status == ADMISSION_WELCOME;
    *verdict = (admission_verdict_t){
        .status = from->status,
        .reason = from->reason,
        .proof = is_welcome ? proof_of(hash) : 0,
    };
    if (is_welcome)
        snprintf(verdict->user, sizeof verdict->user, "%s", from->user);
    audit(from, mechanism);
}

static admission_status_t
judge_address(void *arg, const char *route, side_t side, const char *address)
{
    asked_guard_t *self = arg;
    verdict_t verdict;
    if (!*address)
        return ADMISSION_WELCOME; // who may use the socket's file has decided
    authenticate_address(&verdict, current_borrow(self->current), route, side, address);
    if (verdict.status != ADMISSION_WELCOME)
        audit(&verdict, verdict.entry ? verdict.entry->mechanism : SECURITY_NONE);
    current_return(self->current);
    return verdict.status;
}

// --- passwords ------------------------------------------------------------------------

// Unlocks.
static void
let_go(admission_ticket_t *self)
{
    pthread_mutex_t *lock = &self->asked->lock;
    bool is_last = --self->holders == 0;
    pthread_mutex_unlock(lock);
    if (!is_last)
        return;
    free(self->hash);
    free(self);
}

// In the thread of passwords.h.
static void
hear_answer(void *arg, password_result_t *result)
{
    admission_ticket_t *self = arg;
    pthread_mutex_lock(&self->asked->lock);
    if (result) {
        self->right = result->right;
        self->hash = result->hash;
        self->is_known = true;
    }
    if (result && !self->is_forgotten)
        bell_ring(self->bell);
    let_go(self);
}

static void
forget_ticket(void *arg, admission_ticket_t **ticket_p)
{
    asked_guard_t *self = arg;
    admission_ticket_t *ticket = *ticket_p;
    if (!ticket)
        return;
    *ticket_p = NULL;
    pthread_mutex_lock(&self->lock);
    ticket->is_forgotten = true;
    let_go(ticket);
}

static void
set_verdict(verdict_t *verdict, admission_status_t status, const char *reason)
{
    verdict->status = status;
    verdict->reason = reason;
}

// Meanwhile a reload may have changed the password, or closed the side to where the client comes from.
static void
decide(admission_ticket_t *self, const policy_t *policy)
{
    verdict_t *verdict = &self->verdict;
    const policy_entry_t *entry = verdict->entry = policy ? policy_side(policy, self->route, self->side) : NULL;
    const char *hash = entry && entry->users ? users_hash(entry->users, verdict->user, strlen(verdict->user)) : NULL;
    bool is_local = strcmp(verdict->address, "ipc") == 0;
    if (!self->right || !hash || strcmp(hash, self->hash) != 0)
        set_verdict(verdict, ADMISSION_REFUSED, *self->hash ? "bad-password" : "unknown-user");
    else if (!entry_admits(entry, is_local ? NULL : verdict->address))
        set_verdict(verdict, ADMISSION_REFUSED, "address");
    else
        set_verdict(verdict, ADMISSION_WELCOME, NULL);
}

static bool
fetch_answer(void *arg, admission_ticket_t **ticket_p, admission_verdict_t *verdict)
{
    asked_guard_t *self = arg;
    admission_ticket_t *ticket = *ticket_p;
    pthread_mutex_lock(&self->lock);
    bool is_known = ticket->is_known;
    pthread_mutex_unlock(&self->lock);
    if (!is_known)
        return false;
    decide(ticket, current_borrow(self->current));
    conclude(&ticket->verdict, SECURITY_PLAIN, ticket->hash, verdict);
    current_return(self->current);
    forget_ticket(self, ticket_p);
    return true;
}

static admission_ticket_t *
new_ticket(asked_guard_t *self, const admission_claim_t *claim, int bell, const verdict_t *verdict)
{
    admission_ticket_t *ticket = xcalloc(1, sizeof *ticket);
    *ticket = (admission_ticket_t){ .asked = self, .verdict = *verdict, .side = claim->side, .bell = bell, .holders = 2 };
    snprintf(ticket->route, sizeof ticket->route, "%s", claim->route);
    return ticket;
}

// True: that takes time, and *TICKET_P is set.
static bool
check_password(asked_guard_t *self, const admission_claim_t *claim, int bell, verdict_t *verdict,
               admission_ticket_t **ticket_p)
{
    static const struct {
        admission_status_t status;
        const char *reason;
    } verdicts[] = {
        [PASSWORD_RIGHT] = { ADMISSION_WELCOME, NULL },
        [PASSWORD_BUSY] = { ADMISSION_LATER, "busy" },
        [PASSWORD_LIMITED] = { ADMISSION_LATER, "too-many-tries" },
    };
    admission_ticket_t *ticket = new_ticket(self, claim, bell, verdict);
    password_answer_t answer = passwords_ask(self->passwords, ticket, claim->origin, verdict->hash, claim->password,
                                             claim->password_size, hear_answer);
    if (answer == PASSWORD_QUEUED) {
        *ticket_p = ticket;
        return true;
    }
    set_verdict(verdict, verdicts[answer].status, verdicts[answer].reason);
    free(ticket);
    return false;
}

static void
judge_claim(void *arg, const admission_claim_t *claim, int bell, admission_ticket_t **ticket_p,
            admission_verdict_t *verdict)
{
    asked_guard_t *self = arg;
    verdict_t says;
    *ticket_p = NULL;
    authenticate(&says, current_borrow(self->current), claim);
    if (says.status != ADMISSION_WAITS || !check_password(self, claim, bell, &says, ticket_p))
        conclude(&says, claim->mechanism, says.hash, verdict);
    else
        *verdict = (admission_verdict_t){ .status = ADMISSION_WAITS };
    current_return(self->current);
}

// --- rights ---------------------------------------------------------------------------

static admission_rights_t *
rights_at(const policy_entry_t *entry, const admission_login_t *login)
{
    if (entry && !entry->acl)
        return NULL;
    admission_rights_t *rights = xcalloc(1, sizeof *rights);
    rights->view = entry ? acl_view(entry->acl, login->user, login->client) : NULL;
    return rights;
}

static admission_rights_t *
find_rights(void *arg, const admission_login_t *login)
{
    asked_guard_t *self = arg;
    const policy_t *policy = current_borrow(self->current);
    admission_rights_t *rights = rights_at(policy ? policy_side(policy, login->route, login->side) : NULL, login);
    current_return(self->current);
    return rights;
}

struct admission_book {
    acl_t *acl;
};

static admission_book_t *
find_book(void *arg, const char *route, side_t side)
{
    asked_guard_t *self = arg;
    const policy_t *policy = current_borrow(self->current);
    const policy_entry_t *entry = policy ? policy_side(policy, route, side) : NULL;
    admission_book_t *book = NULL;
    if (entry && entry->acl) {
        book = xcalloc(1, sizeof *book);
        book->acl = acl_share(entry->acl);
    }
    current_return(self->current);
    return book;
}

static admission_rights_t *
find_rights_in(const admission_book_t *book, const char *user, const char *client)
{
    admission_rights_t *rights = xcalloc(1, sizeof *rights);
    rights->view = acl_view(book->acl, user, client);
    return rights;
}

static void
free_book(admission_book_t **book_p)
{
    admission_book_t *book = *book_p;
    if (!book)
        return;
    acl_free(&book->acl);
    free(book);
    *book_p = NULL;
}

static bool
may(const admission_rights_t *rights, admission_act_t act, const void *topic, size_t size)
{
    if (!rights)
        return true;
    if (!rights->view)
        return false;
    if (act == ADMISSION_SUBSCRIBE)
        return acl_may_see(rights->view, topic, size);
    return acl_may(rights->view, act == ADMISSION_READ ? ACL_READ : ACL_WRITE, topic, size);
}

static void
free_rights(admission_rights_t **rights_p)
{
    admission_rights_t *rights = *rights_p;
    if (!rights)
        return;
    acl_view_free(&rights->view);
    free(rights);
    *rights_p = NULL;
}

static bool
is_same(const admission_rights_t *a, const admission_rights_t *b)
{
    if (!a || !b || !a->view || !b->view)
        return a == b;
    return acl_view_same(a->view, b->view);
}

// --- those who are in -----------------------------------------------------------------

// Why LOGIN would not be let in any more, NULL: it would. There is no password to check, but whose it is and was.
static const char *
find_fault(const policy_t *policy, const admission_login_t *login)
{
    const policy_entry_t *entry = policy_side(policy, login->route, login->side);
    if (entry && !entry->server) // we have gone to it, and asked for nothing
        return entry_admits(entry, *login->address ? login->address : NULL) ? NULL : "address";
    verdict_t verdict;
    admission_claim_t claim = { .route = login->route,
                                .side = login->side,
                                .address = login->address,
                                .mechanism = login->mechanism,
                                .key = login->key,
                                .name = login->user,
                                .name_size = strlen(login->user) };
    authenticate(&verdict, policy, &claim);
    if (verdict.status != ADMISSION_WELCOME && verdict.status != ADMISSION_WAITS)
        return verdict.reason;
    if (strcmp(verdict.user, login->user) != 0)
        return "another-user";
    if (verdict.status == ADMISSION_WAITS && (!verdict.hash || proof_of(verdict.hash) != login->proof))
        return verdict.hash ? "another-password" : "unknown-user";
    return NULL;
}

static admission_review_t
review(void *arg, const admission_login_t *login, admission_rights_t **rights_p, const char **reason)
{
    asked_guard_t *self = arg;
    const policy_t *policy = current_borrow(self->current);
    const policy_entry_t *entry = policy ? policy_side(policy, login->route, login->side) : NULL;
    admission_rights_t *rights = NULL;
    *reason = entry ? find_fault(policy, login) : NULL;
    if (entry && !*reason)
        rights = rights_at(entry, login);
    current_return(self->current);
    if (*reason)
        return ADMISSION_GOES;
    if (!entry)
        return ADMISSION_STAYS;
    if (is_same(rights, *rights_p)) {
        free_rights(&rights);
        return ADMISSION_STAYS;
    }
    free_rights(rights_p);
    *rights_p = rights;
    return ADMISSION_STAYS_CHANGED;
}

static uint64_t
generation(void *arg)
{
    const asked_guard_t *self = arg;
    return current_generation(self->current);
}

static const admission_secrets_t *
find_secrets(void *arg, const char *route, side_t side)
{
    asked_guard_t *self = arg;
    const policy_t *policy = current_borrow(self->current);
    const policy_entry_t *entry = policy ? policy_side(policy, route, side) : NULL;
    const admission_secrets_t *secrets = entry && entry->secrets ? secrets_share(entry->secrets) : NULL;
    current_return(self->current);
    return secrets;
}

// --- life -----------------------------------------------------------------------------

asked_guard_t *
asked_new(current_t *current, passwords_t *passwords)
{
    asked_guard_t *self = xcalloc(1, sizeof *self);
    self->current = current;
    self->passwords = passwords;
    pthread_mutex_init(&self->lock, NULL);
    self->admission = (admission_t){
        .arg = self,
        .address = judge_address,
        .claim = judge_claim,
        .answer = fetch_answer,
        .forget = forget_ticket,
        .generation = generation,
        .review = review,
        .rights = find_rights,
        .book = find_book,
        .rights_in = find_rights_in,
        .book_free = free_book,
        .may = may,
        .rights_free = free_rights,
        .secrets = find_secrets,
        .secrets_free = secrets_free,
    };
    return self;
}

const admission_t *
asked_admission(const asked_guard_t *self)
{
    return &self->admission;
}

void
asked_free(asked_guard_t **self_p)
{
    asked_guard_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
