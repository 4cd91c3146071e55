// SPDX-License-Identifier: MPL-2.0
#include "conf/nats.h"

#include "base/mem.h"
#include "base/text.h"
#include "base/trust.h"
#include "conf/units.h"

#include <ctype.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include <zmq.h>

// --- the library -----------------------------------------------------------------------

// Why there is none, NULL: it is there. What is found stays loaded: whoever checks such a route wants to run it.
static const char *
library_fault(void)
{
#ifdef ZB_LIBNATS
    return dlopen(ZB_LIBNATS, RTLD_NOW | RTLD_LOCAL) ? NULL : dlerror();
#else
    return "zbroker was built without it";
#endif
}

// --- servers ----------------------------------------------------------------------------

typedef struct {
    const char *at; // the whole of it
    size_t size;
    const char *host;
    size_t host_size;
    bool tls;
} server_t;

#define SEPARATORS ", \t"

// The next one in the list at *LIST, which moves on. False: there is none any more.
static bool
next_server(const char **list, server_t *server)
{
    *list += strspn(*list, SEPARATORS);
    *server = (server_t){ .at = *list, .size = strcspn(*list, SEPARATORS) };
    *list += server->size;
    return server->size > 0;
}

static bool
is_port(const char *at, size_t size)
{
    char text[8];
    int64_t port;
    if (size == 0 || size >= sizeof text)
        return false;
    memcpy(text, at, size);
    text[size] = '\0';
    return units_number(text, &port) == 0 && port >= 1 && port <= 65535;
}

// What is wrong with it, NULL: nothing. A password in it is not repeated.
static const char *
server_fault(server_t *server)
{
    static const struct {
        const char *text;
        bool tls;
    } schemes[] = { { "nats://", false }, { "tls://", true } };
    const char *end = server->at + server->size;
    for (size_t i = 0; i < COUNT(schemes); i++)
        if (strncmp(server->at, schemes[i].text, strlen(schemes[i].text)) == 0) {
            server->host = server->at + strlen(schemes[i].text);
            server->tls = schemes[i].tls;
        }
    if (memchr(server->at, '@', server->size))
        return "a server is named without user and password: they belong into nats_user and nats_password_file";
    if (!server->host)
        return "a server is written as nats://HOST:4222 or tls://HOST:4222";
    const char *bracket = *server->host == '[' ? memchr(server->host, ']', (size_t)(end - server->host)) : NULL;
    const char *after = bracket ? bracket + 1 : memchr(server->host, ':', (size_t)(end - server->host));
    server->host_size = (size_t)((after ? after : end) - server->host);
    for (size_t i = 0; i < server->host_size; i++)
        if (!isalnum((unsigned char)server->host[i]) && !strchr(bracket ? "[]:.%" : ".-_", server->host[i]))
            return "a server is a host and a port, without more";
    if (server->host_size == 0 ||
        (after && after < end && (*after != ':' || !is_port(after + 1, (size_t)(end - after - 1)))))
        return "a server is written as nats://HOST:4222 or tls://HOST:4222";
    return NULL;
}

static bool
is_loopback(const server_t *server)
{
    static const char *const names[] = { "localhost", "[::1]" };
    for (size_t i = 0; i < COUNT(names); i++)
        if (server->host_size == strlen(names[i]) && strncmp(server->host, names[i], server->host_size) == 0)
            return true;
    return strncmp(server->host, "127.", 4) == 0 && strspn(server->host, "0123456789.") >= server->host_size;
}

static void
check_servers(const check_t *self)
{
    const assigned_t *given = assigned_for_route(self, "nats");
    const nats_conf_t *nats = &self->route->nats;
    bool secret = nats->credentials || nats->user, any = false, tls = false;
    const char *at = nats->servers, *bare = NULL;
    for (server_t server; next_server(&at, &server); any = true) {
        const char *fault = server_fault(&server);
        if (fault) {
            complain(self, given->item, place_moved(given->item->value_place, (size_t)(server.at - nats->servers)),
                     "%s", fault);
            return;
        }
        tls |= server.tls;
        if (!server.tls && !is_loopback(&server))
            bare = server.at;
    }
    if (!any)
        complain_value(self, given->item, "a server is written as nats://HOST:4222 or tls://HOST:4222");
    if (bare && secret && !nats->insecure)
        complain(self, given->item, place_moved(given->item->value_place, (size_t)(bare - nats->servers)),
                 "what proves who we are would go over the network in the clear; write tls:// or nats_insecure = yes");
    const char *const for_tls[] = { nats->ca ? "nats_ca" : NULL, nats->cert ? "nats_cert" : NULL };
    for (size_t i = 0; i < COUNT(for_tls); i++)
        if (for_tls[i] && !tls)
            complain_key(self, assigned_for_route(self, for_tls[i])->item, "does nothing without a server at tls://");
}

