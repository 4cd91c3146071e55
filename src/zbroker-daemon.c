// SPDX-License-Identifier: MPL-2.0
#include "zbroker-daemon.h"

#include "admin/recentlog.h"
#include "admin/statelog.h"
#include "base/log.h"
#include "base/text.h"
#include "broker/savedstate.h"
#include "broker/systemd.h"
#include "flow/engine.h"
#include "wire/wire.h"
#include "zbroker-internal.h"
#include "zbroker-process.h"
#include "zbroker-service.h"
#include "zbroker-upgrade.h"
#include "zmq/zmq.h"

#include <errno.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

// --- what it is told while it runs -------------------------------------------------

static void
reload(daemon_t *self)
{
    text_t answer = { 0 };
    broker_reload(self->broker, &answer);
    text_free(&answer);
}

static int
on_signal(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    daemon_t *self = arg;
    struct signalfd_siginfo info;
    while (read(item->fd, &info, sizeof info) == sizeof info) {
        if (info.ssi_signo == SIGHUP)
            reload(self);
        else if (info.ssi_signo == SIGUSR2)
            statelog_write(self->broker);
        else
            broker_stop(self->broker);
    }
    return broker_stopped(self->broker) ? -1 : 0;
}

static void
set_control_rights(const daemon_t *self, const conf_t *conf)
{
    if (self->control && control_chmod(self->control, conf->control_mode, conf->control_group) == -1)
        log_event(EVENT_CONTROL_MODE, EVENT_PROSE("reason", strerror(errno)));
}

static void
on_applied(void *arg, const conf_t *conf)
{
    daemon_t *self = arg;
    limits_apply(&self->limits, conf, self->broker);
    log_open(conf->log_target, conf->syslog_facility, conf->log_level);
    set_control_rights(self, conf);
    if (self->control)
        control_follow(self->control);
}

// --- start and stop ----------------------------------------------------------------

// Each route's sockets come with a monitor at both ends, which max_sockets does not count.
static void *
open_context(const conf_t *conf)
{
    void *ctx = zmq_ctx_new();
    if (!ctx)
        return NULL;
    zmq_ctx_set(ctx, ZMQ_IO_THREADS, conf->io_threads);
    int sockets = 3 * conf->max_sockets + 64, most = zmq_ctx_get(ctx, ZMQ_SOCKET_LIMIT);
    zmq_ctx_set(ctx, ZMQ_MAX_SOCKETS, sockets < most ? sockets : most);
    return ctx;
}

static int
http_before(const daemon_t *self)
{
    return self->before ? savedstate_find_fd(record_fields(self->before), SAVEDSTATE_HTTP) : -1;
}

static int
open_admin(daemon_t *self, diag_t *diag)
{
    const conf_t *conf = broker_conf(self->broker);
    if (conf->control)
        self->control = control_new(self->loop, self->broker, conf->control, conf->control_mode, conf->control_group,
                                    self->before, diag);
    if (self->before) // it listened for that program's configuration
        set_control_rights(self, conf);
    if (conf->http)
        self->http = http_new(self->loop, self->broker, conf->http_host, conf->http_port, http_before(self), diag);
    return (conf->control && !self->control) || (conf->http && !self->http) ? -1 : 0;
}

static route_resources_t
resources_of(const daemon_t *self)
{
    return (route_resources_t){
        .engines = { [ENGINE_ZMQ] = &engine_zmq, [ENGINE_WIRE] = &engine_wire, [ENGINE_ZMQ_PROXY] = &engine_zmq_proxy },
        .ctx = self->ctx,
        .watch = self->watch,
        .resolver = self->resolver,
        .capacity = self->limits.capacity,
        .memory = self->limits.memory,
        .letters = self->letters,
        .epoch = self->setup.resources.epoch,
        .admission = guard_admission(self->guard),
        .activated = activation_take,
        .is_ours = activation_is_ours,
        .listening = service_keep_listening,
        .arg = self->activation
    };
}

