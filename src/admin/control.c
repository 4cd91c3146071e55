// SPDX-License-Identifier: MPL-2.0
// control.c - see control.h.
//
// One epoll descriptor of our own holds the listener, the clients and the news
// of their taps, and only that one is in the zloop: hundreds of clients that
// come and go do not make it build its poll set anew.

#include "admin/control.h"
#include "admin/answer.h"
#include "admin/commands.h"
#include "admin/controlsocket.h"
#include "admin/problems.h"
#include "admin/stats.h"
#include "admin/tapper.h"
#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 64,          // a turn
    ACCEPTS_MAX = 32,         // a turn
    INPUT_MAX = COMMAND_LINE_MAX + 2, // with CR LF
    OUTPUT_KEPT = 128 * 1024, // of a client's memory, when all is sent
    IDLE_MS = 1000,           // who has been silent for less does not make room for others
    TICK_MS = 500,
};

typedef struct session session_t;

// What an epoll event is about.
typedef enum { SOURCE_LISTENER, SOURCE_CLIENT, SOURCE_TAPS } source_kind_t;
typedef struct {
    source_kind_t kind;
    session_t *client;
} event_source_t;

struct session {
    session_t *next, *previous;
    event_source_t source;
    int fd;
    bool dead;       // freed when the turn is over
    bool ended;      // has shut its side down: closed when all is sent
    bool line_ends_tap;
    bool asked, asks_json; // for an upgrade, and waits for what becomes of it
    uint32_t events; // as registered
    char input[INPUT_MAX];
    size_t input_size;
    int passed;      // a descriptor that came in this turn, for the line that came with it; -1: none
    text_t output;
    size_t sent;
    int64_t progress_ms; // when the socket last took something, or a command came
    tapping_t *tapping; // as long as it is there, it writes to FD, not we
    leaving_t leaving;  // its route must go before there is an answer
    control_peer_t who;
};

struct control {
    zloop_t *loop;
    broker_t *broker;
    controlsocket_t socket;
    int epoll, timer;
    event_source_t source, taps_source;
    tapper_t *tapper;
    bool resting; // out of descriptors: not accepting until the next tick
    session_t *clients, *dead;
    size_t count;
};

// --- clients -----------------------------------------------------------------------

static void
watch_fd(control_t *self, int operation, int fd, uint32_t events, event_source_t *source)
{
    struct epoll_event event = { .events = events, .data.ptr = source };
    epoll_ctl(self->epoll, operation, fd, &event);
}

static void
close_passed(session_t *client)
{
    if (client->passed != -1)
        close(client->passed);
    client->passed = -1;
}

// Its memory stays until the turn is over: another event may still name it.
static void
drop(control_t *self, session_t *client)
{
    if (client->dead)
        return;
    client->dead = true;
    if (tapping_destroy(&client->tapping)) {
        close(client->fd);
    } else {
        epoll_ctl(self->epoll, EPOLL_CTL_DEL, client->fd, NULL);
        shutdown(client->fd, SHUT_RDWR);
    }
    *(client->previous ? &client->previous->next : &self->clients) = client->next;
    if (client->next)
        client->next->previous = client->previous;
    client->next = self->dead;
    self->dead = client;
    self->count--;
}

static void
bury(control_t *self)
{
    while (self->dead) {
        session_t *client = self->dead;
        self->dead = client->next;
        text_free(&client->output);
        free(client);
    }
}

static size_t
waiting(const session_t *client)
{
    return client->output.size - client->sent;
}

// Send what the socket takes. What it does not take waits for EPOLLOUT.
static void
flush(control_t *self, session_t *client)
{
    while (!client->dead && waiting(client)) {
        ssize_t done = send(client->fd, client->output.data + client->sent, waiting(client), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done > 0) {
            client->sent += (size_t)done;
            client->progress_ms = clock_mono_ms();
        } else if (done == -1 && errno == EINTR) {
            continue;
        } else if (done == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        } else {
            drop(self, client);
        }
    }
    if (client->dead || waiting(client))
        return;
    client->sent = 0;
    if (client->output.room > OUTPUT_KEPT)
        text_free(&client->output); // a long answer does not hold its memory for ever
    else if (client->output.data)
        text_clear(&client->output);
}

