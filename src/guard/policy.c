// SPDX-License-Identifier: MPL-2.0
#include "guard/policy.h"

#include "base/mem.h"
#include "base/text.h"
#include "guard/file.h"
#include "guard/keyset.h"
#include "guard/secrets.h"
#include "zmq/zap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zmq.h>

// A file or folder that several sides name is read once. A file that does not
// change goes from one policy to the next as it is; a folder's keys do likewise.
typedef struct {
    policy_kind_t kind;
    char *path;
    unsigned holders; // policies; all in one thread
    file_state_t state;
    keyset_t *keys;
    users_t *users;
    acl_t *acl;
} held_file_t;

struct policy {
    policy_entry_t *entries;
    size_t count, room;
    held_file_t **sources;
    size_t source_count, source_room;
    policy_file_t *files;
    size_t file_count, file_room;
};

typedef struct {
    policy_t *policy;
    const policy_t *before;
    diag_t *diag;
    void (*damaged)(void *arg, const char *file, int line, const char *text);
    void *arg;
} loader_t;

// A key of a side whose value is the path of a file, and what is found to be wrong with that file.
typedef struct {
    const loader_t *loader;
    const route_conf_t *route;
    side_t side;
    const char *key;
    diag_t *diag;
} named_t;

// --- files ----------------------------------------------------------------------

const policy_file_t *
policy_file(const policy_t *self, const char *route, const char *key, const char *path)
{
    for (size_t i = 0; self && i < self->file_count; i++) {
        const policy_file_t *file = &self->files[i];
        if (strcmp(file->route, route) == 0 && strcmp(file->key, key) == 0 && strcmp(file->path, path) == 0)
            return file;
    }
    return NULL;
}

const policy_file_t *
policy_file_at(const policy_t *self, size_t i)
{
    return i < self->file_count ? &self->files[i] : NULL;
}

static void
note_file(policy_t *self, const route_conf_t *route, policy_file_t file)
{
    if (policy_file(self, route->name, file.key, file.path))
        return;
    file.path = xstrdup(file.path);
    memcpy(file.route, route->name, sizeof file.route);
    mem_grow(self->files, self->file_count, self->file_room);
    self->files[self->file_count++] = file;
}

static held_file_t *
find_source(const policy_t *policy, policy_kind_t kind, const char *path)
{
    for (size_t i = 0; policy && i < policy->source_count; i++)
        if (policy->sources[i]->kind == kind && strcmp(policy->sources[i]->path, path) == 0)
            return policy->sources[i];
    return NULL;
}

static named_t
begin_named(const loader_t *self, const route_conf_t *route, side_t side, const char *key)
{
    return (named_t){ self, route, side, key, diag_new() };
}

// What is wrong with the file is told at the line that names it.
static void
end_named(named_t *self)
{
    const setting_t *setting = side_setting(self->route, self->side, self->key);
    bool has_line = setting && setting->written;
    char *subject = xasprintf("[route %s] %s", self->route->name, has_line ? setting->written : self->key);
    diag_adopt(self->loader->diag, has_line ? setting->place : side_place(self->route, self->side), subject, self->diag);
    free(subject);
    diag_destroy(&self->diag);
}

static void
tell_of_certificate(void *arg, bool left_out, const char *file, int line, const char *text)
{
    const named_t *self = arg;
    const loader_t *loader = self->loader;
    if (!left_out)
        diag_warning(self->diag, (place_t){ file, line, 0 }, "%s", text);
    else if (loader->damaged)
        loader->damaged(loader->arg, file, line, text);
    else
        diag_warning(self->diag, (place_t){ file, line, 0 }, "certificate left out: %s", text);
}

static void
load_keys(named_t *self, held_file_t *source)
{
    const held_file_t *before = find_source(self->loader->before, POLICY_KEYS, source->path);
    source->keys = keyset_load(source->path, before ? before->keys : NULL, tell_of_certificate, self);
    if (source->keys)
        file_check(source->path, TRUST_RIGHTS, self->diag);
    else
        diag_error(self->diag, (place_t){ source->path, 0, 0 }, "cannot read: %s", strerror(errno));
}

static void
load_file(const named_t *self, held_file_t *source)
{
    source->state = file_state(AT_FDCWD, source->path);
    if (source->kind == POLICY_USERS)
        source->users = users_load(source->path, self->diag);
    else
        source->acl = acl_load(source->path, self->diag);
}

static held_file_t *
load_source(named_t *self, policy_kind_t kind, const char *path)
{
    held_file_t *source = xcalloc(1, sizeof *source);
    source->kind = kind;
    source->path = xstrdup(path);
    if (kind == POLICY_KEYS)
        load_keys(self, source);
    else
        load_file(self, source);
    return source;
}

static bool
is_unchanged_file(const held_file_t *source)
{
    if (!source || source->kind == POLICY_KEYS)
        return false;
    file_state_t now = file_state(AT_FDCWD, source->path);
    return file_is_unchanged(&now, &source->state);
}

