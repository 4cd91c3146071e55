// SPDX-License-Identifier: MPL-2.0
#include "guard/secrets.h"

#include "guard/cert.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

typedef struct {
    admission_secrets_t words; // first, so that it is known by them
    atomic_uint holders;
} secrets_t;

static bool
read_own(admission_secrets_t *words, const char *path)
{
    cert_t cert;
    cert_fault_t fault;
    bool is_read = text_given(path) && cert_load_secret(&cert, path, &fault) == 0;
    if (!is_read)
        return false;
    memcpy(words->public_key, cert.public_key, sizeof words->public_key);
    memcpy(words->secret_key, cert.secret_key, sizeof words->secret_key);
    cert_wipe(&cert);
    return true;
}

static bool
read_peers(admission_secrets_t *words, const char *path)
{
    cert_t cert;
    cert_fault_t fault;
    bool is_read = text_given(path) && cert_load_public(&cert, path, &fault) == 0;
    if (is_read)
        memcpy(words->peer_key, cert.public_key, sizeof words->peer_key);
    return is_read;
}

static bool
fill_curve(admission_secrets_t *words, const security_conf_t *security, bool server)
{
    return server ? read_own(words, security->server_cert)
                  : read_own(words, security->client_cert) && read_peers(words, security->peer_cert);
}

static bool
fill_plain(admission_secrets_t *words, const security_conf_t *security)
{
    snprintf(words->username, sizeof words->username, "%s", security->plain_username ? security->plain_username : "");
    snprintf(words->password, sizeof words->password, "%s", security->plain_password ? security->plain_password : "");
    return true;
}

const admission_secrets_t *
secrets_load(const side_conf_t *side, bool server)
{
    const security_conf_t *security = &side->security;
    bool curve = security->mechanism == SECURITY_CURVE, plain = security->mechanism == SECURITY_PLAIN && !server;
    secrets_t *self = curve || plain ? sodium_malloc(sizeof *self) : NULL;
    if (!self)
        return NULL;
    memset(self, 0, sizeof *self);
    atomic_init(&self->holders, 1);
    const admission_secrets_t *words = &self->words;
    if (curve ? fill_curve(&self->words, security, server) : fill_plain(&self->words, security))
        return words;
    secrets_free(&words);
    return NULL;
}

static secrets_t *
whole(const admission_secrets_t *words)
{
    return (secrets_t *)(uintptr_t)words;
}

const admission_secrets_t *
secrets_share(const admission_secrets_t *self)
{
    atomic_fetch_add(&whole(self)->holders, 1);
    return self;
}

void
secrets_free(const admission_secrets_t **self_p)
{
    const admission_secrets_t *self = *self_p;
    *self_p = NULL;
    if (self && atomic_fetch_sub(&whole(self)->holders, 1) == 1)
        sodium_free(whole(self));
}