// --- commands ----------------------------------------------------------------------

// Is its tap over? Then what it could not send any more is ours to send.
static bool
see_end_of_tap(session_t *client)
{
    if (!tapping_is_over(client->tapping, &client->output))
        return false;
    tapping_destroy(&client->tapping);
    client->progress_ms = clock_mono_ms();
    if (client->line_ends_tap && client->input_size && client->input[0] == '\n')
        memmove(client->input, client->input + 1, --client->input_size);
    client->line_ends_tap = false;
    return true;
}

static void
begin_tap(control_t *self, session_t *client, tapping_conf_t *conf)
{
    text_t error = { 0 };
    bool json = conf->json;
    client->tapping = tapping_new(self->tapper, conf, client->fd, &error);
    if (client->tapping)
        return;
    tapping_conf_free(conf);
    answer_refuse(&client->output, json, error.data);
    text_char(&client->output, '\n');
    text_free(&error);
}

static void
wait_for_upgrade(session_t *client, bool json)
{
    client->asked = true;
    client->asks_json = json;
}

static void
run_line(control_t *self, session_t *client, const char *line, size_t size)
{
    tapping_conf_t tap = { 0 };
    if (size && line[size - 1] == '\r')
        size--;
    client->progress_ms = clock_mono_ms();
    leaving_t leaving = { 0 };
    command_result_t result =
        commands_run(self->broker, line, size, &client->who, client->passed, &client->output, &tap, &leaving);
    if (result == COMMAND_LEAVE)
        client->leaving = leaving;
    else if (result == COMMAND_WAITS)
        wait_for_upgrade(client, tap.json);
    else if (result == COMMAND_TAP)
        begin_tap(self, client, &tap);
    else
        text_char(&client->output, '\n');
}

// Has it no answer yet to what it asked last?
static bool
is_busy(const session_t *client)
{
    return client->tapping || client->asked || *client->leaving.route || waiting(client);
}

static bool
line_is_too_long(const session_t *client)
{
    const char *end = memchr(client->input, '\n', client->input_size);
    size_t size = end ? (size_t)(end - client->input) : client->input_size;
    size -= size && client->input[size - 1] == '\r';
    return size > COMMAND_LINE_MAX;
}

// An empty line ends a tap; one without end, any line does. A command behind a
// tap that has a count waits for it.
static bool
ends_tap(const session_t *client)
{
    return client->input[0] == '\n' || tapping_is_endless(client->tapping);
}

// Run the lines that have come in, one at a time: the next one when the answer
// to the last one is out.
static void
run_lines(control_t *self, session_t *client)
{
    char *end;
    while (!client->dead && (end = memchr(client->input, '\n', client->input_size))) {
        if (client->tapping && ends_tap(client)) {
            client->line_ends_tap = true;
            tapping_end(client->tapping);
        }
        if (is_busy(client) || line_is_too_long(client))
            break;
        size_t size = (size_t)(end - client->input);
        run_line(self, client, client->input, size);
        close_passed(client);
        client->input_size -= size + 1;
        memmove(client->input, end + 1, client->input_size);
        flush(self, client);
    }
}

static void
refuse_long_line(control_t *self, session_t *client)
{
    answer_refuse(&client->output, false, "line too long");
    text_char(&client->output, '\n');
    client->input_size = 0;
    client->ended = true;
    // A close with unread input would reset the connection and take the answer with it.
    char rest[4096];
    while (recv(client->fd, rest, sizeof rest, MSG_DONTWAIT) > 0)
        ;
    flush(self, client);
}

// The peer has no more to say: what it asked is answered first, also a last
// line without newline. A tap without end ends here.
static void
see_end(session_t *client)
{
    client->ended = true;
    if (client->input_size && client->input_size < sizeof client->input && client->input[client->input_size - 1] != '\n')
        client->input[client->input_size++] = '\n';
    if (client->tapping && tapping_is_endless(client->tapping))
        tapping_end(client->tapping);
}

