// SPDX-License-Identifier: MPL-2.0
#include "guard/authenticate.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

static void
refuse(verdict_t *self, const char *reason)
{
    self->status = ADMISSION_REFUSED;
    self->reason = reason;
}

static void
copy_name(verdict_t *self, const admission_claim_t *claim)
{
    size_t size = claim->name_size < sizeof self->user - 1 ? claim->name_size : sizeof self->user - 1;
    if (size)
        memcpy(self->user, claim->name, size);
    self->user[size] = '\0';
}

static void
judge_null(verdict_t *self, const admission_claim_t *claim)
{
    (void)claim;
    self->status = ADMISSION_WELCOME;
}

static void
judge_plain(verdict_t *self, const admission_claim_t *claim)
{
    copy_name(self, claim);
    if (!self->entry->users)
        refuse(self, "no-users");
    else
        self->hash = users_hash(self->entry->users, claim->name, claim->name_size);
}

static void
judge_curve(verdict_t *self, const admission_claim_t *claim)
{
    const uint8_t *key = claim->key;
    const char *user = self->key;
    zmq_z85_encode(self->key, key, 32);
    if (!self->entry->any_key)
        user = self->entry->keys ? keyset_find(self->entry->keys, key) : NULL;
    if (!user) {
        refuse(self, "unknown-key");
        return;
    }
    snprintf(self->user, sizeof self->user, "%s", user);
    self->status = ADMISSION_WELCOME;
}

static void
judge_gssapi(verdict_t *self, const admission_claim_t *claim)
{
    copy_name(self, claim);
    if (users_name_fault(self->user, strlen(self->user)) || claim->name_size != strlen(self->user))
        refuse(self, "bad-principal");
    else
        self->status = ADMISSION_WELCOME;
}

static void (*const judges[])(verdict_t *self, const admission_claim_t *claim) = {
    [SECURITY_NONE] = judge_null,
    [SECURITY_PLAIN] = judge_plain,
    [SECURITY_CURVE] = judge_curve,
    [SECURITY_GSSAPI] = judge_gssapi,
};

// A key that was not proven is none.
static security_t
proven(const admission_claim_t *claim)
{
    bool is_none = claim->mechanism == SECURITY_UNSET || (claim->mechanism == SECURITY_CURVE && !claim->key);
    return is_none ? SECURITY_NONE : claim->mechanism;
}

void
authenticate(verdict_t *self, const policy_t *policy, const admission_claim_t *claim)
{
    *self = (verdict_t){ 0 };
    snprintf(self->address, sizeof self->address, "%s", *claim->address ? claim->address : "ipc");
    self->entry = policy ? policy_side(policy, claim->route, claim->side) : NULL;
    if (!self->entry) {
        // A route that is going: its endpoint may belong to another one already, which knows the client.
        refuse(self, "no-such-side");
        self->status = ADMISSION_LATER;
    } else if (!entry_admits(self->entry, *claim->address ? claim->address : NULL))
        refuse(self, "address");
    else if (proven(claim) != self->entry->mechanism)
        refuse(self, "mechanism");
    else
        judges[self->entry->mechanism](self, claim);
}

void
authenticate_address(verdict_t *self, const policy_t *policy, const char *route, side_t side, const char *address)
{
    *self = (verdict_t){ .status = ADMISSION_WELCOME };
    snprintf(self->address, sizeof self->address, "%s", address);
    self->entry = policy ? policy_side(policy, route, side) : NULL;
    if (!self->entry)
        refuse(self, "no-such-side");
    else if (!entry_admits(self->entry, address))
        refuse(self, "address");
}
