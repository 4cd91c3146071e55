// SPDX-License-Identifier: MPL-2.0
#include "guard/policy.h"

#include "base/mem.h"
#include "guard/cert.h"
#include "guard/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

// What was read of a certificate. A folder may hold a hundred thousand, and a
// reload after one has changed need not read all the others.
typedef struct {
    char *name; // in its folder
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec written, changed;
    bool settled; // another change would have shown in CHANGED: it was not that fresh when it was read
    uint8_t key[CERT_KEY_SIZE];
    char *user; // NULL: damaged
} known_t;

// A file or folder that several sides name is read once.
typedef enum { SOURCE_KEYS, SOURCE_USERS, SOURCE_ACL } source_kind_t;

typedef struct {
    source_kind_t kind;
    char *path;
    keyset_t keys; // their users are the known ones'
    known_t *known; // in the order of their names
    size_t known_count, known_room;
    users_t *users;
    acl_t *acl;
} source_t;

struct policy {
    entry_t *entries;
    size_t count, room;
    source_t **sources;
    size_t source_count, source_room;
};

typedef struct {
    policy_t *policy;
    const policy_t *before;
    diag_t *diag;
    void (*damaged)(void *arg, const char *file, int line, const char *text);
    void *arg;
} loader_t;

bool
side_is_server(const side_conf_t *side)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (!side->endpoints[i].connect)
            return true;
    return false;
}

static bool
side_is_client(const side_conf_t *side)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i].connect)
            return true;
    return false;
}

// --- keys -----------------------------------------------------------------------

// The keys are curve points of people we chose: their first bytes are as good as a hash.
static size_t
slot_of(const keyset_t *self, const uint8_t key[32])
{
    uint64_t hash;
    memcpy(&hash, key, sizeof hash);
    size_t i = (size_t) hash & (self->room - 1);
    while (self->slots[i].user && memcmp(self->slots[i].key, key, 32) != 0)
        i = (i + 1) & (self->room - 1);
    return i;
}

const char *
keyset_find(const keyset_t *self, const uint8_t key[32])
{
    return self->room ? self->slots[slot_of(self, key)].user : NULL;
}

static void
keyset_grow(keyset_t *self)
{
    keyset_t bigger = { .count = self->count, .room = self->room ? self->room * 2 : 64 };
    bigger.slots = xcalloc(bigger.room, sizeof *bigger.slots);
    for (size_t i = 0; i < self->room; i++)
        if (self->slots[i].user)
            bigger.slots[slot_of(&bigger, self->slots[i].key)] = self->slots[i];
    free(self->slots);
    *self = bigger;
}

// The user who has KEY already, or NULL: added.
static const char *
keyset_add(keyset_t *self, const uint8_t key[32], const char *user)
{
    if (self->count * 2 >= self->room)
        keyset_grow(self);
    client_key_t *slot = &self->slots[slot_of(self, key)];
    if (slot->user)
        return slot->user;
    memcpy(slot->key, key, 32);
    slot->user = user;
    self->count++;
    return NULL;
}

static void
keyset_free(keyset_t *self)
{
    free(self->slots);
    *self = (keyset_t) {0};
}

// Editors' and others' files, and secret parts, do not name a client.
static bool
is_certificate_name(const char *name)
{
    size_t size = strlen(name);
    if (*name == '.' || size == 0 || name[size - 1] == '~')
        return false;
    return !(size > 7 && strcmp(name + size - 7, "_secret") == 0);
}

