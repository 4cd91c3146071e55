// SPDX-License-Identifier: MPL-2.0
// zbroker(8) - wiring and exit code.
#include "admin/control.h"
#include "admin/events.h"
#include "admin/files.h"
#include "admin/http.h"
#include "admin/statelog.h"
#include "base/diag.h"
#include "base/event.h"
#include "base/excerpt.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/log.h"
#include "broker/activation.h"
#include "broker/broker.h"
#include "broker/program.h"
#include "broker/succession.h"
#include "broker/systemd.h"
#include "conf/conf.h"
#include "conf/process.h"
#include "flow/engine.h"
#include "flow/listener.h"
#include "guard/guard.h"
#include "guard/policy.h"
#include "net/resolver.h"
#include "wire/wire.h"
#include "zbroker-options.h"
#include "zbroker-process.h"
#include "zmq/shield.h"
#include "zmq/watch.h"
#include "zmq/zmq.h"

#include <czmq.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define RESERVE 64        // descriptors
#define UNNAMED_MAX 1024  // clients in their handshake

static const char *
plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

// Programs read one problem a line; people at a terminal get more.
static void
tell(diag_t *diag)
{
    if (isatty(STDERR_FILENO))
        excerpt_print(diag, stderr);
    else
        diag_print(diag, stderr);
}

// --- the daemon ------------------------------------------------------------------

typedef struct {
    zloop_t *loop;
    void *ctx;
    resolver_t *resolver;
    capacity_t *capacity;
    memory_t *memory;
    letters_t *letters;
    watch_t *watch;
    guard_t *guard;
    policy_t *checked; // what the check has read, until the guard has it
    broker_t *broker;
    control_t *control;
    http_t *http;
    activation_t *activation;
    broker_setup_t setup;
    int signals;
    uint64_t descriptors, reserve; // the limit, and what of it clients never get
    uint64_t unnamed;              // how many may be in their handshake, with engine wire
    uint64_t room;                 // for connections
    _Atomic bool limit_asked_for; // how many clients is max_clients, not what descriptors allow
    const record_t *before;        // what the program before has left, NULL: there was none
} daemon_t;

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

// In the thread of whoever comes or goes.
static void
on_full(bool full, void *arg)
{
    const daemon_t *self = arg;
    listener_accept_all(CLOSED_PROCESS_FULL, !full);
    if (!full) {
        event_log(EVENT_PROCESS_ROOM, NULL);
        return;
    }
    bool asked_for = atomic_load(&self->limit_asked_for);
    log_event(EVENT_PROCESS_FULL, EVENT_WORDS("why", asked_for ? "max_clients" : "no more descriptors"),
              EVENT_TEXT("reason", asked_for ? "max_clients" : "descriptors"));
}

// What whoever is in its handshake takes is not for clients. With libzmq's sockets those are clients.
static uint64_t
room_for_clients(daemon_t *self)
{
    broker_route_t route;
    for (size_t i = 0; broker_at(self->broker, i, &route); i++)
        if (route.conf->engine == ENGINE_WIRE)
            return self->room > self->unnamed ? self->room - self->unnamed : 1;
    return self->room;
}

static void
limit_clients(daemon_t *self, const conf_t *conf)
{
    uint64_t wanted = (uint64_t)conf->max_clients, room = room_for_clients(self);
    if (wanted > room)
        log_event(EVENT_MAX_CLIENTS, EVENT_NUMBER("wanted", wanted), EVENT_NUMBER("descriptors", self->descriptors),
                  EVENT_NUMBER("room", room));
    atomic_store(&self->limit_asked_for, wanted && wanted <= room);
    capacity_limit(self->capacity, wanted && wanted < room ? wanted : room, on_full, self);
}

static void
limit_memory(const daemon_t *self, const conf_t *conf)
{
    memory_limit(self->memory, conf->max_memory ? (uint64_t)conf->max_memory : process_memory() / 2);
}

