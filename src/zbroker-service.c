// SPDX-License-Identifier: MPL-2.0
#include "zbroker-service.h"

#include "admin/files.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/systemd.h"
#include "net/listener.h"

// --- its store of descriptors ------------------------------------------------------

void
service_keep_listening(void *arg, const endpoint_conf_t *endpoint, int fd)
{
    (void)arg;
    char name[256];
    activation_name(endpoint, name);
    systemd_store(fd, name);
}

// A route gave it up: who connects there is to be refused, and the next one may bind it. When
// the process ends they stay in the store.
static void
stop_listening(const char *wanted, void *arg)
{
    daemon_t *self = arg;
    broker_status_t status;
    broker_status(self->broker, &status);
    if (status.stopping)
        return;
    endpoint_conf_t endpoint = { 0 };
    char name[256];
    snprintf(endpoint.at.text, sizeof endpoint.at.text, "%s", wanted);
    activation_name(&endpoint, name);
    systemd_unstore(name);
}

void
service_drop_unused(activation_t *activation, const conf_t *conf)
{
    bool any = false;
    activation_left_t left;
    for (; activation_drop(activation, conf, &left); any = true) {
        log_event(EVENT_UNUSED_SOCKET, EVENT_TEXT("address", left.address.data), EVENT_TEXT("name", left.name));
        systemd_unstore(left.name);
        listener_port_closes(left.port);
        text_free(&left.address);
    }
    if (any)
        systemd_barrier();
}

// --- once a second, and more often for the watchdog --------------------------------

static void
tell_status(daemon_t *self)
{
    broker_route_t route;
    uint64_t clients = 0;
    double rate = 0;
    for (size_t i = 0; broker_at(self->broker, i, &route); i++) {
        rate += route.rate_in_1s;
        for (int side = 0; side < SIDES; side++)
            clients += counter_get(&route.counters->sides[side].connections);
    }
    systemd_status("%s%zu route%s, %llu client%s, %.0f messages/s", broker_draining(self->broker) ? "draining; " : "",
                   broker_count(self->broker), text_plural(broker_count(self->broker)), (unsigned long long)clients,
                   text_plural(clients), rate);
}

static int
on_second(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    daemon_t *self = arg;
    broker_status_t status;
    broker_status(self->broker, &status);
    if (systemd_is_watched())
        tell_status(self);
    if (status.stopping)
        systemd_extend(5000000);
    else
        files_tick(self->broker);
    log_tick();
    return 0;
}

// Alive means that every thread answers, not only this one.
static int
on_watchdog(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    daemon_t *self = arg;
    int64_t most_ms = systemd_watchdog_usec() / 2000, routes_ms = broker_age_ms(self->broker);
    // These come round once a second by themselves.
    int64_t others_ms = watch_age_ms(self->watch), guard_ms = guard_age_ms(self->guard),
            taps_ms = control_age_ms(self->control);
    if (guard_ms > others_ms)
        others_ms = guard_ms;
    if (taps_ms > others_ms)
        others_ms = taps_ms;
    if (routes_ms < most_ms && others_ms < most_ms + 1000)
        systemd_alive();
    else
        log_event(EVENT_WATCHDOG, EVENT_NUMBER("ms", routes_ms > others_ms ? routes_ms : others_ms));
    return 0;
}

void
service_begin(daemon_t *self)
{
    listener_on_gone(stop_listening, self);
    systemd_ready();
    tell_status(self);
    zloop_timer(self->loop, 1000, 0, on_second, self);
    int64_t interval_ms = systemd_watchdog_usec() / 1000;
    if (interval_ms > 0)
        zloop_timer(self->loop, (size_t)(interval_ms / 4 > 0 ? interval_ms / 4 : 1), 0, on_watchdog, self);
}

void
service_end(void)
{
    listener_on_gone(NULL, NULL);
}
