// SPDX-License-Identifier: MPL-2.0
#include "zmq/security.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum { ZAP_ENFORCE_DOMAIN = 93 }; // hidden by a header without drafts, known to every library since 4.3.2

typedef struct {
    void *socket;
    const side_conf_t *side;
    bool server;
    const admission_secrets_t *secrets; // NULL: there are none
} secured_t;

static int
set_int(void *socket, int option, int value)
{
    return zmq_setsockopt(socket, option, &value, sizeof value);
}

static int
set_text(void *socket, int option, const char *text)
{
    return text_given(text) ? zmq_setsockopt(socket, option, text, strlen(text)) : 0;
}

static int
secure_plain(const secured_t *self)
{
    if (self->server)
        return set_int(self->socket, ZMQ_PLAIN_SERVER, 1);
    const admission_secrets_t *secrets = self->secrets;
    if (!secrets)
        return -1;
    return set_text(self->socket, ZMQ_PLAIN_USERNAME, secrets->username)
           | set_text(self->socket, ZMQ_PLAIN_PASSWORD, secrets->password);
}

static int
secure_curve(const secured_t *self)
{
    const admission_secrets_t *secrets = self->secrets;
    if (!secrets)
        return -1;
    int rc = self->server ? set_int(self->socket, ZMQ_CURVE_SERVER, 1)
                          : zmq_setsockopt(self->socket, ZMQ_CURVE_SERVERKEY, secrets->peer_key, sizeof secrets->peer_key);
    rc |= zmq_setsockopt(self->socket, ZMQ_CURVE_PUBLICKEY, secrets->public_key, sizeof secrets->public_key);
    rc |= zmq_setsockopt(self->socket, ZMQ_CURVE_SECRETKEY, secrets->secret_key, sizeof secrets->secret_key);
    return rc;
}

static int
secure_gssapi(const secured_t *self)
{
    const security_conf_t *security = &self->side->security;
    int rc = self->server ? set_int(self->socket, ZMQ_GSSAPI_SERVER, 1) : 0;
    rc |= set_text(self->socket, ZMQ_GSSAPI_PRINCIPAL, security->gssapi_principal);
    if (!self->server)
        rc |= set_text(self->socket, ZMQ_GSSAPI_SERVICE_PRINCIPAL, security->gssapi_service_principal);
    return security->gssapi_plaintext ? rc | set_int(self->socket, ZMQ_GSSAPI_PLAINTEXT, 1) : rc;
}

static int (*const mechanisms[])(const secured_t *self) = {
    [SECURITY_UNSET] = NULL,           [SECURITY_NONE] = NULL,
    [SECURITY_PLAIN] = secure_plain,   [SECURITY_CURVE] = secure_curve,
    [SECURITY_GSSAPI] = secure_gssapi,
};

// Without a domain, and its enforcement, libzmq lets everybody in when nobody answers: right where there is nobody to
// keep out. Should that come to be, while the socket is open, the handler is there before and stays.
static int
set_domain(void *socket, const route_conf_t *conf, side_t side)
{
    char domain[ROUTE_NAME_MAX + 16];
    snprintf(domain, sizeof domain, "%s.%s", conf->name, side_name(side));
    return set_text(socket, ZMQ_ZAP_DOMAIN, domain) | set_int(socket, ZAP_ENFORCE_DOMAIN, side_asks(&conf->sides[side]));
}

int
security_set(void *socket, const route_conf_t *conf, side_t side, const admission_t *guard, diag_t *diag)
{
    const side_conf_t *at = &conf->sides[side];
    secured_t self = { socket, at, side_is_server(at), guard->secrets(guard->arg, conf->name, side) };
    int (*secure)(const secured_t *) = mechanisms[at->security.mechanism];
    int rc = set_domain(socket, conf, side);
    if (rc == 0 && secure)
        rc = secure(&self);
    int error = secure && !self.secrets ? 0 : zmq_errno();
    if (self.secrets)
        guard->secrets_free(&self.secrets);
    if (rc != 0)
        diag_error(diag, side_place(conf, side), "[route %s] %s: cannot be secured: %s", conf->name, side_name(side),
                   error ? zmq_strerror(error) : "its keys are not known");
    return rc == 0 ? 0 : -1;
}