static held_file_t *
add_source(named_t *self, policy_kind_t kind, const char *path)
{
    policy_t *policy = self->loader->policy;
    if (kind != POLICY_KEYS)
        file_check(path, kind == POLICY_USERS ? TRUST_HASHES : TRUST_RIGHTS, self->diag);
    held_file_t *before = find_source(self->loader->before, kind, path);
    held_file_t *source = is_unchanged_file(before) ? before : load_source(self, kind, path);
    source->holders++;
    mem_grow(policy->sources, policy->source_count, policy->source_room);
    policy->sources[policy->source_count++] = source;
    return source;
}

static const held_file_t *
use_source(const loader_t *self, const route_conf_t *route, side_t side, policy_kind_t kind, char *path)
{
    static const char *const names[] = { [POLICY_KEYS] = "client_certs", [POLICY_USERS] = "users", [POLICY_ACL] = "acl" };
    const held_file_t *source = find_source(self->policy, kind, path);
    if (!source) {
        named_t named = begin_named(self, route, side, names[kind]);
        source = add_source(&named, kind, path);
        end_named(&named);
    }
    note_file(self->policy, route, (policy_file_t){ .kind = kind, .key = names[kind], .path = path, .reload = RELOAD_LIVE,
                                                    .keys = source->keys, .users = source->users, .acl = source->acl });
    return source;
}

static void
load_networks(const loader_t *self, cidrs_t *to, const char *key, const char *text, place_t place)
{
    char reason[200];
    size_t offset;
    if (text_given(text) && cidr_parse(to, text, reason, sizeof reason, &offset) == -1)
        diag_error(self->diag, place, "%s: %s", key, reason);
}

// --- one side --------------------------------------------------------------------

const char *
policy_mechanism_name(security_t mechanism)
{
    static const char *const names[] = {
        [SECURITY_UNSET] = "null",   [SECURITY_NONE] = "null",     [SECURITY_PLAIN] = "plain",
        [SECURITY_CURVE] = "curve", [SECURITY_GSSAPI] = "gssapi",
    };
    return names[mechanism];
}

static void
note_cert(const named_t *self, char *path, const cert_t *cert)
{
    const setting_t *setting = side_setting(self->route, self->side, self->key);
    policy_file_t file = { .kind = POLICY_CERT, .key = self->key, .path = path, .reload = setting ? setting->reload : RELOAD_ROUTE };
    memcpy(file.public_key, cert->public_text, sizeof file.public_key);
    note_file(self->loader->policy, self->route, file);
}

static void
try_cert(const loader_t *self, const route_conf_t *route, side_t side, char *path, bool secret, const char *key)
{
    cert_t cert;
    cert_fault_t fault;
    if (!text_given(path))
        return;
    named_t named = begin_named(self, route, side, key);
    if ((secret ? cert_load_secret(&cert, path, &fault) : cert_load_public(&cert, path, &fault)) == -1)
        diag_error(named.diag, (place_t){ path, fault.line, 0 }, "%s", fault.text);
    else {
        note_cert(&named, path, &cert);
        cert_wipe(&cert);
    }
    if (*fault.warning)
        diag_warning(named.diag, (place_t){ path, 0, 0 }, "%s", fault.warning);
    end_named(&named);
}

static void
check_curve(const loader_t *self, const route_conf_t *route, side_t side, bool server)
{
    const security_conf_t *security = &route->sides[side].security;
    if (server) {
        try_cert(self, route, side, security->server_cert, true, "server_cert");
        return;
    }
    try_cert(self, route, side, security->client_cert, true, "client_cert");
    try_cert(self, route, side, security->peer_cert, false, "peer_cert");
}

// Up to and including 4.3.5 a GSSAPI server goes on after our no.
static bool
gssapi_heeds_zap(void)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    return ZMQ_MAKE_VERSION(major, minor, patch) > ZMQ_MAKE_VERSION(4, 3, 5);
}

static void
check_gssapi(const loader_t *self, const route_conf_t *route, side_t side, bool server)
{
    const security_conf_t *security = &route->sides[side].security;
    if (server && !security->gssapi_unsafe_zap && !gssapi_heeds_zap())
        diag_error(self->diag, side_place(route, side),
                   "[route %s] %s: this libzmq lets GSSAPI clients in that were refused; "
                   "gssapi_unsafe_zap = yes takes every client of the realm",
                   route->name, side_name(side));
}

// What the configuration alone does not show (conf/access.h has seen to the rest).
static void
check_side(const loader_t *self, const route_conf_t *route, side_t side, security_t mechanism, bool server)
{
    const side_conf_t *conf = &route->sides[side];
    const security_conf_t *security = &conf->security;
    bool guarded = mechanism != SECURITY_NONE || security->allow || security->deny || security->acl;
    if (guarded && route->engine == ENGINE_ZMQ_PROXY)
        diag_error(self->diag, side_place(route, side), "[route %s] %s: engine = zmq_proxy cannot have security, allow, deny or acl",
                   route->name, side_name(side));
    if (mechanism != SECURITY_NONE && server && side_is_client(conf))
        diag_error(self->diag, side_place(route, side),
                   "[route %s] %s: with %s a side can bind or connect, not both: a socket is either server or client",
                   route->name, side_name(side), policy_mechanism_name(mechanism));
    if (mechanism == SECURITY_CURVE)
        check_curve(self, route, side, server);
    if (mechanism == SECURITY_GSSAPI)
        check_gssapi(self, route, side, server);
    for (size_t i = 0; i < conf->endpoint_count; i++)
        if (strcmp(conf->endpoints[i].at.text, ZAP_ENDPOINT) == 0)
            diag_error(self->diag, conf->endpoints[i].place, "[route %s] %s: %s is where libzmq asks who may come in",
                       route->name, side_name(side), ZAP_ENDPOINT);
}