// As recv(2), and at most one descriptor: there is room for no more, so that the
// kernel keeps the others.
static ssize_t
receive(session_t *client)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec bytes = { client->input + client->input_size, sizeof client->input - client->input_size };
    struct msghdr message = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof(int))
    };
    ssize_t got = recvmsg(client->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    const struct cmsghdr *head = got == -1 ? NULL : CMSG_FIRSTHDR(&message);
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&client->passed, CMSG_DATA(head), sizeof(int));
    return got;
}

static void
read_input(control_t *self, session_t *client)
{
    ssize_t got = receive(client);
    if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got == -1) {
        drop(self, client);
        return;
    }
    if (got == 0) {
        see_end(client);
        return;
    }
    client->input_size += (size_t)got;
}

// Send, then run what waits for that, then part if that was all.
static void
advance(control_t *self, session_t *client)
{
    flush(self, client);
    run_lines(self, client);
    if (client->dead || is_busy(client))
        return;
    if (line_is_too_long(client))
        refuse_long_line(self, client);
    if (!client->dead && client->ended && !waiting(client))
        drop(self, client);
}

// Poll for what we can use: no input while an answer waits.
static void
settle(control_t *self, session_t *client)
{
    if (client->dead)
        return;
    bool reads = !client->ended && client->input_size < sizeof client->input && (client->tapping || !waiting(client));
    uint32_t events = (reads ? EPOLLIN : 0) | (waiting(client) ? EPOLLOUT : 0);
    if (events != client->events) {
        watch_fd(self, EPOLL_CTL_MOD, client->fd, events, &client->source);
        client->events = events;
    }
}

static void
serve(control_t *self, session_t *client, uint32_t events)
{
    if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) {
        drop(self, client); // nobody is there to read the rest
        return;
    }
    if (events & EPOLLIN)
        read_input(self, client);
    if (!client->dead)
        advance(self, client);
    close_passed(client);
}

// --- routes that leave ----------------------------------------------------------------

static void
see_route_left(void *arg, const char *route, const route_leftover_t *left)
{
    control_t *self = arg;
    bool more = broker_is_leaving(self->broker, route);
    for (session_t *client = self->clients, *next; client; client = next) {
        next = client->next;
        leaving_t *leaving = &client->leaving;
        if (strcmp(leaving->route, route) != 0)
            continue;
        leaving->left.undelivered += left->undelivered;
        leaving->left.unanswered += left->unanswered;
        if (more)
            continue;
        command_left(leaving, &client->output);
        text_char(&client->output, '\n');
        *leaving = (leaving_t){ 0 };
        client->progress_ms = clock_mono_ms();
        advance(self, client);
        settle(self, client);
    }
}

// --- taps ---------------------------------------------------------------------------

void
control_follow(control_t *self)
{
    for (session_t *client = self->clients; client; client = client->next)
        if (client->tapping && !tapping_follow(client->tapping))
            tapping_end(client->tapping);
}

// --- coming and going ----------------------------------------------------------------

static bool
read_peer(int fd, control_peer_t *who)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == -1 || length != sizeof peer)
        return false;
    *who = (control_peer_t){ peer.uid, peer.gid, peer.pid };
    return true;
}

static void
log_client(event_id_t event, const session_t *client)
{
    log_event(event, EVENT_NUMBER("uid", client->who.uid), EVENT_NUMBER("gid", client->who.gid),
              EVENT_NUMBER("pid", client->who.pid));
}

// Root and the daemon's own user may do all that the daemon may.
static bool
is_privileged(const control_peer_t *who)
{
    return who->uid == 0 || who->uid == geteuid();
}

static bool
is_of_the_user(const session_t *client, const control_peer_t *newcomer)
{
    return client->who.uid == newcomer->uid;
}

static bool
is_unprivileged(const session_t *client, const control_peer_t *newcomer)
{
    (void)newcomer;
    return !is_privileged(&client->who);
}

static bool
is_a_client(const session_t *client, const control_peer_t *newcomer)
{
    (void)client, (void)newcomer;
    return true;
}

typedef bool counts_fn(const session_t *client, const control_peer_t *newcomer);

