// SPDX-License-Identifier: MPL-2.0
#include "guard/mechanism.h"

#include "base/text.h"
#include "guard/cert.h"
#include "guard/gate.h"
#include "guard/policy.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <zmq.h>

enum { ZAP_ENFORCE_DOMAIN = 93 }; // hidden by a header without drafts, known to every library since 4.3.2

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
take_cert(cert_t *cert, const char *path, bool secret, place_t place, diag_t *diag)
{
    cert_fault_t fault = { 0 };
    int rc = secret ? cert_load_secret(cert, path ? path : "", &fault) : cert_load_public(cert, path ? path : "", &fault);
    if (rc == -1)
        diag_error(diag, place, "%s: %s", path ? path : "no certificate", fault.text);
    return rc;
}

static int
secure_plain(void *socket, const side_conf_t *side, bool server, place_t place, diag_t *diag)
{
    const security_conf_t *security = &side->security;
    (void)place, (void)diag;
    if (server)
        return set_int(socket, ZMQ_PLAIN_SERVER, 1);
    return set_text(socket, ZMQ_PLAIN_USERNAME, security->plain_username)
           | set_text(socket, ZMQ_PLAIN_PASSWORD, security->plain_password);
}

static int
secure_curve(void *socket, const side_conf_t *side, bool server, place_t place, diag_t *diag)
{
    const security_conf_t *security = &side->security;
    cert_t ours, theirs = { 0 };
    if (take_cert(&ours, server ? security->server_cert : security->client_cert, true, place, diag) == -1
        || (!server && take_cert(&theirs, security->peer_cert, false, place, diag) == -1)) {
        cert_wipe(&ours);
        errno = 0;
        return -1;
    }
    int rc = server ? set_int(socket, ZMQ_CURVE_SERVER, 1)
                    : zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, theirs.public_key, CERT_KEY_SIZE);
    rc |= zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, ours.public_key, CERT_KEY_SIZE);
    rc |= zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, ours.secret_key, CERT_KEY_SIZE);
    cert_wipe(&ours);
    return rc;
}

static int
secure_gssapi(void *socket, const side_conf_t *side, bool server, place_t place, diag_t *diag)
{
    const security_conf_t *security = &side->security;
    (void)place, (void)diag;
    int rc = server ? set_int(socket, ZMQ_GSSAPI_SERVER, 1) : 0;
    rc |= set_text(socket, ZMQ_GSSAPI_PRINCIPAL, security->gssapi_principal);
    if (!server)
        rc |= set_text(socket, ZMQ_GSSAPI_SERVICE_PRINCIPAL, security->gssapi_service_principal);
    return security->gssapi_plaintext ? rc | set_int(socket, ZMQ_GSSAPI_PLAINTEXT, 1) : rc;
}

static int (*const secures[])(void *socket, const side_conf_t *side, bool server, place_t place, diag_t *diag) = {
    [SECURITY_UNSET] = NULL,         [SECURITY_NONE] = NULL,
    [SECURITY_PLAIN] = secure_plain, [SECURITY_CURVE] = secure_curve, [SECURITY_GSSAPI] = secure_gssapi,
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
mechanism_set(void *socket, const route_conf_t *conf, side_t side, diag_t *diag)
{
    const side_conf_t *at = &conf->sides[side];
    place_t place = side_place(conf, side);
    errno = 0;
    if (set_domain(socket, conf, side) == -1)
        return -1;
    return secures[at->security.mechanism] ? secures[at->security.mechanism](socket, at, side_is_server(at), place, diag) : 0;
}

int
mechanism_set_reports(void *socket, const route_conf_t *conf, side_t side)
{
    switch (gate_mode(conf, side)) {
    case GATE_COUNTS:
        return set_int(socket, ZMQ_XPUB_VERBOSER, 1);
    case GATE_MANUAL:
        return set_int(socket, ZMQ_XPUB_MANUAL, 1);
    default:
        return 0;
    }
}

void
mechanism_change_reports(void *xpub, const route_conf_t *conf, side_t side)
{
    set_int(xpub, ZMQ_XPUB_MANUAL, 0);
    mechanism_set_reports(xpub, conf, side);
}