// Control and HTTP always answer: they have a reserve that no client gets.
static void
plan_descriptors(daemon_t *self)
{
    self->descriptors = process_raise_descriptor_limit();
    if (self->descriptors > INT_MAX)
        self->descriptors = INT_MAX;
    self->reserve = self->descriptors / 4 < RESERVE ? self->descriptors / 4 : RESERVE;
    shield_limit((int)(self->descriptors - self->reserve));
    uint64_t tenth = self->descriptors / 10;
    self->unnamed = tenth < 1 ? 1 : tenth < UNNAMED_MAX ? tenth : UNNAMED_MAX;
    capacity_limit_unnamed(self->capacity, self->unnamed);
    // Whoever waits in the kernel's queue comes in when the cap is reached already.
    uint64_t backlog = self->descriptors / 32;
    listener_backlog_cap(backlog ? (int)backlog : 1);
}

static void
count_room(daemon_t *self)
{
    uint64_t taken = process_descriptors() + self->reserve;
    self->room = taken < self->descriptors ? self->descriptors - taken : 1;
}

static void
on_applied(void *arg, const conf_t *conf)
{
    daemon_t *self = arg;
    limit_clients(self, conf);
    limit_memory(self, conf);
    log_open(conf->log_target, conf->syslog_facility, conf->log_level);
    if (self->control && control_chmod(self->control, conf->control_mode, conf->control_group) == -1)
        log_event(EVENT_CONTROL_MODE, EVENT_PROSE("reason", strerror(errno)));
    if (self->control)
        control_follow(self->control);
}

// --- systemd ---------------------------------------------------------------------

// The kernel goes on taking connects on it while no process runs.
static void
keep_listening(void *arg, const endpoint_conf_t *endpoint, int fd)
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
                   broker_count(self->broker), plural(broker_count(self->broker)), (unsigned long long)clients,
                   plural(clients), rate);
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
    int64_t others_ms = watch_age_ms(self->watch), guard_ms = guard_age_ms(self->guard), taps_ms = control_age_ms(self->control);
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

// A route that is gone from the file, or binds another address now, left it in the store; or a socket unit does not
// fit the file. The store must have let go of it before anything is bound.
static void
drop_unused_descriptors(activation_t *activation, const conf_t *conf)
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

static void
begin_service(daemon_t *self)
{
    listener_on_gone(stop_listening, self);
    systemd_ready();
    tell_status(self);
    zloop_timer(self->loop, 1000, 0, on_second, self);
    int64_t interval_ms = systemd_watchdog_usec() / 1000;
    if (interval_ms > 0)
        zloop_timer(self->loop, (size_t)(interval_ms / 4 > 0 ? interval_ms / 4 : 1), 0, on_watchdog, self);
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
    return self->before ? estate_find_fd(record_fields(self->before), ESTATE_HTTP) : -1;
}

static int
open_admin(daemon_t *self, diag_t *diag)
{
    const conf_t *conf = broker_conf(self->broker);
    if (conf->control)
        self->control = control_new(self->loop, self->broker, conf->control, conf->control_mode, conf->control_group,
                                    self->before, diag);
    if (conf->http)
        self->http = http_new(self->loop, self->broker, conf->http_host, conf->http_port, http_before(self), diag);
    return (conf->control && !self->control) || (conf->http && !self->http) ? -1 : 0;
}

static int
start(daemon_t *self, conf_t **conf_p, diag_t *diag)
{
    self->ctx = open_context(*conf_p);
    self->resolver = resolver_new();
    self->watch = self->ctx ? watch_new(self->ctx) : NULL;
    self->guard = self->watch ? guard_new(self->ctx, self->watch) : NULL;
    if (!self->guard) {
        diag_error(diag, (place_t){ .file = "zbroker" }, "cannot start: %s", strerror(errno));
        diag_cause(diag, errno);
        return -1;
    }
    watch_count_in(self->watch, self->capacity);
    guard_use(self->guard, &self->checked); // the broker's own reading then finds it unchanged; nothing was in force before
    self->setup.guard = self->guard;
    self->setup.services = (route_services_t){ .engines = { [ENGINE_ZMQ] = &engine_zmq,
                                                            [ENGINE_WIRE] = &engine_wire,
                                                            [ENGINE_ZMQ_PROXY] = &engine_zmq_proxy },
                                               .ctx = self->ctx,
                                               .watch = self->watch,
                                               .resolver = self->resolver,
                                               .capacity = self->capacity,
                                               .memory = self->memory,
                                               .letters = self->letters,
                                               .epoch = self->setup.services.epoch,
                                               .admission = guard_admission(self->guard),
                                               .activated = activation_take,
                                               .is_ours = activation_is_ours,
                                               .listening = keep_listening,
                                               .service_arg = self->activation };
    self->setup.applied = on_applied;
    self->setup.applied_arg = self;
    drop_unused_descriptors(self->activation, *conf_p);
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
    listener_on_gone(NULL, NULL);
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
    capacity_destroy(&self->capacity);
    memory_free(&self->memory);
    letters_free(&self->letters);
    if (self->ctx)
        zmq_ctx_term(self->ctx);
    log_flush();
}

