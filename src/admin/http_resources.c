// SPDX-License-Identifier: MPL-2.0
// http_resources.c - what is at which path.

#include "admin/http_internal.h"

#include "admin/metrics.h"
#include "admin/statsjson.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"

#include <string.h>

static void
serve_page(exchange_t *exchange)
{
    exchange->answer->content_type = "text/html; charset=utf-8";
    page_write(exchange->http->broker, &exchange->answer->body);
}

static void
serve_metrics(exchange_t *exchange)
{
    exchange->answer->content_type = METRICS_CONTENT_TYPE;
    metrics_write(exchange->http->broker, &exchange->answer->body);
}

static void
serve_status(exchange_t *exchange)
{
    json_t json = json_document(&exchange->answer->body);
    statsjson_status(&json, exchange->http->broker);
    json_document_end(&json);
}

static void
serve_routes(exchange_t *exchange)
{
    broker_t *broker = exchange->http->broker;
    const char *only = MHD_lookup_connection_value(exchange->connection, MHD_GET_ARGUMENT_KIND, "route");
    char now[32];
    broker_route_t route;
    json_t json = json_document(&exchange->answer->body);
    clock_rfc3339(clock_wall_ns(), now);
    json_string(&json, "time", now);
    json_array(&json, "routes");
    for (size_t i = 0; broker_at(broker, i, &route); i++)
        if (!only || strcmp(route.conf->name, only) == 0)
            statsjson_route(&json, broker, &route, only ? STATS_DETAIL : STATS_HISTORY);
    json_array_end(&json);
    json_document_end(&json);
}

static void
serve_events(exchange_t *exchange)
{
    json_t json = json_document(&exchange->answer->body);
    statsjson_events(&json, NULL);
    json_document_end(&json);
}

static void
serve_health(exchange_t *exchange)
{
    exchange->answer->content_type = HTTP_TEXT;
    text_add(&exchange->answer->body, "ok\n");
}

static void
serve_ready(exchange_t *exchange)
{
    text_t *body = &exchange->answer->body;
    broker_status_t status;
    broker_route_t route;
    broker_status(exchange->http->broker, &status);
    if (status.stopping)
        text_add(body, "stopping\n");
    for (size_t i = 0; broker_at(exchange->http->broker, i, &route); i++)
        if (route.state == ROUTE_FAILED)
            text_add(body, "route %s has failed\n", route.conf->name);
    exchange->answer->content_type = HTTP_TEXT;
    if (body->size)
        exchange->answer->status = MHD_HTTP_SERVICE_UNAVAILABLE;
    else
        text_add(body, "ready\n");
}

static const struct {
    const char *path;
    void (*serve)(exchange_t *exchange);
} resources[] = {
    { "/", serve_page },
    { "/metrics", serve_metrics },
    { "/api/v1/status", serve_status },
    { "/api/v1/routes", serve_routes },
    { "/api/v1/events", serve_events },
    { "/healthz", serve_health },
    { "/readyz", serve_ready },
};

// A file of the page: asked for again by every load, sent only when it has changed.
static void
serve_asset(exchange_t *exchange, const page_asset_t *asset)
{
    http_answer_t *answer = exchange->answer;
    uint64_t hash = UINT64_C(14695981039346656037); // FNV-1a
    for (size_t i = 0; i < asset->size; i++)
        hash = (hash ^ asset->bytes[i]) * UINT64_C(1099511628211);
    snprintf(answer->etag, sizeof answer->etag, "\"%016" PRIx64 "\"", hash);
    const char *known = MHD_lookup_connection_value(exchange->connection, MHD_HEADER_KIND, "If-None-Match");
    answer->asset = asset;
    answer->content_type = asset->content_type;
    answer->cache = "no-cache";
    if (known && strstr(known, answer->etag))
        answer->status = MHD_HTTP_NOT_MODIFIED;
}

void
http_serve(exchange_t *exchange, const char *url)
{
    for (size_t i = 0; i < COUNT(resources); i++)
        if (strcmp(url, resources[i].path) == 0) {
            resources[i].serve(exchange);
            return;
        }
    const page_asset_t *asset = page_find(url);
    if (asset)
        serve_asset(exchange, asset);
    else
        http_refuse(exchange->answer, MHD_HTTP_NOT_FOUND, "not found");
}
