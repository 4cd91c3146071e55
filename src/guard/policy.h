// SPDX-License-Identifier: MPL-2.0
// policy.h - all that decides who may come in, read from files once and never
// changed after: certificates, users, rights and addresses of every side of
// every route. A reload makes a new one.

#ifndef ZB_POLICY_H
#define ZB_POLICY_H

#include "base/diag.h"
#include "conf/cidr.h"
#include "conf/conf.h"
#include "flow/admission.h"
#include "flow/counters.h"
#include "guard/acl.h"
#include "guard/cert.h"
#include "guard/keyset.h"
#include "guard/users.h"

#include <stdbool.h>
#include <stdint.h>

// A route and where its logins are counted; both outlive the load that drops them.
typedef struct {
    const route_conf_t *conf;
    counters_t *counters; // NULL: not counted
} guard_route_t;

// What one side of one route asks of those who come.
typedef struct {
    char route[ROUTE_NAME_MAX + 1];
    side_t side;
    security_t mechanism;             // never UNSET
    bool server;                      // they come to us; else we go to them and nobody is let in or kept out here
    bool asks;                        // not everybody may come in: see side_asks
    bool any_key;
    const keyset_t *keys;             // NULL unless CURVE with a folder
    const users_t *users;             // NULL unless PLAIN
    acl_t *acl;                       // NULL: everything is allowed
    cidrs_t allow, deny;
    side_counters_t *counters;        // may be NULL
    const admission_secrets_t *secrets; // its own, for connections of ours; NULL: it needs none
} policy_entry_t;

// A file or folder that a route names, and what was read of it; one for both sides where both name it by the same KEY.
typedef enum { POLICY_CERT, POLICY_KEYS, POLICY_USERS, POLICY_ACL } policy_kind_t;
typedef struct {
    policy_kind_t kind;
    char route[ROUTE_NAME_MAX + 1];
    const char *key;                  // "server_cert"
    char *path;
    reload_t reload;                  // what it takes to make it count when it reads otherwise
    char public_key[CERT_Z85_SIZE];   // of a certificate
    const keyset_t *keys;             // of the others, that of their kind
    const users_t *users;
    const acl_t *acl;
} policy_file_t;

typedef struct policy policy_t;

// Read what the routes name. Every problem goes to DIAG; NULL if there was an
// error. What is wrong with a file is told at the line that names it. What is wrong
// with single certificates of a folder goes to DAMAGED as "FILE:LINE: TEXT", or is a
// warning where that is NULL. What has not changed since BEFORE (may be NULL) was
// loaded is not read again: both then have the same keys, users and rights in memory.
// Call it, and policy_free, in one thread.
policy_t *policy_load(const guard_route_t routes[], size_t count, const policy_t *before, diag_t *diag,
                      void (*damaged)(void *arg, const char *file, int line, const char *text), void *arg);

const policy_entry_t *policy_side(const policy_t *self, const char *route, side_t side); // NULL: no such side
const policy_entry_t *policy_at(const policy_t *self, size_t i);                         // NULL past the end
const policy_file_t *policy_file(const policy_t *self, const char *route, const char *key, const char *path); // NULL: none
const policy_file_t *policy_file_at(const policy_t *self, size_t i); // NULL past the end
void policy_free(policy_t **self_p);

// Is there a side that asks? Else nobody need be.
bool policy_asks(const policy_t *self);

// May a peer at ADDRESS ("192.0.2.7") come to this side? NULL is a peer over ipc, which has none: who may use the
// file decides. What is no address comes only where none is asked for.
bool entry_admits(const policy_entry_t *self, const char *address);

const char *policy_mechanism_name(security_t mechanism); // "curve"

#endif
