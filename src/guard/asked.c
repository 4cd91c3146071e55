// SPDX-License-Identifier: MPL-2.0
#include "guard/asked.h"

#include "base/bell.h"
#include "base/hash.h"
#include "base/mem.h"
#include "guard/cert.h"
#include "guard/handler.h"
#include "guard/secrets.h"
#include "guard/waiting.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct asked {
    admission_t admission;
    inforce_t *inforce;
    verify_t *verify;
    pthread_mutex_t lock; // over the tickets
};

// A password that is being checked. It is the connection's and the verify's; whoever lets go last frees it.
struct admission_ticket {
    asked_t *asked;
    waiting_t *waiting;
    int bell;
    unsigned holders;
    bool is_known, is_forgotten;
};

struct admission_rights {
    acl_view_t *view; // NULL: nothing is allowed
};

// --- verdicts -------------------------------------------------------------------------

// A question in the words of the handler's.
typedef struct {
    char domain[ROUTE_NAME_MAX + 16];
    zap_request_t request;
} question_t;

static zap_frame_t
frame(const void *data, size_t size)
{
    return (zap_frame_t){ data, size };
}

static void
put_question(question_t *self, const admission_claim_t *claim)
{
    const char *address = *claim->address ? claim->address : "localhost:"; // as libzmq names who comes over ipc
    int size = snprintf(self->domain, sizeof self->domain, "%s.%s", claim->route, side_name(claim->side));
    self->request = (zap_request_t){
        .domain = frame(self->domain, (size_t)size),
        .address = frame(address, strlen(address)),
        .mechanism = policy_mechanism(claim->mechanism),
    };
    if (claim->mechanism == SECURITY_CURVE && !claim->key)
        self->request.mechanism = ZAP_NULL; // has proven nothing
    else if (claim->mechanism == SECURITY_CURVE)
        self->request.credentials[0] = frame(claim->key, CERT_KEY_SIZE);
    if (claim->mechanism == SECURITY_PLAIN) {
        self->request.credentials[0] = frame(claim->name, claim->name_size);
        self->request.credentials[1] = frame(claim->password, claim->password_size);
    }
}

// Only a password can change and leave the name as it was.
static uint64_t
proof_of(const char *hash)
{
    return hash ? hash_bytes(hash, strlen(hash)) : 0;
}

static void
conclude(const verdict_t *from, zap_mechanism_t mechanism, const char *hash, admission_verdict_t *verdict)
{
    bool is_welcome = from->status == ZAP_WELCOME;
    *verdict = (admission_verdict_t){
        .status = (admission_status_t)from->status,
        .reason = from->reason,
        .proof = is_welcome ? proof_of(hash) : 0,
    };
    if (is_welcome)
        snprintf(verdict->user, sizeof verdict->user, "%s", from->user);
    handler_tell(from, mechanism);
}

static admission_status_t
judge_address(void *arg, const char *route, side_t side, const char *address)
{
    asked_t *self = arg;
    verdict_t verdict;
    if (!*address)
        return ADMISSION_WELCOME; // who may use the socket's file has decided
    admit_address(&verdict, inforce_borrow(self->inforce), route, side, true, address);
    if (verdict.status != ZAP_WELCOME)
        handler_tell(&verdict, verdict.entry ? verdict.entry->mechanism : ZAP_NULL);
    inforce_return(self->inforce);
    return (admission_status_t)verdict.status;
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
    waiting_free(self->waiting);
    free(self);
}

// In the verify's thread.
static void
hear_answer(void *arg, verify_result_t *result)
{
    admission_ticket_t *self = arg;
    pthread_mutex_lock(&self->asked->lock);
    if (result) {
        self->waiting->right = result->right;
        self->waiting->hash = result->hash;
        self->is_known = true;
    }
    if (result && !self->is_forgotten)
        bell_ring(self->bell);
    let_go(self);
}

static void
forget_ticket(void *arg, admission_ticket_t **ticket_p)
{
    asked_t *self = arg;
    admission_ticket_t *ticket = *ticket_p;
    if (!ticket)
        return;
    *ticket_p = NULL;
    pthread_mutex_lock(&self->lock);
    ticket->is_forgotten = true;
    let_go(ticket);
}

// Meanwhile a reload may have closed the side to where it comes from.
static void
judge_address_again(verdict_t *verdict)
{
    bool is_local = strcmp(verdict->address, "ipc") == 0;
    if (verdict->status != ZAP_WELCOME || is_local || entry_admits(verdict->entry, verdict->address))
        return;
    verdict->status = ZAP_REFUSED;
    verdict->reason = "address";
}

