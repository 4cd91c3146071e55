// SPDX-License-Identifier: MPL-2.0
//
// The handshake of CURVE (RFC 26): HELLO, WELCOME, INITIATE, READY.
#include "zmtp/curve.h"
#include "zmtp/handshake_internal.h"

#include <sodium.h>
#include <string.h>

enum {
    KEY = CURVE_KEY,
    MAC = crypto_box_MACBYTES,
    NONCE = crypto_box_NONCEBYTES,
    SHORT_NONCE = 8,
    LONG_NONCE = 16,
};
_Static_assert(crypto_box_PUBLICKEYBYTES == CURVE_KEY && crypto_box_SECRETKEYBYTES == CURVE_KEY &&
                   crypto_box_BEFORENMBYTES == CURVE_KEY && crypto_secretbox_KEYBYTES == CURVE_KEY,
               "all keys have one size");

// --- boxes of the handshake -----------------------------------------------------

// The commands without their names. All fields are octets, so there are no gaps.
typedef struct {
    uint8_t nonce[LONG_NONCE];
    uint8_t mac[MAC];
    struct {
        uint8_t client_public[KEY], server_secret[KEY];
    } sealed;
} cookie_t;

typedef struct {
    uint8_t major, minor;
    uint8_t padding[72];
    uint8_t client_public[KEY];
    uint8_t nonce[SHORT_NONCE];
    uint8_t mac[MAC];
    uint8_t zeros[64];
} hello_t;

typedef struct {
    uint8_t nonce[LONG_NONCE];
    uint8_t mac[MAC];
    struct {
        uint8_t server_public[KEY];
        cookie_t cookie;
    } sealed;
} welcome_t;

typedef struct {
    cookie_t cookie;
    uint8_t nonce[SHORT_NONCE];
    uint8_t mac[MAC];
    struct {
        uint8_t client_key[KEY];
        uint8_t vouch_nonce[LONG_NONCE];
        uint8_t vouch_mac[MAC];
        struct {
            uint8_t client_public[KEY], server_key[KEY];
        } vouch;
    } sealed; // the metadata follows
} initiate_t;

typedef struct {
    uint8_t nonce[SHORT_NONCE];
    uint8_t mac[MAC]; // the metadata follows
} ready_t;

_Static_assert(sizeof(cookie_t) == 96 && sizeof(hello_t) == 200 - 6 && sizeof(welcome_t) == 168 - 8 &&
                   sizeof(initiate_t) == 257 - 9 && sizeof(ready_t) == 30 - 6,
               "the sizes of RFC 26");

// The first octets of a nonce tell what it is for, so that no box passes for another.
static void
make_nonce(uint8_t nonce[NONCE], const char *purpose, const uint8_t *rest)
{
    size_t size = strlen(purpose);
    memcpy(nonce, purpose, size);
    memcpy(nonce + size, rest, NONCE - size);
}

// Seal SIZE octets in place.
static void
close_box(uint8_t *at, size_t size, uint8_t *mac, const char *purpose, const uint8_t *rest, const uint8_t *key)
{
    uint8_t nonce[NONCE];
    make_nonce(nonce, purpose, rest);
    crypto_secretbox_detached(at, mac, at, size, nonce, key);
}

// Open SIZE octets in place. False: not sealed for this purpose with KEY.
static bool
open_box(uint8_t *at, size_t size, const uint8_t *mac, const char *purpose, const uint8_t *rest, const uint8_t *key)
{
    uint8_t nonce[NONCE];
    make_nonce(nonce, purpose, rest);
    return crypto_secretbox_open_detached(at, at, mac, size, nonce, key) == 0;
}

// The key that PUBLIC_KEY and SECRET_KEY have in common. False: PUBLIC_KEY is one of
// those that make the same of every secret.
static bool
share_key(uint8_t *shared, const uint8_t *public_key, const uint8_t *secret_key)
{
    return crypto_box_beforenm(shared, public_key, secret_key) == 0;
}