static void
load_side(const loader_t *self, const guard_route_t *route, side_t side)
{
    const side_conf_t *conf = &route->conf->sides[side];
    const security_conf_t *security = &conf->security;
    policy_t *policy = self->policy;
    place_t place = side_place(route->conf, side);
    policy_entry_t entry = { .side = side, .mechanism = security->mechanism, .server = side_is_server(conf) };
    if (entry.mechanism == SECURITY_UNSET)
        entry.mechanism = SECURITY_NONE;
    entry.asks = side_asks(conf);
    snprintf(entry.route, sizeof entry.route, "%s", route->conf->name);
    entry.counters = route->counters ? &route->counters->sides[side] : NULL;
    check_side(self, route->conf, side, entry.mechanism, entry.server);
    if (entry.server && entry.mechanism == SECURITY_CURVE && security->client_certs) {
        entry.any_key = strcmp(security->client_certs, "any") == 0;
        if (!entry.any_key)
            entry.keys = use_source(self, route->conf, side, POLICY_KEYS, security->client_certs)->keys;
    }
    if (entry.server && entry.mechanism == SECURITY_PLAIN && text_given(security->users))
        entry.users = use_source(self, route->conf, side, POLICY_USERS, security->users)->users;
    if (text_given(security->acl))
        entry.acl = use_source(self, route->conf, side, POLICY_ACL, security->acl)->acl;
    load_networks(self, &entry.allow, "allow", security->allow, place);
    load_networks(self, &entry.deny, "deny", security->deny, place);
    entry.secrets = secrets_load(conf, entry.server);
    mem_grow(policy->entries, policy->count, policy->room);
    policy->entries[policy->count++] = entry;
}

static int
compare_entries(const void *a, const void *b)
{
    const policy_entry_t *left = a, *right = b;
    int order = strcmp(left->route, right->route);
    return order ? order : (int)left->side - (int)right->side;
}

policy_t *
policy_load(const guard_route_t routes[], size_t count, const policy_t *before, diag_t *diag,
            void (*damaged)(void *arg, const char *file, int line, const char *text), void *arg)
{
    policy_t *self = xcalloc(1, sizeof *self);
    loader_t loader = { self, before, diag, damaged, arg };
    size_t errors = diag_errors(diag);
    for (size_t i = 0; i < count; i++)
        for (side_t side = 0; side < SIDES; side++)
            if (routes[i].conf->sides[side].type != -1)
                load_side(&loader, &routes[i], side);
    if (self->count > 1)
        qsort(self->entries, self->count, sizeof *self->entries, compare_entries);
    if (diag_errors(diag) > errors)
        policy_free(&self);
    return self;
}

const policy_entry_t *
policy_side(const policy_t *self, const char *route, side_t side)
{
    policy_entry_t key = { .side = side };
    snprintf(key.route, sizeof key.route, "%s", route);
    return self->count ? bsearch(&key, self->entries, self->count, sizeof *self->entries, compare_entries) : NULL;
}

const policy_entry_t *
policy_at(const policy_t *self, size_t i)
{
    return i < self->count ? &self->entries[i] : NULL;
}

bool
policy_asks(const policy_t *self)
{
    for (size_t i = 0; i < self->count; i++)
        if (self->entries[i].asks)
            return true;
    return false;
}

static void
let_go(held_file_t *source)
{
    if (--source->holders > 0)
        return;
    keyset_free(&source->keys);
    users_free(&source->users);
    acl_free(&source->acl);
    free(source->path);
    free(source);
}

void
policy_free(policy_t **self_p)
{
    policy_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->count; i++) {
        cidr_free(&self->entries[i].allow);
        cidr_free(&self->entries[i].deny);
        secrets_free(&self->entries[i].secrets);
    }
    for (size_t i = 0; i < self->source_count; i++)
        let_go(self->sources[i]);
    for (size_t i = 0; i < self->file_count; i++)
        free(self->files[i].path);
    free(self->files);
    free(self->entries);
    free(self->sources);
    free(self);
    *self_p = NULL;
}

bool
entry_admits(const policy_entry_t *self, const char *address)
{
    if (!address || (self->allow.count == 0 && self->deny.count == 0))
        return true;
    if (!cidr_is_address(address) || cidr_match(&self->deny, address))
        return false;
    return self->allow.count == 0 || cidr_match(&self->allow, address);
}