static int
start(daemon_t *self, conf_t **conf_p, diag_t *diag)
{
    self->ctx = open_context(*conf_p);
    self->resolver = resolver_new();
    self->watch = self->ctx ? watch_new(self->ctx, self->limits.capacity) : NULL;
    self->guard = self->watch ? guard_new(self->ctx, self->watch) : NULL;
    if (!self->guard) {
        diag_error(diag, (place_t){ .file = "zbroker" }, "cannot start: %s", strerror(errno));
        diag_cause(diag, errno);
        return -1;
    }
    guard_use(self->guard,
              &self->checked); // the broker's own reading then finds it unchanged; nothing was in force before
    self->setup.guard = self->guard;
    self->setup.resources = resources_of(self);
    self->setup.applied = on_applied;
    self->setup.applied_arg = self;
    service_drop_unused(self->activation, *conf_p);
    self->loop = zloop_new();
    zloop_set_nonstop(self->loop, true);
    self->broker = broker_new(self->loop, conf_p, &self->setup);
    if (open_admin(self, diag) == -1 || broker_start(self->broker, self->before, diag) == -1)
        return -1;
    zmq_pollitem_t item = { .fd = self->signals, .events = ZMQ_POLLIN };
    zloop_poller(self->loop, &item, on_signal, self);
    return 0;
}

static void
stop(daemon_t *self)
{
    service_end();
    control_destroy(&self->control);
    http_destroy(&self->http);
    activation_destroy(&self->activation);
    broker_destroy(&self->broker);
    zloop_destroy(&self->loop);
    if (self->ctx)
        zmq_ctx_shutdown(self->ctx);
    guard_destroy(&self->guard);
    policy_free(&self->checked);
    watch_destroy(&self->watch);
    resolver_free(&self->resolver);
    limits_close(&self->limits);
    letters_free(&self->letters);
    if (self->ctx)
        zmq_ctx_term(self->ctx);
    log_flush();
}

// --- its life ----------------------------------------------------------------------

static void
say_ready(size_t routes)
{
    char count[48];
    snprintf(count, sizeof count, "%zu route%s", routes, text_plural(routes));
    log_event(EVENT_READY, EVENT_TEXT("version", PACKAGE_VERSION), EVENT_WORDS("count", count),
              EVENT_NUMBER("routes", routes));
}

static void
serve(daemon_t *self)
{
    zloop_start(self->loop);
    while (broker_leaves(self->broker)) {
        upgrade_leave(self);
        zloop_start(self->loop);
    }
}

int
daemon_run(const options_t *options, conf_t **conf_p, policy_t **policy_p, record_t *before, diag_t *diag)
{
    daemon_t self = { .signals = process_signals(), .checked = *policy_p };
    *policy_p = NULL;
    process_tame_czmq();
    process_thread_stacks(ROUTE_STACK_BYTES);
    systemd_open();
    self.activation = activation_new();
    self.setup.overrides = options->overrides;
    self.setup.override_count = options->override_count;
    self.setup.resources.epoch = process_seed();
    recentlog_start();
    log_open((*conf_p)->log_target, (*conf_p)->syslog_facility, (*conf_p)->log_level);
    upgrade_inherit(&self, before);
    limits_open(&self.limits, *conf_p);
    self.letters = letters_new();

    int status = EXIT_OK;
    if (start(&self, conf_p, diag) == -1) {
        status = diag_denied(diag) ? EXIT_DENIED : EXIT_UNAVAILABLE;
    } else {
        limits_count(&self.limits);
        limits_apply(&self.limits, broker_conf(self.broker), self.broker);
        say_ready(broker_count(self.broker));
        service_begin(&self);
        upgrade_done(&self);
        record_forget(before);
        serve(&self);
        log_fields(EVENT_STOPPED, NULL);
    }
    stop(&self);
    return status;
}