static void
next_nonce(handshake_curve_t *curve, uint8_t nonce[SHORT_NONCE])
{
    frame_put64(nonce, ++curve->our_nonce);
}

// What 16 fixed octets of a nonce make of the shared key.
static void
make_subkey(uint8_t *subkey, const char *purpose, const uint8_t *shared)
{
    crypto_core_hsalsa20(subkey, (const uint8_t *)purpose, shared, NULL);
}

// The handshake's secrets have done their work.
static void
make_session(handshake_t *self)
{
    static const char from_server[] = "CurveZMQMESSAGES", from_client[] = "CurveZMQMESSAGEC";
    handshake_curve_t *curve = &self->is.curve;
    bool server = self->conf->as_server;
    curve_session_t session = { .out_nonce = curve->our_nonce + 1, .in_nonce = curve->their_nonce };
    make_subkey(session.out_key, server ? from_server : from_client, curve->shared);
    make_subkey(session.in_key, server ? from_client : from_server, curve->shared);
    sodium_memzero(curve, sizeof *curve);
    curve->session = session;
    self->is.has_session = true;
    curve_wipe(&session);
}

// The same words for every box that does not open: a peer learns nothing from the time
// or the way that it fails.
static void
fail_box(handshake_t *self, const char *command)
{
    handshake_fail(self, FAULT_PROTOCOL, "%s does not open with our keys", command);
}

static void
fail_malformed(handshake_t *self, const char *command)
{
    handshake_fail(self, FAULT_PROTOCOL, "%s of CURVE is malformed", command);
}

// --- server -----------------------------------------------------------------

static void
wait_for_hello(handshake_t *self)
{
    (void)self;
}

static void
say_welcome(handshake_t *self, const uint8_t *shared)
{
    static const char name[] = "\7WELCOME";
    handshake_curve_t *curve = &self->is.curve;
    struct {
        uint8_t name[sizeof name - 1];
        welcome_t welcome;
    } command;
    cookie_t *cookie = &command.welcome.sealed.cookie;
    memcpy(command.name, name, sizeof command.name);
    randombytes_buf(curve->cookie_key, KEY);
    randombytes_buf(cookie->nonce, LONG_NONCE);
    memcpy(cookie->sealed.client_public, curve->their_public, KEY);
    memcpy(cookie->sealed.server_secret, curve->our_secret, KEY);
    close_box((uint8_t *)&cookie->sealed, sizeof cookie->sealed, cookie->mac, "COOKIE--", cookie->nonce,
              curve->cookie_key);
    memcpy(command.welcome.sealed.server_public, curve->our_public, KEY);
    randombytes_buf(command.welcome.nonce, LONG_NONCE);
    close_box((uint8_t *)&command.welcome.sealed, sizeof command.welcome.sealed, command.welcome.mac, "WELCOME-",
              command.welcome.nonce, shared);
    handshake_command(self, (const uint8_t *)&command, sizeof command);
}

static bool
open_hello(handshake_t *self, hello_t *hello, uint8_t *shared)
{
    return share_key(shared, hello->client_public, self->conf->curve_keys->secret_key) &&
           open_box(hello->zeros, sizeof hello->zeros, hello->mac, "CurveZMQHELLO---", hello->nonce, shared) &&
           sodium_is_zero(hello->zeros, sizeof hello->zeros);
}

static void
take_hello(handshake_t *self, uint8_t *body, size_t size)
{
    handshake_curve_t *curve = &self->is.curve;
    uint8_t shared[KEY];
    hello_t *hello = (hello_t *)body;
    if (size != sizeof *hello || hello->major != 1 || hello->minor != 0) {
        fail_malformed(self, "HELLO");
    } else if (!open_hello(self, hello, shared)) {
        fail_box(self, "HELLO");
    } else {
        memcpy(curve->their_public, hello->client_public, KEY);
        curve->their_nonce = frame_get64(hello->nonce);
        crypto_box_keypair(curve->our_public, curve->our_secret);
        say_welcome(self, shared);
    }
    sodium_memzero(shared, sizeof shared);
}