static void
say_ready(size_t routes)
{
    char count[48];
    snprintf(count, sizeof count, "%zu route%s", routes, plural(routes));
    log_event(EVENT_READY, EVENT_TEXT("version", PACKAGE_VERSION), EVENT_WORDS("count", count),
              EVENT_NUMBER("routes", routes));
}

// --- from one program to the next ---------------------------------------------------

static void
save(const daemon_t *self, estate_t *to)
{
    unsigned char keys[HASH_KEYS];
    hash_keys(keys);
    record_number(&to->record, ESTATE_FORMAT, ESTATE_FORMAT_NOW);
    record_text(&to->record, ESTATE_VERSION, PACKAGE_VERSION);
    record_bytes(&to->record, ESTATE_HASH_KEYS, keys, sizeof keys);
    broker_save(self->broker, to);
    record_number(&to->record, ESTATE_CLIENT_ID, client_last_id());
    if (self->control)
        control_save(self->control, to);
    if (self->http)
        estate_fd(to, ESTATE_HTTP, http_listener(self->http));
    estate_seal(to);
    explicit_bzero(keys, sizeof keys);
}

// Run the program that was tried. Returns only if that fails: then everything goes on as it was.
static void
leave(daemon_t *self)
{
    estate_t estate = { 0 };
    text_t error = { 0 };
    systemd_reloading();
    if (self->control)
        control_end_taps(self->control); // while the routes still run: nobody waits for it
    log_flush();
    save(self, &estate);
    program_run(&estate.record, estate.fds, estate.count, &error);
    broker_stay(self->broker, record_fields(&estate.record));
    estate_forget(&estate);
    log_event(EVENT_UPGRADE_FAILED, EVENT_PROSE("reason", error.data));
    if (self->control)
        control_answer(self->control, NULL, NULL, error.data);
    systemd_ready();
    text_free(&error);
}

// Before there is a thread.
static void
inherit(daemon_t *self, const record_t *before)
{
    record_field_t field;
    uint64_t id;
    if (!before->data)
        return;
    if (!estate_is_known(before)) {
        log_event(EVENT_UPGRADE_UNKNOWN, EVENT_NUMBER("connections", estate_discard(before)));
        return;
    }
    self->before = before;
    record_fields_t from = record_fields(before);
    if (record_find(from, ESTATE_HASH_KEYS, &field) && field.size == HASH_KEYS)
        hash_use_keys(field.at);
    if (record_find(from, ESTATE_CLIENT_ID, &field) && record_to_number(&field, UINT64_MAX, &id))
        client_ids_after(id);
    succession_offer(self->activation, from);
}

static void
say_upgraded(const daemon_t *self)
{
    record_field_t field;
    size_t routes;
    uint64_t connections;
    text_t lines = { 0 }, object = { 0 }, count = { 0 };
    char *from = record_find(record_fields(self->before), ESTATE_VERSION, &field) ? record_to_text(&field, 64) : NULL;
    const char *known = from ? from : "?";
    broker_settle(self->broker, &routes, &connections);
    text_add(&count, "%zu route%s, %llu connection%s kept", routes, plural(routes), (unsigned long long)connections,
             plural(connections));
    text_add(&lines, "upgraded: %s -> %s, %s", known, PACKAGE_VERSION, count.data);
    json_t json = json_on(&object);
    json_object(&json, NULL);
    json_string(&json, "from", known);
    json_string(&json, "to", PACKAGE_VERSION);
    json_uint(&json, "routes", routes);
    json_uint(&json, "connections", connections);
    json_object_end(&json);
    log_event(EVENT_UPGRADED, EVENT_TEXT("from", known), EVENT_TEXT("to", PACKAGE_VERSION), EVENT_WORDS("count", count.data),
              EVENT_NUMBER("routes", routes), EVENT_NUMBER("connections", connections));
    if (self->control)
        control_answer(self->control, lines.data, object.data, NULL);
    text_free(&lines);
    text_free(&object);
    text_free(&count);
    free(from);
}