// How many clients there may be of those that count.
static const struct {
    size_t max;
    counts_fn *counts;
    bool for_privileged; // does it hold for a privileged newcomer, too?
} limits[] = {
    { CONTROL_CLIENTS_OF_USER, is_of_the_user, false },
    { CONTROL_CLIENTS_MAX - CONTROL_CLIENTS_KEPT, is_unprivileged, false },
    { CONTROL_CLIENTS_MAX, is_a_client, true },
};

static size_t
count_clients(const control_t *self, counts_fn *counts, const control_peer_t *newcomer)
{
    size_t count = 0;
    for (const session_t *client = self->clients; client; client = client->next)
        count += counts(client, newcomer);
    return count;
}

// The client that has been idle longest, not counting those that read a tap.
static session_t *
idlest(const control_t *self, counts_fn *counts, const control_peer_t *newcomer)
{
    session_t *found = NULL;
    int64_t limit = clock_mono_ms() - IDLE_MS;
    for (session_t *client = self->clients; client; client = client->next)
        if (counts(client, newcomer) && !client->tapping && !client->asked && !*client->leaving.route && client->progress_ms < limit) {
            found = client;
            limit = client->progress_ms;
        }
    return found;
}

// False: those that would have to make room are busy.
static bool
make_room(control_t *self, const control_peer_t *newcomer)
{
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        if (is_privileged(newcomer) && !limits[i].for_privileged)
            continue;
        if (count_clients(self, limits[i].counts, newcomer) < limits[i].max)
            continue;
        session_t *idle = idlest(self, limits[i].counts, newcomer);
        if (!idle)
            return false;
        drop(self, idle);
    }
    return true;
}

static void
refuse_newcomer(int fd)
{
    static const char text[] = "error: too many control clients\n\n";
    send(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT);
    close(fd);
}

static session_t *
add_client(control_t *self, int fd, const control_peer_t *who)
{
    session_t *client = xcalloc(1, sizeof *client);
    client->who = *who;
    client->fd = fd;
    client->passed = -1;
    client->source = (event_source_t){ SOURCE_CLIENT, client };
    client->progress_ms = clock_mono_ms();
    client->events = EPOLLIN;
    client->next = self->clients;
    if (self->clients)
        self->clients->previous = client;
    self->clients = client;
    self->count++;
    watch_fd(self, EPOLL_CTL_ADD, fd, EPOLLIN, &client->source);
    return client;
}

static void
admit(control_t *self, int fd)
{
    control_peer_t who;
    if (!read_peer(fd, &who)) {
        event_log(EVENT_CONTROL_REFUSED, NULL);
        close(fd);
        return;
    }
    if (!make_room(self, &who)) {
        refuse_newcomer(fd);
        return;
    }
    log_client(EVENT_CONTROL_CLIENT, add_client(self, fd, &who));
}

static void
rest(control_t *self, bool resting)
{
    self->resting = resting;
    watch_fd(self, EPOLL_CTL_MOD, self->socket.fd, resting ? 0 : EPOLLIN, &self->source);
}

static void
accept_clients(control_t *self)
{
    for (int i = 0; i < ACCEPTS_MAX; i++) {
        int fd = accept4(self->socket.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd == -1 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            log_event(EVENT_CONTROL_ACCEPT, EVENT_PROSE("reason", strerror(errno)));
            rest(self, true);
        }
        if (fd == -1)
            return;
        admit(self, fd);
    }
}

// `stop' with no route that has anything to finish: nobody else would end the loop.
static bool
is_over(const control_t *self)
{
    broker_status_t status;
    broker_status(self->broker, &status);
    return (status.stopping && broker_stopped(self->broker)) || broker_leaves(self->broker);
}

static void
look_at_taps(control_t *self)
{
    control_follow(self);
    for (session_t *client = self->clients, *next; client; client = next) {
        next = client->next;
        if (client->tapping && see_end_of_tap(client)) {
            advance(self, client);
            settle(self, client);
        }
    }
}