// Our own cookie, and of this connection.
static bool
open_cookie(const handshake_curve_t *curve, cookie_t *cookie)
{
    return open_box((uint8_t *)&cookie->sealed, sizeof cookie->sealed, cookie->mac, "COOKIE--", cookie->nonce,
                    curve->cookie_key) &&
           sodium_memcmp(cookie->sealed.client_public, curve->their_public, KEY) == 0 &&
           sodium_memcmp(cookie->sealed.server_secret, curve->our_secret, KEY) == 0;
}

// The owner of the client's key vouches for the key of this connection, to us.
static bool
open_vouch(const handshake_t *self, initiate_t *initiate)
{
    const handshake_curve_t *curve = &self->is.curve;
    uint8_t shared[KEY];
    bool good = share_key(shared, initiate->sealed.client_key, curve->our_secret) &&
                open_box((uint8_t *)&initiate->sealed.vouch, sizeof initiate->sealed.vouch, initiate->sealed.vouch_mac,
                         "VOUCH---", initiate->sealed.vouch_nonce, shared) &&
                sodium_memcmp(initiate->sealed.vouch.client_public, curve->their_public, KEY) == 0 &&
                sodium_memcmp(initiate->sealed.vouch.server_key, self->conf->curve_keys->public_key, KEY) == 0;
    sodium_memzero(shared, sizeof shared);
    return good;
}

static bool
open_initiate(handshake_t *self, initiate_t *initiate, size_t size)
{
    handshake_curve_t *curve = &self->is.curve;
    return open_cookie(curve, &initiate->cookie) && frame_get64(initiate->nonce) > curve->their_nonce &&
           share_key(curve->shared, curve->their_public, curve->our_secret) &&
           open_box((uint8_t *)&initiate->sealed, size - offsetof(initiate_t, sealed), initiate->mac,
                    "CurveZMQINITIATE", initiate->nonce, curve->shared) &&
           open_vouch(self, initiate);
}

static void
take_initiate(handshake_t *self, uint8_t *body, size_t size)
{
    handshake_curve_t *curve = &self->is.curve;
    initiate_t *initiate = (initiate_t *)body;
    if (size < sizeof *initiate) {
        fail_malformed(self, "INITIATE");
    } else if (!open_initiate(self, initiate, size)) {
        fail_box(self, "INITIATE");
    } else if (handshake_take_metadata(self, body + sizeof *initiate, size - sizeof *initiate)) {
        curve->their_nonce = frame_get64(initiate->nonce);
        memcpy(curve->client_key, initiate->sealed.client_key, KEY);
        handshake_ask(self);
    }
}

static void
claim(const handshake_t *self, handshake_claim_t *claim)
{
    claim->public_key = self->is.curve.client_key;
}

static void
say_ready(handshake_t *self)
{
    static const char name[] = "\5READY";
    struct {
        uint8_t name[sizeof name - 1];
        ready_t ready;
        uint8_t metadata[METADATA_WRITE_MAX];
    } command;
    memcpy(command.name, name, sizeof command.name);
    next_nonce(&self->is.curve, command.ready.nonce);
    size_t size = handshake_metadata(self, command.metadata);
    close_box(command.metadata, size, command.ready.mac, "CurveZMQREADY---", command.ready.nonce,
              self->is.curve.shared);
    handshake_command(self, (const uint8_t *)&command, sizeof command - METADATA_WRITE_MAX + size);
    make_session(self);
}

// --- client -----------------------------------------------------------------

static void
say_hello(handshake_t *self)
{
    static const char name[] = "\5HELLO";
    handshake_curve_t *curve = &self->is.curve;
    struct {
        uint8_t name[sizeof name - 1];
        hello_t hello;
    } command = { .hello = { .major = 1 } };
    crypto_box_keypair(curve->our_public, curve->our_secret);
    if (!share_key(curve->shared, self->conf->curve_server, curve->our_secret)) {
        handshake_fail(self, FAULT_PROTOCOL, "the server's key is no key");
        return;
    }
    memcpy(command.name, name, sizeof command.name);
    memcpy(command.hello.client_public, curve->our_public, KEY);
    next_nonce(curve, command.hello.nonce);
    close_box(command.hello.zeros, sizeof command.hello.zeros, command.hello.mac, "CurveZMQHELLO---",
              command.hello.nonce, curve->shared);
    handshake_command(self, (const uint8_t *)&command, sizeof command);
}