static bool
fetch_answer(void *arg, admission_ticket_t **ticket_p, admission_verdict_t *verdict)
{
    asked_t *self = arg;
    admission_ticket_t *ticket = *ticket_p;
    pthread_mutex_lock(&self->lock);
    bool is_known = ticket->is_known;
    pthread_mutex_unlock(&self->lock);
    if (!is_known)
        return false;
    waiting_decide(ticket->waiting, inforce_borrow(self->inforce));
    judge_address_again(&ticket->waiting->verdict);
    conclude(&ticket->waiting->verdict, ZAP_PLAIN, ticket->waiting->hash, verdict);
    inforce_return(self->inforce);
    forget_ticket(self, ticket_p);
    return true;
}

// True: that takes time, and *TICKET_P is set.
static bool
check_password(asked_t *self, const zap_request_t *request, int bell, verdict_t *verdict, admission_ticket_t **ticket_p)
{
    const zap_frame_t nobody = { "", 0 }, *password = &request->credentials[1];
    admission_ticket_t *ticket = xcalloc(1, sizeof *ticket);
    *ticket = (admission_ticket_t){ .asked = self, .bell = bell, .holders = 2 };
    ticket->waiting = waiting_new(verdict, request, &nobody);
    verify_answer_t answer = verify_ask_told(self->verify, ticket, verdict->address, verdict->hash, password->data,
                                             password->size, hear_answer);
    if (waiting_goes_on(answer, verdict)) {
        *ticket_p = ticket;
        return true;
    }
    waiting_free(ticket->waiting);
    free(ticket);
    return false;
}

static void
judge_claim(void *arg, const admission_claim_t *claim, int bell, admission_ticket_t **ticket_p,
            admission_verdict_t *verdict)
{
    asked_t *self = arg;
    question_t question;
    verdict_t says;
    *ticket_p = NULL;
    put_question(&question, claim);
    admit(&says, inforce_borrow(self->inforce), &question.request);
    if (says.status || !check_password(self, &question.request, bell, &says, ticket_p))
        conclude(&says, question.request.mechanism, says.hash, verdict);
    else
        *verdict = (admission_verdict_t){ .status = ADMISSION_WAITS };
    inforce_return(self->inforce);
}

// --- rights ---------------------------------------------------------------------------

static admission_rights_t *
rights_at(const entry_t *entry, const admission_login_t *login)
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
    asked_t *self = arg;
    const policy_t *policy = inforce_borrow(self->inforce);
    admission_rights_t *rights = rights_at(policy ? policy_side(policy, login->route, login->side) : NULL, login);
    inforce_return(self->inforce);
    return rights;
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
    question_t question;
    verdict_t verdict;
    admission_claim_t claim = { .route = login->route,
                                .side = login->side,
                                .address = login->address,
                                .mechanism = login->mechanism,
                                .key = login->key,
                                .name = login->user,
                                .name_size = strlen(login->user) };
    put_question(&question, &claim);
    admit(&verdict, policy, &question.request);
    if (verdict.status != ZAP_WELCOME && verdict.status != 0)
        return verdict.reason;
    if (strcmp(verdict.user, login->user) != 0)
        return "another-user";
    if (verdict.status == 0 && (!verdict.hash || proof_of(verdict.hash) != login->proof))
        return verdict.hash ? "another-password" : "unknown-user";
    return NULL;
}

static admission_review_t
review(void *arg, const admission_login_t *login, admission_rights_t **rights_p, const char **reason)
{
    asked_t *self = arg;
    const policy_t *policy = inforce_borrow(self->inforce);
    const entry_t *entry = policy ? policy_side(policy, login->route, login->side) : NULL;
    admission_rights_t *rights = NULL;
    *reason = entry ? find_fault(policy, login) : NULL;
    if (entry && !*reason)
        rights = rights_at(entry, login);
    inforce_return(self->inforce);
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
    const asked_t *self = arg;
    return inforce_generation(self->inforce);
}

static const admission_secrets_t *
find_secrets(void *arg, const char *route, side_t side)
{
    asked_t *self = arg;
    const policy_t *policy = inforce_borrow(self->inforce);
    const entry_t *entry = policy ? policy_side(policy, route, side) : NULL;
    const admission_secrets_t *secrets = entry && entry->secrets ? secrets_share(entry->secrets) : NULL;
    inforce_return(self->inforce);
    return secrets;
}

// --- life -----------------------------------------------------------------------------

asked_t *
asked_new(inforce_t *inforce, verify_t *verify)
{
    asked_t *self = xcalloc(1, sizeof *self);
    self->inforce = inforce;
    self->verify = verify;
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
        .may = may,
        .rights_free = free_rights,
        .secrets = find_secrets,
        .secrets_free = secrets_free,
    };
    return self;
}

const admission_t *
asked_admission(const asked_t *self)
{
    return &self->admission;
}

void
asked_free(asked_t **self_p)
{
    asked_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