static int
on_events(zloop_t *loop, zmq_pollitem_t *item, void *arg)
{
    (void)loop;
    (void)item;
    control_t *self = arg;
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(self->epoll, events, EVENTS_MAX, 0);
    for (int i = 0; i < count; i++) {
        event_source_t *source = events[i].data.ptr;
        session_t *client = source->client;
        if (source->kind == SOURCE_LISTENER) {
            accept_clients(self);
        } else if (source->kind == SOURCE_TAPS) {
            tapper_look(self->tapper);
            look_at_taps(self);
        } else if (!client->dead) {
            serve(self, client, events[i].events);
            settle(self, client);
        }
    }
    bury(self);
    return is_over(self) ? -1 : 0;
}

static bool
is_stuck(const session_t *client, int64_t now)
{
    if (client->tapping)
        return tapping_stuck_ms(client->tapping) > CONTROL_TAP_STALL_MS;
    return waiting(client) && now - client->progress_ms > CONTROL_STALL_MS;
}

static int
on_tick(zloop_t *loop, int timer, void *arg)
{
    (void)loop;
    (void)timer;
    control_t *self = arg;
    int64_t now = clock_mono_ms();
    problems_tick(self->broker);
    if (controlsocket_renew(&self->socket))
        watch_fd(self, EPOLL_CTL_ADD, self->socket.fd, EPOLLIN, &self->source);
    if (self->resting)
        rest(self, false);
    look_at_taps(self);
    for (session_t *client = self->clients, *next; client; client = next) {
        next = client->next;
        if (is_stuck(client, now)) {
            log_client(EVENT_CONTROL_SLOW, client);
            drop(self, client);
        }
        settle(self, client);
    }
    bury(self);
    return 0;
}

// --- all of it -----------------------------------------------------------------------

// --- from one program to the next ------------------------------------------------------

// Never used for anything else again.
enum { TAG_PATH = 1, TAG_LISTENER, TAG_CLIENT, TAG_FD, TAG_INPUT, TAG_OUTPUT, TAG_ENDED, TAG_ASKED, TAG_JSON };

static void
save_client(const session_t *client, estate_t *to)
{
    size_t opened = record_open(&to->record, TAG_CLIENT);
    estate_fd(to, TAG_FD, client->fd);
    record_bytes(&to->record, TAG_INPUT, client->input, client->input_size);
    if (waiting(client))
        record_bytes(&to->record, TAG_OUTPUT, client->output.data + client->sent, waiting(client));
    record_number(&to->record, TAG_ENDED, client->ended);
    record_number(&to->record, TAG_ASKED, client->asked);
    record_number(&to->record, TAG_JSON, client->asks_json);
    record_close(&to->record, opened);
}

void
control_save(const control_t *self, estate_t *to)
{
    size_t opened = record_open(&to->record, ESTATE_CONTROL);
    record_text(&to->record, TAG_PATH, self->socket.path);
    estate_fd(to, TAG_LISTENER, self->socket.fd);
    for (const session_t *client = self->clients; client; client = client->next)
        if (!client->tapping)
            save_client(client, to);
    record_close(&to->record, opened);
}

static bool
is_set(record_fields_t from, unsigned tag)
{
    record_field_t field;
    uint64_t number = 0;
    return record_find(from, tag, &field) && record_to_number(&field, 1, &number) && number;
}

static void
restore_client(control_t *self, record_fields_t from)
{
    control_peer_t who;
    record_field_t field;
    int fd = estate_find_fd(from, TAG_FD);
    if (fd == -1)
        return;
    if (!read_peer(fd, &who)) {
        close(fd);
        return;
    }
    session_t *client = add_client(self, fd, &who);
    if (record_find(from, TAG_INPUT, &field) && field.size <= sizeof client->input) {
        memcpy(client->input, field.at, field.size);
        client->input_size = field.size;
    }
    if (record_find(from, TAG_OUTPUT, &field))
        text_bytes(&client->output, field.at, field.size);
    client->ended = is_set(from, TAG_ENDED);
    client->asked = is_set(from, TAG_ASKED);
    client->asks_json = is_set(from, TAG_JSON);
    settle(self, client);
}

static void
restore_clients(control_t *self, record_fields_t from)
{
    record_field_t field;
    while (record_next(&from, &field))
        if (field.tag == TAG_CLIENT)
            restore_client(self, record_inside(&field));
}