// --- files --------------------------------------------------------------------------------

static void
check_files(const check_t *self)
{
    const nats_conf_t *nats = &self->route->nats;
    const struct {
        const char *key, *path;
        trust_kind_t kind;
    } files[] = {
        { "nats_credentials", nats->credentials, TRUST_SECRET },
        { "nats_ca", nats->ca, TRUST_RIGHTS },
        { "nats_cert", nats->cert, TRUST_SECRET },
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        char words[TRUST_WORDS] = "";
        if (!files[i].path)
            continue;
        const raw_item_t *item = assigned_for_route(self, files[i].key)->item;
        if (trust_check(files[i].path, files[i].kind, words) == -1)
            complain_value(self, item, "%s: %s", files[i].path, words);
        else if (*words)
            diag_warning(self->diag, item->value_place, "[%s] %s: %s: %s", self->section->name, files[i].key,
                         files[i].path, words);
    }
}

// --- names --------------------------------------------------------------------------------

// Where the key stands, else where the route does: the default has the route's name.
static void
complain_name(const check_t *self, const char *key, const char *fault)
{
    const assigned_t *given = assigned_for_route(self, key);
    if (given)
        complain_value(self, given->item, "%s", fault);
    else
        diag_error(self->diag, self->route->place, "[%s] %s: the default has the route's name: %s", self->section->name,
                   key, fault);
}

static bool
is_plain(const char *text, const char *besides)
{
    for (; *text; text++)
        if (!isalnum((unsigned char)*text) && !strchr(besides, *text))
            return false;
    return true;
}

static void
check_names(const check_t *self)
{
    const nats_conf_t *nats = &self->route->nats;
    if (!is_plain(nats->stream, "_-"))
        complain_name(self, "nats_stream", "a stream's name has letters, digits, '_' and '-'");
    size_t length = strlen(nats->subject);
    if (!is_plain(nats->subject, "_-.") || strstr(nats->subject, "..") || nats->subject[0] == '.' ||
        nats->subject[length - 1] == '.')
        complain_name(self, "nats_subject",
                      "a subject has levels of letters, digits, '_' and '-', with a '.' between two");
}

// --- all ------------------------------------------------------------------------------------

static bool
can_be_shared(const route_conf_t *route)
{
    int from = route->sides[SIDE_FRONTEND].type, to = route->sides[SIDE_BACKEND].type;
    bool streams = from == ZMQ_PULL && to == ZMQ_PUSH;
    return streams || ((from == ZMQ_XSUB || from == ZMQ_SUB) && socket_type_publishes(to));
}

static bool
is_default(const key_row_t *row, const key_value_t *value)
{
    key_value_t initial;
    char reason[128];
    size_t offset;
    if (row->kind == KEY_TEXT || row->kind == KEY_PATH || row->kind == KEY_SECRET_FILE)
        return !value->text;
    return key_parse(row, row->initial, "/", &initial, reason, sizeof reason, &offset) == 0 &&
           initial.number == value->number;
}

// Keys of a stream that the route has not.
static void
check_unused(const check_t *self)
{
    for (unsigned i = 0; key_at(SCOPE_ROUTE, i); i++) {
        const key_row_t *row = key_at(SCOPE_ROUTE, i);
        const assigned_slot_t *slot = &self->own->route[i];
        if (row->flags & KEY_OF_NATS && slot->count && !is_default(row, &slot->at[0].value))
            complain_key(self, slot->at[0].item, "does nothing without store = nats");
    }
}

static void
check_login(const check_t *self)
{
    const nats_conf_t *nats = &self->route->nats;
    if (nats->credentials && nats->user)
        complain_key(self, assigned_for_route(self, "nats_user")->item, "not together with nats_credentials");
    if (nats->password && !nats->user && !assigned_has(self, "nats_user"))
        complain_key(self, assigned_for_route(self, "nats_password_file")->item, "needs nats_user");
}

void
nats_check(const check_t *self)
{
    const assigned_t *given = assigned_for_route(self, "store");
    if (!route_conf_is_shared(self->route)) {
        bool is_told = given ? given->value.number == KEEP_SHARED : assigned_has(self, "store");
        if (!is_told)
            check_unused(self);
        return;
    }
    const raw_item_t *store = given->item;
    const char *fault = library_fault();
    if (fault)
        complain_value(self, store, "nats needs the library libnats: %s", fault);
    if (!can_be_shared(self->route))
        complain_value(self, store, "nats is for a streamer or a forwarder");
    if (self->route->nats.servers)
        check_servers(self);
    else if (!assigned_has(self, "nats"))
        complain_value(self, store, "nats needs the key nats, its servers");
    check_login(self);
    check_files(self);
    check_names(self);
}
