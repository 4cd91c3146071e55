// SPDX-License-Identifier: MPL-2.0
// admission.h - who may come in, and what they may do, asked directly: the questions
// that a route with connections of its own has for the guard, as functions, because
// flow knows nothing of guard. None of them waits for a disk, a name server or a
// password; any thread may ask.

#ifndef ZB_ADMISSION_H
#define ZB_ADMISSION_H

#include "conf/conf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// As the status codes of RFC 27.
typedef enum {
    ADMISSION_WAITS = 0,      // the password is being checked
    ADMISSION_WELCOME = 200,
    ADMISSION_LATER = 300,    // busy, or too many tries: close without a word
    ADMISSION_REFUSED = 400,
} admission_status_t;

// What a peer says of itself, and where it comes from.
typedef struct {
    const char *route;
    side_t side;
    const char *address;      // "192.0.2.7", "2001:db8::7"; "" over ipc
    uint64_t origin;          // whom its tries are counted with: see net/origin.h
    security_t mechanism;
    const uint8_t *key;       // CURVE: its 32 bytes, proven
    const void *name, *password; // PLAIN; of GSSAPI, the principal is the name
    size_t name_size, password_size;
} admission_claim_t;

typedef struct {
    admission_status_t status;
    const char *reason;       // of a refusal: one word, never freed
    char user[256];           // "": nobody
    uint64_t proof;           // what let it in, to be shown at each review
} admission_verdict_t;

// A connection that was let in, as it is judged again. Nothing of it is a secret.
typedef struct {
    const char *route;
    side_t side;
    const char *address;
    security_t mechanism;
    const uint8_t *key;       // CURVE
    const char *user;
    uint64_t proof;
    const char *client;       // its routing id, "": none
} admission_login_t;

typedef struct admission_ticket admission_ticket_t; // for a password that is being checked
typedef struct admission_book admission_book_t;     // the rights of all at one side
typedef struct admission_rights admission_rights_t; // what one connection may do; NULL: everything, the side has no acl

// SUBSCRIBE: is there anything that it may read among what starts with the topic?
typedef enum { ADMISSION_READ = 1, ADMISSION_PUBLISH = 2, ADMISSION_SUBSCRIBE = 4 } admission_act_t;
typedef enum { ADMISSION_STAYS, ADMISSION_STAYS_CHANGED, ADMISSION_GOES } admission_review_t;

// The keys and passwords of a side, in memory of their own that no dump shows.
typedef struct {
    uint8_t public_key[32], secret_key[32]; // CURVE: ours, as server or as client
    uint8_t peer_key[32];                   // CURVE, as client: the server's
    char username[256], password[256];      // PLAIN, as client
} admission_secrets_t;

typedef struct {
    void *arg;

    // At accept, before a byte is read: may a peer at ADDRESS come to this side? A refusal is counted and logged.
    admission_status_t (*address)(void *arg, const char *route, side_t side, const char *address);

    // What a handshake claims. Every verdict is counted and logged here. WAITS: BELL is rung when the answer is there,
    // *TICKET_P is set, and is the connection's until it calls answer, which says true once and then frees it, or
    // forget. Neither BELL nor anything of CLAIM is touched after that.
    void (*claim)(void *arg, const admission_claim_t *claim, int bell, admission_ticket_t **ticket_p,
                  admission_verdict_t *verdict);
    bool (*answer)(void *arg, admission_ticket_t **ticket_p, admission_verdict_t *verdict);
    void (*forget)(void *arg, admission_ticket_t **ticket_p);

    // Another number whenever anything may have changed. Then judge each connection again; *RIGHTS_P becomes what it may
    // do now. GOES: it may no longer be there, and *REASON is one word. A side that is not known any more is that of a
    // route which leaves: who is there stays, with the rights that it has.
    uint64_t (*generation)(void *arg);
    admission_review_t (*review)(void *arg, const admission_login_t *login, admission_rights_t **rights_p,
                                 const char **reason);

    // After a welcome. A side that is not known gives no right at all.
    admission_rights_t *(*rights)(void *arg, const admission_login_t *login);
    bool (*may)(const admission_rights_t *rights, admission_act_t act, const void *topic, size_t size);
    void (*rights_free)(admission_rights_t **rights_p);

    // For who learns of its peers by what they send: a side's rights as they are now, for users who come later, also when
    // the side is not known any more. NULL: it has none, or is not known.
    admission_book_t *(*book)(void *arg, const char *route, side_t side);
    admission_rights_t *(*rights_in)(const admission_book_t *book, const char *user, const char *client);
    void (*book_free)(admission_book_t **book_p);

    // Of the policy in force; new ones count for new handshakes. NULL: the side needs none, or is not known.
    const admission_secrets_t *(*secrets)(void *arg, const char *route, side_t side);
    void (*secrets_free)(const admission_secrets_t **secrets_p);
} admission_t;

#endif