static int
is_candidate(const struct dirent *entry)
{
    return is_certificate_name(entry->d_name) && entry->d_type != DT_DIR;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool
same_time(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

// Is the file what it was when OLD was read?
static bool
is_unchanged(const known_t *now, const known_t *old)
{
    return old->settled && old->user && now->device == old->device && now->inode == old->inode && now->size == old->size
           && same_time(now->written, old->written) && same_time(now->changed, old->changed);
}

// Before the file is read: what is written to it later shows the next time.
static void
note_state(known_t *self, int folder)
{
    enum { SETTLED_S = 2 }; // more than the grain of any file system's clock
    struct stat st;
    if (fstatat(folder, self->name, &st, 0) == -1)
        return; // reading it will say so
    self->device = st.st_dev;
    self->inode = st.st_ino;
    self->size = st.st_size;
    self->written = st.st_mtim;
    self->changed = st.st_ctim;
    self->settled = st.st_ctim.tv_sec + SETTLED_S < time(NULL);
}

static void
read_certificate(known_t *self, const char *path, cert_fault_t *fault)
{
    cert_t cert;
    char user[CERT_NAME_MAX + 1];
    if (cert_load_public(&cert, path, fault) == -1)
        return;
    cert_user(&cert, path, user);
    if (users_name_fault(user, strlen(user))) {
        snprintf(fault->text, sizeof fault->text, "its name is not one for a user");
        return;
    }
    memcpy(self->key, cert.public_key, sizeof self->key);
    self->user = xstrdup(user);
}

static void
add_certificate(const loader_t *self, source_t *source, const char *name, int folder, const known_t *old)
{
    cert_fault_t fault = {0};
    mem_grow(source->known, source->known_count, source->known_room);
    known_t *known = &source->known[source->known_count++];
    *known = (known_t) { .name = xstrdup(name) };
    note_state(known, folder);
    char *path = xasprintf("%s/%s", source->path, name);
    if (old && is_unchanged(known, old)) {
        memcpy(known->key, old->key, sizeof known->key);
        known->user = xstrdup(old->user);
    } else
        read_certificate(known, path, &fault);
    const char *other = known->user ? keyset_add(&source->keys, known->key, known->user) : NULL;
    if (other)
        snprintf(fault.text, sizeof fault.text, "has the same key as %.100s, who came first", other);
    if (*fault.text && self->damaged)
        self->damaged(self->arg, path, fault.line, fault.text);
    free(path);
}

static source_t *
find_source(const policy_t *policy, source_kind_t kind, const char *path)
{
    for (size_t i = 0; policy && i < policy->source_count; i++)
        if (policy->sources[i]->kind == kind && strcmp(policy->sources[i]->path, path) == 0)
            return policy->sources[i];
    return NULL;
}

static void
load_keys(const loader_t *self, source_t *source, place_t place)
{
    struct dirent **names;
    const source_t *before = find_source(self->before, SOURCE_KEYS, source->path);
    size_t at = 0, end = before ? before->known_count : 0;
    int folder = open(source->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int count = folder == -1 ? -1 : scandirat(folder, ".", &names, is_candidate, by_name);
    if (count == -1)
        diag_error(self->diag, place, "client_certs: cannot read %s: %s", source->path, strerror(errno));
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        while (at < end && strcmp(before->known[at].name, name) < 0)
            at++;
        bool known = at < end && strcmp(before->known[at].name, name) == 0;
        add_certificate(self, source, name, folder, known ? &before->known[at] : NULL);
        free(names[i]);
    }
    if (count != -1)
        free(names);
    if (folder != -1)
        close(folder);
}

static void
free_known(source_t *source)
{
    for (size_t i = 0; i < source->known_count; i++) {
        free(source->known[i].name);
        free(source->known[i].user);
    }
    free(source->known);
}

// --- files ----------------------------------------------------------------------

static source_t *
use_source(const loader_t *self, source_kind_t kind, const char *path, place_t place)
{
    policy_t *policy = self->policy;
    source_t *source = find_source(policy, kind, path);
    if (source)
        return source;
    source = xcalloc(1, sizeof *source);
    source->kind = kind;
    source->path = xstrdup(path);
    mem_grow(policy->sources, policy->source_count, policy->source_room);
    policy->sources[policy->source_count++] = source;
    if (kind == SOURCE_KEYS)
        load_keys(self, source, place);
    else if (kind == SOURCE_USERS) {
        file_warn_mode(source->path, self->diag);
        source->users = users_load(source->path, self->diag);
    }
    else
        source->acl = acl_load(source->path, self->diag);
    return source;
}

static void
load_networks(const loader_t *self, cidrs_t *to, const char *key, const char *text, place_t place)
{
    char reason[200];
    size_t offset;
    if (text && *text && cidr_parse(to, text, reason, sizeof reason, &offset) == -1)
        diag_error(self->diag, place, "%s: %s", key, reason);
}

// --- one side --------------------------------------------------------------------

static const zap_mechanism_t mechanisms[] = {
    [SECURITY_UNSET] = ZAP_NULL, [SECURITY_NONE] = ZAP_NULL,     [SECURITY_PLAIN] = ZAP_PLAIN,
    [SECURITY_CURVE] = ZAP_CURVE, [SECURITY_GSSAPI] = ZAP_GSSAPI,
};

// Where the security of a side is said, or at least the route.
static place_t
place_of(const route_conf_t *route, side_t side)
{
    place_t place = route->sides[side].security.place;
    return place.file ? place : route->place;
}

static void
need(const loader_t *self, place_t place, const route_conf_t *route, side_t side, const char *key, const char *value)
{
    if (!value || !*value)
        diag_error(self->diag, place, "[route %s] %s: security needs %s", route->name, side_name(side), key);
}

static void
try_cert(const loader_t *self, const char *path, bool secret, place_t place, const char *key)
{
    cert_t cert;
    cert_fault_t fault;
    if (!path || !*path)
        return;
    if ((secret ? cert_load_secret(&cert, path, &fault) : cert_load_public(&cert, path, &fault)) == -1)
        diag_error(self->diag, fault.line > 0 ? (place_t) { path, fault.line, 0 } : place, "%s: %s: %s", key, path,
                   fault.text);
    else
        cert_wipe(&cert);
}

static void
check_curve(const loader_t *self, const route_conf_t *route, side_t side, bool server)
{
    const security_conf_t *security = &route->sides[side].security;
    place_t place = place_of(route, side);
    if (server) {
        need(self, place, route, side, "server_cert", security->server_cert);
        need(self, place, route, side, "client_certs", security->client_certs);
        try_cert(self, security->server_cert, true, place, "server_cert");
        return;
    }
    need(self, place, route, side, "client_cert", security->client_cert);
    need(self, place, route, side, "peer_cert", security->peer_cert);
    try_cert(self, security->client_cert, true, place, "client_cert");
    try_cert(self, security->peer_cert, false, place, "peer_cert");
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
    if (!zmq_has("gssapi"))
        diag_error(self->diag, place_of(route, side), "[route %s] %s: this libzmq has no GSSAPI", route->name,
                   side_name(side));
    else if (server && !security->gssapi_unsafe_zap && !gssapi_heeds_zap())
        diag_error(self->diag, place_of(route, side),
                   "[route %s] %s: this libzmq lets GSSAPI clients in that were refused; "
                   "gssapi_unsafe_zap = yes takes every client of the realm",
                   route->name, side_name(side));
}

// Where rights can be kept: by each message that comes in, or by each subscription.
static bool
knows_topics(int type)
{
    return type == ZMQ_XSUB || type == ZMQ_SUB || type == ZMQ_PULL || type == ZMQ_XPUB;
}

static void
check_side(const loader_t *self, const route_conf_t *route, side_t side, zap_mechanism_t mechanism, bool server)
{
    const side_conf_t *conf = &route->sides[side];
    const security_conf_t *security = &conf->security;
    bool guarded = mechanism != ZAP_NULL || security->allow || security->deny || security->acl;
    if (guarded && route->engine == ENGINE_ZMQ_PROXY)
        diag_error(self->diag, place_of(route, side), "[route %s] %s: engine = zmq_proxy cannot have security, allow, deny or acl",
                   route->name, side_name(side));
    if (mechanism != ZAP_NULL && server && side_is_client(conf))
        diag_error(self->diag, place_of(route, side),
                   "[route %s] %s: with %s a side can bind or connect, not both: a socket is either server or client",
                   route->name, side_name(side), zap_mechanism_name(mechanism));
    if (security->acl && *security->acl && !knows_topics(conf->type) && side != SIDE_CAPTURE)
        diag_error(self->diag, place_of(route, side),
                   "[route %s] %s: acl needs a socket that knows topics (XSUB, SUB, PULL or XPUB), not %s", route->name,
                   side_name(side), socket_type_name(conf->type));
    if (mechanism == ZAP_CURVE && !zmq_has("curve"))
        diag_error(self->diag, place_of(route, side), "[route %s] %s: this libzmq has no CURVE", route->name, side_name(side));
    else if (mechanism == ZAP_CURVE)
        check_curve(self, route, side, server);
    if (mechanism == ZAP_GSSAPI)
        check_gssapi(self, route, side, server);
    if (mechanism == ZAP_PLAIN && server)
        need(self, place_of(route, side), route, side, "users", security->users);
    if (mechanism == ZAP_PLAIN && !server)
        need(self, place_of(route, side), route, side, "plain_username", security->plain_username);
}

static void
load_side(const loader_t *self, const guard_route_t *route, side_t side)
{
    const side_conf_t *conf = &route->conf->sides[side];
    const security_conf_t *security = &conf->security;
    policy_t *policy = self->policy;
    place_t place = place_of(route->conf, side);
    entry_t entry = { .side = side, .mechanism = mechanisms[security->mechanism], .server = side_is_server(conf) };
    snprintf(entry.route, sizeof entry.route, "%s", route->conf->name);
    snprintf(entry.domain, sizeof entry.domain, "%s.%s", route->conf->name, side_name(side));
    entry.counters = route->counters ? &route->counters->sides[side] : NULL;
    check_side(self, route->conf, side, entry.mechanism, entry.server);
    if (entry.server && entry.mechanism == ZAP_CURVE && security->client_certs) {
        entry.any_key = strcmp(security->client_certs, "any") == 0;
        if (!entry.any_key)
            entry.keys = &use_source(self, SOURCE_KEYS, security->client_certs, place)->keys;
    }
    if (entry.server && entry.mechanism == ZAP_PLAIN && security->users && *security->users)
        entry.users = use_source(self, SOURCE_USERS, security->users, place)->users;
    if (security->acl && *security->acl)
        entry.acl = use_source(self, SOURCE_ACL, security->acl, place)->acl;
    load_networks(self, &entry.allow, "allow", security->allow, place);
    load_networks(self, &entry.deny, "deny", security->deny, place);
    mem_grow(policy->entries, policy->count, policy->room);
    policy->entries[policy->count++] = entry;
}

static int
compare_entries(const void *a, const void *b)
{
    return strcmp(((const entry_t *) a)->domain, ((const entry_t *) b)->domain);
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

const entry_t *
policy_find(const policy_t *self, const void *domain, size_t size)
{
    entry_t key;
    if (size >= sizeof key.domain || !self->count)
        return NULL;
    memcpy(key.domain, domain, size);
    key.domain[size] = '\0';
    return strlen(key.domain) == size
               ? bsearch(&key, self->entries, self->count, sizeof *self->entries, compare_entries)
               : NULL;
}

const entry_t *
policy_side(const policy_t *self, const char *route, side_t side)
{
    char domain[sizeof ((entry_t *) 0)->domain];
    int size = snprintf(domain, sizeof domain, "%s.%s", route, side_name(side));
    return policy_find(self, domain, (size_t) size);
}

const entry_t *
policy_at(const policy_t *self, size_t i)
{
    return i < self->count ? &self->entries[i] : NULL;
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
    }
    for (size_t i = 0; i < self->source_count; i++) {
        source_t *source = self->sources[i];
        keyset_free(&source->keys);
        free_known(source);
        users_free(&source->users);
        acl_free(&source->acl);
        free(source->path);
        free(source);
    }
    free(self->entries);
    free(self->sources);
    free(self);
    *self_p = NULL;
}

bool
entry_admits(const entry_t *self, const char *address)
{
    // A peer over ipc has no address: who may use the file decides.
    if (strncmp(address, "localhost:", 10) == 0 || !*address)
        return true;
    if (cidr_match(&self->deny, address))
        return false;
    return self->allow.count == 0 || cidr_match(&self->allow, address);
}