// The descriptor that listens at PATH, or -1. Its file is moved to no other place: a path that has changed is bound anew.
static int
find_listener(record_fields_t from, const char *path)
{
    record_field_t field;
    int fd = estate_find_fd(from, TAG_LISTENER);
    if (fd == -1 || !record_find(from, TAG_PATH, &field))
        return fd;
    if (field.size == strlen(path) && memcmp(field.at, path, field.size) == 0)
        return fd;
    close(fd);
    char *before = record_to_text(&field, COMMAND_LINE_MAX);
    if (before)
        unlink(before);
    free(before);
    return -1;
}

void
control_answer(control_t *self, const char *lines, const char *json, const char *failure)
{
    for (session_t *client = self->clients, *next; client; client = next) {
        next = client->next;
        if (!client->asked)
            continue;
        client->asked = false;
        if (failure)
            answer_refuse(&client->output, client->asks_json, failure);
        else
            text_add(&client->output, "%s\n", client->asks_json ? json : lines);
        text_char(&client->output, '\n');
        advance(self, client);
        settle(self, client);
    }
    bury(self);
}

control_t *
control_new(zloop_t *loop, broker_t *broker, const char *path, mode_t mode, gid_t group, const record_t *before, diag_t *diag)
{
    record_field_t field;
    record_fields_t from = { 0 };
    if (before && record_find(record_fields(before), ESTATE_CONTROL, &field))
        from = record_inside(&field);
    char reason[256] = "";
    control_t *self = xcalloc(1, sizeof *self);
    *self = (control_t){ .loop = loop, .broker = broker, .epoll = -1, .timer = -1 };
    self->source = (event_source_t){ SOURCE_LISTENER, NULL };
    self->taps_source = (event_source_t){ SOURCE_TAPS, NULL };
    self->tapper = tapper_new(broker);
    controlsocket_t *socket = &self->socket;
    if (controlsocket_open(socket, path, mode, group, find_listener(from, path), reason, sizeof reason) == -1) {
        int error = errno;
        diag_error(diag, (place_t){ 0 }, "control %s: %s", path, reason);
        diag_cause(diag, error);
        control_destroy(&self);
        return NULL;
    }
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    watch_fd(self, EPOLL_CTL_ADD, self->socket.fd, EPOLLIN, &self->source);
    watch_fd(self, EPOLL_CTL_ADD, tapper_fd(self->tapper), EPOLLIN, &self->taps_source);
    zmq_pollitem_t item = { .fd = self->epoll, .events = ZMQ_POLLIN };
    if (self->epoll == -1 || zloop_poller(loop, &item, on_events, self) == -1) {
        diag_error(diag, (place_t){ 0 }, "control %s: %s", path, strerror(errno));
        control_destroy(&self);
        return NULL;
    }
    self->timer = zloop_timer(loop, TICK_MS, 0, on_tick, self);
    broker_on_left(broker, see_route_left, self);
    restore_clients(self, from);
    return self;
}

int
control_chmod(control_t *self, mode_t mode, gid_t group)
{
    return controlsocket_chmod(&self->socket, mode, group);
}

int64_t
control_age_ms(control_t *self)
{
    return tapper_age_ms(self->tapper);
}

size_t
control_clients(const control_t *self)
{
    return self->count;
}

void
control_destroy(control_t **self_p)
{
    control_t *self = *self_p;
    *self_p = NULL;
    if (!self)
        return;
    broker_on_left(self->broker, NULL, NULL);
    for (session_t *client = self->clients; client; client = client->next)
        if (client->tapping)
            tapping_end(client->tapping);
    tapper_destroy(&self->tapper);
    while (self->clients) {
        session_t *client = self->clients;
        if (client->tapping)
            see_end_of_tap(client);
        flush(self, client);
        drop(self, client);
    }
    bury(self);
    if (self->timer != -1)
        zloop_timer_end(self->loop, self->timer);
    if (self->epoll != -1) {
        zmq_pollitem_t item = { .fd = self->epoll, .events = ZMQ_POLLIN };
        zloop_poller_end(self->loop, &item);
        close(self->epoll);
    }
    controlsocket_close(&self->socket);
    free(self);
}
