// SPDX-License-Identifier: MPL-2.0
#include "conf/conf.h"
#include "base/mem.h"
#include "base/text.h"

#include <stdlib.h>
#include <string.h>

static void
dump_settings(const settings_t *settings, FILE *out)
{
    for (size_t i = 0; i < settings->count; i++)
        fprintf(out, "%s =%s%s\n", settings->at[i].key, *settings->at[i].value ? " " : "", settings->at[i].value);
}

void
conf_dump_route(const route_conf_t *route, FILE *out)
{
    fprintf(out, "[route %s]\n", route->name);
    dump_settings(&route->settings, out);
}

void
conf_dump(const conf_t *self, FILE *out)
{
    fprintf(out, "[zbroker]\n");
    dump_settings(&self->settings, out);
    for (size_t i = 0; i < self->route_count; i++) {
        fprintf(out, "\n");
        conf_dump_route(self->routes[i], out);
    }
}

int64_t
side_option(const side_conf_t *side, const char *key, int64_t otherwise)
{
    for (size_t i = 0; i < side->option_count; i++)
        if (strcmp(side->options[i].option->key, key) == 0)
            return side->options[i].value.number;
    return otherwise;
}

const setting_t *
side_setting(const route_conf_t *route, side_t side, const char *key)
{
    const char *prefix = side_name(side);
    size_t length = strlen(prefix);
    for (size_t i = 0; i < route->settings.count; i++) {
        const char *name = route->settings.at[i].key;
        if (strncmp(name, prefix, length) == 0 && name[length] == '_' && strcmp(name + length + 1, key) == 0)
            return &route->settings.at[i];
    }
    return NULL;
}

const route_conf_t *
conf_route(const conf_t *self, const char *name)
{
    for (size_t i = 0; i < self->route_count; i++)
        if (strcmp(self->routes[i]->name, name) == 0)
            return self->routes[i];
    return NULL;
}

bool
settings_have(const settings_t *settings, const setting_t *wanted)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->at[i].key, wanted->key) == 0 && strcmp(settings->at[i].value, wanted->value) == 0)
            return true;
    return false;
}

size_t
side_multicasts(const side_conf_t *side)
{
    size_t count = 0;
    for (size_t i = 0; i < side->endpoint_count; i++)
        count += transport_is_multicast(side->endpoints[i].at.transport);
    return count;
}

bool
side_has_endpoint(const side_conf_t *side, const char *text, bool connect)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i].connect == connect && strcmp(side->endpoints[i].at.text, text) == 0)
            return true;
    return false;
}

size_t
conf_endpoints(const conf_t *self)
{
    size_t count = 0;
    for (size_t i = 0; i < self->route_count; i++)
        for (size_t side = 0; side < SIDES; side++)
            count += self->routes[i]->sides[side].endpoint_count;
    return count;
}

route_conf_t *
conf_take(conf_t *self, const char *name)
{
    for (size_t i = 0; i < self->route_count; i++) {
        route_conf_t *route = self->routes[i];
        if (strcmp(route->name, name) != 0)
            continue;
        memmove(&self->routes[i], &self->routes[i + 1], (self->route_count - i - 1) * sizeof *self->routes);
        self->route_count--;
        return route;
    }
    return NULL;
}

static void
free_settings(settings_t *settings)
{
    for (size_t i = 0; i < settings->count; i++) {
        free(settings->at[i].key);
        free(settings->at[i].value);
    }
    free(settings->at);
}

static void
free_security(security_conf_t *security)
{
    free(security->server_cert);
    free(security->client_certs);
    free(security->client_cert);
    free(security->peer_cert);
    free(security->users);
    free(security->allow);
    free(security->deny);
    free(security->acl);
    free(security->gssapi_principal);
    free(security->gssapi_service_principal);
    free(security->plain_username);
    if (security->plain_password)
        explicit_bzero(security->plain_password, strlen(security->plain_password));
    free(security->plain_password);
}

static void
free_side(side_conf_t *side)
{
    for (size_t i = 0; i < side->option_count; i++) {
        sockopt_kind_t kind = side->options[i].option->kind;
        if (kind == SOCKOPT_TEXT || kind == SOCKOPT_BYTES)
            free(side->options[i].value.text);
    }
    free(side->options);
    free(side->endpoints);
    free_security(&side->security);
}

static void
free_nats(nats_conf_t *nats)
{
    if (nats->password)
        explicit_bzero(nats->password, strlen(nats->password));
    char *const texts[] = { nats->servers, nats->stream,   nats->subject, nats->credentials,
                            nats->user,    nats->password, nats->ca,      nats->cert };
    for (size_t i = 0; i < COUNT(texts); i++)
        free(texts[i]);
}

void
route_conf_destroy(route_conf_t **self_p)
{
    route_conf_t *self = *self_p;
    if (!self)
        return;
    for (size_t side = 0; side < SIDES; side++)
        free_side(&self->sides[side]);
    free_nats(&self->nats);
    free_settings(&self->settings);
    free(self->store_dir);
    free(self->dead_letter);
    free(self);
    *self_p = NULL;
}

void
conf_destroy(conf_t **self_p)
{
    conf_t *self = *self_p;
    if (!self)
        return;
    for (size_t i = 0; i < self->route_count; i++)
        route_conf_destroy(&self->routes[i]);
    free_settings(&self->settings);
    free(self->routes);
    free(self->file);
    free(self->control);
    free(self->http);
    free(self);
    *self_p = NULL;
}

// --- what a side asks of its peers ---------------------------------------------------------

static bool
has_endpoint(const side_conf_t *side, bool connect)
{
    for (size_t i = 0; i < side->endpoint_count; i++)
        if (side->endpoints[i].connect == connect)
            return true;
    return false;
}

bool
side_is_server(const side_conf_t *side)
{
    return has_endpoint(side, false);
}

bool
side_is_client(const side_conf_t *side)
{
    return has_endpoint(side, true);
}

bool
side_asks(const side_conf_t *side)
{
    const security_conf_t *security = &side->security;
    return security->mechanism > SECURITY_NONE || text_given(security->allow) || text_given(security->deny)
           || text_given(security->acl);
}

bool
side_verifies_users(const side_conf_t *side)
{
    return side->security.mechanism > SECURITY_NONE && side_is_server(side);
}

place_t
side_place(const route_conf_t *route, side_t side)
{
    const setting_t *security = side_setting(route, side, "security");
    return security && security->written ? security->place : route->place;
}