static void
serve(daemon_t *self)
{
    zloop_start(self->loop);
    while (broker_leaves(self->broker)) {
        leave(self);
        zloop_start(self->loop);
    }
}

static int
run(const options_t *options, conf_t **conf_p, policy_t **policy_p, record_t *before, diag_t *diag)
{
    daemon_t self = { .signals = process_signals(), .checked = *policy_p };
    *policy_p = NULL;
    process_tame_czmq();
    process_thread_stacks(ROUTE_STACK_BYTES);
    systemd_open();
    self.activation = activation_new();
    self.setup.overrides = options->overrides;
    self.setup.override_count = options->override_count;
    self.setup.services.epoch = process_seed();
    events_start();
    log_open((*conf_p)->log_target, (*conf_p)->syslog_facility, (*conf_p)->log_level);
    inherit(&self, before);
    self.capacity = capacity_new();
    self.memory = memory_new();
    self.letters = letters_new();
    limit_memory(&self, *conf_p);
    plan_descriptors(&self);

    int status = EXIT_OK;
    if (start(&self, conf_p, diag) == -1) {
        tell(diag);
        status = diag_denied(diag) ? EXIT_DENIED : EXIT_UNAVAILABLE;
    } else {
        count_room(&self);
        limit_clients(&self, broker_conf(self.broker));
        say_ready(broker_count(self.broker));
        begin_service(&self);
        if (self.before)
            say_upgraded(&self);
        self.before = NULL;
        record_forget(before);
        serve(&self);
        event_log(EVENT_STOPPED, NULL);
    }
    stop(&self);
    return status;
}

static int
check(const options_t *options, const conf_t *conf)
{
    size_t endpoints = conf_endpoints(conf);
    if (options->mode == MODE_DUMP)
        conf_dump(conf, stdout);
    else
        printf("%s is valid: %zu route%s, %zu endpoint%s\n", options->file, conf->route_count, plural(conf->route_count),
               endpoints, plural(endpoints));
    return fflush(stdout) == 0 ? EXIT_OK : EXIT_UNAVAILABLE;
}

#define SERVICE_USER "zbroker"

// Root may read all, the service may not: its files are checked with its eyes.
static void
become_checker(const options_t *options)
{
    bool is_for_service = options->mode != MODE_RUN && geteuid() == 0 && process_is_of_service(options->file);
    const char *user = options->user ? options->user : is_for_service ? SERVICE_USER : NULL;
    if (!user || process_become(user) == 0 || (!options->user && errno == ENOENT))
        return;
    fprintf(stderr, "zbroker: cannot check as user %s: %s\n", user, errno == ENOENT ? "no such user" : strerror(errno));
    exit(errno == EPERM ? EXIT_DENIED : EXIT_USAGE);
}

int
main(int argc, char **argv)
{
    record_t before = { 0 };
    process_close_memory();
    program_remember(argv);
    program_inherit(&before);
    options_t options = { .file = ZB_SYSCONFDIR "/zbroker.ini" };
    options_parse(&options, argc, argv);
    uid_t started_as = geteuid();
    become_checker(&options);
    diag_t *diag = diag_new();
    conf_t *conf = conf_load(options.file, options.overrides, options.override_count, diag);
    policy_t *policy = NULL;
    if (conf && guard_check(NULL, conf, &policy, diag) == -1) // at a start too: a bad file of the guard is exit 1, not 69
        conf_destroy(&conf);
    tell(diag);
    if (!conf && geteuid() != started_as)
        fprintf(stderr, "zbroker: checked as user %s, what only root can read is an error\n",
                options.user ? options.user : SERVICE_USER);

    int status = EXIT_CONF;
    if (conf && options.mode != MODE_RUN)
        status = check(&options, conf);
    else if (conf) {
        diag_destroy(&diag);
        diag = diag_new();
        status = run(&options, &conf, &policy, &before, diag);
    }
    record_forget(&before);
    policy_free(&policy);
    conf_destroy(&conf);
    diag_destroy(&diag);
    options_free(&options);
    return status;
}
