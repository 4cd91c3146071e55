// SPDX-License-Identifier: MPL-2.0
#include "guard/admit.h"

#include "flow/peername.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

static void
refuse(verdict_t *self, const char *reason)
{
    self->status = ZAP_REFUSED;
    self->reason = reason;
}

static void
copy_text(char *to, size_t room, zap_frame_t from)
{
    size_t size = from.size < room - 1 ? from.size : room - 1;
    if (size)
        memcpy(to, from.data, size);
    to[size] = '\0';
}

static void
judge_null(verdict_t *self, const zap_request_t *request)
{
    (void)request;
    self->status = ZAP_WELCOME;
}

static void
judge_plain(verdict_t *self, const zap_request_t *request)
{
    const zap_frame_t *name = &request->credentials[0];
    copy_text(self->user, sizeof self->user, *name);
    if (!self->entry->users)
        refuse(self, "no-users");
    else
        self->hash = users_hash(self->entry->users, name->data, name->size);
}

static void
judge_curve(verdict_t *self, const zap_request_t *request)
{
    const uint8_t *key = request->credentials[0].data;
    const char *user = self->key;
    zmq_z85_encode(self->key, key, 32);
    if (!self->entry->any_key)
        user = self->entry->keys ? keyset_find(self->entry->keys, key) : NULL;
    if (!user) {
        refuse(self, "unknown-key");
        return;
    }
    snprintf(self->user, sizeof self->user, "%s", user);
    self->status = ZAP_WELCOME;
}

static void
judge_gssapi(verdict_t *self, const zap_request_t *request)
{
    const zap_frame_t *principal = &request->credentials[0];
    copy_text(self->user, sizeof self->user, *principal);
    if (users_name_fault(self->user, strlen(self->user)) || principal->size != strlen(self->user))
        refuse(self, "bad-principal");
    else
        self->status = ZAP_WELCOME;
}

static void (*const judges[ZAP_MECHANISMS])(verdict_t *self, const zap_request_t *request) = {
    [ZAP_NULL] = judge_null,
    [ZAP_PLAIN] = judge_plain,
    [ZAP_CURVE] = judge_curve,
    [ZAP_GSSAPI] = judge_gssapi,
};

void
admit(verdict_t *self, const policy_t *policy, const zap_request_t *request)
{
    char address[256];
    *self = (verdict_t){ 0 };
    self->inode = peername_split(request->address.data, request->address.size, address, sizeof address);
    snprintf(self->address, sizeof self->address, "%s", peername_shown(address, "unknown"));
    self->entry = policy ? policy_find(policy, request->domain.data, request->domain.size) : NULL;
    if (!self->entry) {
        // A route that is going: its endpoint may belong to another one already, which knows the client.
        refuse(self, "no-such-side");
        self->status = ZAP_LATER;
    }
    else if (memchr(request->address.data, '\0', request->address.size) || strlen(address) == sizeof address - 1)
        refuse(self, "bad-address");
    else if (!entry_admits(self->entry, peername_is_ipc(address) ? NULL : address))
        refuse(self, "address");
    else if (request->mechanism != self->entry->mechanism)
        refuse(self, "mechanism");
    else
        judges[request->mechanism](self, request);
}

void
admit_address(verdict_t *self, const policy_t *policy, const char *route, side_t side, bool guarded, const char *address)
{
    *self = (verdict_t){ .status = ZAP_WELCOME };
    snprintf(self->address, sizeof self->address, "%s", address);
    self->entry = policy ? policy_side(policy, route, side) : NULL;
    if (!self->entry && guarded)
        refuse(self, "no-such-side");
    else if (self->entry && !entry_admits(self->entry, address))
        refuse(self, "address");
}