static bool
make_vouch(const handshake_t *self, initiate_t *initiate)
{
    uint8_t shared[KEY];
    if (!share_key(shared, self->is.curve.their_public, self->conf->curve_keys->secret_key))
        return false;
    memcpy(initiate->sealed.client_key, self->conf->curve_keys->public_key, KEY);
    memcpy(initiate->sealed.vouch.client_public, self->is.curve.our_public, KEY);
    memcpy(initiate->sealed.vouch.server_key, self->conf->curve_server, KEY);
    randombytes_buf(initiate->sealed.vouch_nonce, LONG_NONCE);
    close_box((uint8_t *)&initiate->sealed.vouch, sizeof initiate->sealed.vouch, initiate->sealed.vouch_mac, "VOUCH---",
              initiate->sealed.vouch_nonce, shared);
    sodium_memzero(shared, sizeof shared);
    return true;
}

static void
say_initiate(handshake_t *self, const cookie_t *cookie)
{
    static const char name[] = "\10INITIATE";
    handshake_curve_t *curve = &self->is.curve;
    struct {
        uint8_t name[sizeof name - 1];
        initiate_t initiate;
        uint8_t metadata[METADATA_WRITE_MAX];
    } command = { .initiate = { .cookie = *cookie } };
    if (!make_vouch(self, &command.initiate) || !share_key(curve->shared, curve->their_public, curve->our_secret)) {
        fail_box(self, "WELCOME");
        return;
    }
    memcpy(command.name, name, sizeof command.name);
    next_nonce(curve, command.initiate.nonce);
    size_t size = handshake_metadata(self, command.metadata);
    close_box((uint8_t *)&command.initiate.sealed, sizeof command.initiate.sealed + size, command.initiate.mac,
              "CurveZMQINITIATE", command.initiate.nonce, curve->shared);
    handshake_command(self, (const uint8_t *)&command, sizeof command - METADATA_WRITE_MAX + size);
    sodium_memzero(&command, sizeof command);
}

static void
take_welcome(handshake_t *self, uint8_t *body, size_t size)
{
    welcome_t *welcome = (welcome_t *)body;
    if (size != sizeof *welcome) {
        fail_malformed(self, "WELCOME");
    } else if (!open_box((uint8_t *)&welcome->sealed, sizeof welcome->sealed, welcome->mac, "WELCOME-", welcome->nonce,
                         self->is.curve.shared)) {
        fail_box(self, "WELCOME");
    } else {
        memcpy(self->is.curve.their_public, welcome->sealed.server_public, KEY);
        say_initiate(self, &welcome->sealed.cookie);
    }
}

static void
take_ready(handshake_t *self, uint8_t *body, size_t size)
{
    ready_t *ready = (ready_t *)body;
    if (size < sizeof *ready) {
        fail_malformed(self, "READY");
    } else if (!open_box(body + sizeof *ready, size - sizeof *ready, ready->mac, "CurveZMQREADY---", ready->nonce,
                         self->is.curve.shared)) {
        fail_box(self, "READY");
    } else if (handshake_take_metadata(self, body + sizeof *ready, size - sizeof *ready)) {
        self->is.curve.their_nonce = frame_get64(ready->nonce);
        make_session(self);
    }
}

const mechanism_scripts_t handshake_curve = {
    .client = { .begin = say_hello, .steps = { { "WELCOME", false, take_welcome }, { "READY", true, take_ready } } },
    .server = { .begin = wait_for_hello,
                .steps = { { "HELLO", false, take_hello }, { "INITIATE", true, take_initiate } },
                .welcome = say_ready,
                .claim = claim },
};
