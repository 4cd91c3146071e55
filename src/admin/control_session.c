// SPDX-License-Identifier: MPL-2.0
//
// One client of the control socket: the lines that come, and the answers that go.
#include "admin/control_internal.h"

#include "admin/reply.h"
#include "base/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OUTPUT_KEPT = 128 * 1024 }; // of a client's memory, when all is sent

// --- output ---------------------------------------------------------------------------

void
session_flush(control_t *self, session_t *client)
{
    while (!client->dead && session_waiting(client)) {
        ssize_t done =
            send(client->fd, client->output.data + client->sent, session_waiting(client), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (done > 0) {
            client->sent += (size_t)done;
            client->progress_ms = clock_mono_ms();
        } else if (done == -1 && errno == EINTR) {
            continue;
        } else if (done == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            break;
        } else {
            session_drop(self, client);
        }
    }
    if (client->dead || session_waiting(client))
        return;
    client->sent = 0;
    if (client->output.room > OUTPUT_KEPT)
        text_free(&client->output); // a long answer does not hold its memory for ever
    else if (client->output.data)
        text_clear(&client->output);
}

// --- commands ----------------------------------------------------------------------

bool
session_see_end_of_tap(session_t *client)
{
    if (!tapsession_is_over(client->tap, &client->output))
        return false;
    tapsession_destroy(&client->tap);
    client->progress_ms = clock_mono_ms();
    if (client->line_ends_tap && client->input_size && client->input[0] == '\n')
        memmove(client->input, client->input + 1, --client->input_size);
    client->line_ends_tap = false;
    return true;
}

static void
begin_tap(control_t *self, session_t *client, tap_request_t *conf)
{
    text_t error = { 0 };
    bool json = conf->json;
    client->tap = tapsession_new(self->tapserver, conf, client->fd, &error);
    if (client->tap)
        return;
    tap_request_free(conf);
    reply_refuse(&client->output, json, error.data);
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
    tap_request_t tap = { 0 };
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

static void
close_passed(session_t *client)
{
    if (client->passed != -1)
        close(client->passed);
    client->passed = -1;
}

// Has it no answer yet to what it asked last?
static bool
is_busy(const session_t *client)
{
    return client->tap || client->asked || *client->leaving.route || session_waiting(client);
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
    return client->input[0] == '\n' || tapsession_is_endless(client->tap);
}

// Run the lines that have come in, one at a time: the next one when the answer
// to the last one is out.
static void
run_lines(control_t *self, session_t *client)
{
    char *end;
    while (!client->dead && (end = memchr(client->input, '\n', client->input_size))) {
        if (client->tap && ends_tap(client)) {
            client->line_ends_tap = true;
            tapsession_end(client->tap);
        }
        if (is_busy(client) || line_is_too_long(client))
            break;
        size_t size = (size_t)(end - client->input);
        run_line(self, client, client->input, size);
        close_passed(client);
        client->input_size -= size + 1;
        memmove(client->input, end + 1, client->input_size);
        session_flush(self, client);
    }
}

static void
refuse_long_line(control_t *self, session_t *client)
{
    reply_refuse(&client->output, false, "line too long");
    text_char(&client->output, '\n');
    client->input_size = 0;
    client->ended = true;
    // A close with unread input would reset the connection and take the answer with it.
    char rest[4096];
    while (recv(client->fd, rest, sizeof rest, MSG_DONTWAIT) > 0)
        ;
    session_flush(self, client);
}

// The peer has no more to say: what it asked is answered first, also a last
// line without newline. A tap without end ends here.
static void
see_end(session_t *client)
{
    client->ended = true;
    if (client->input_size && client->input_size < sizeof client->input &&
        client->input[client->input_size - 1] != '\n')
        client->input[client->input_size++] = '\n';
    if (client->tap && tapsession_is_endless(client->tap))
        tapsession_end(client->tap);
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
    if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
        head->cmsg_len == CMSG_LEN(sizeof(int)))
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
        session_drop(self, client);
        return;
    }
    if (got == 0) {
        see_end(client);
        return;
    }
    client->input_size += (size_t)got;
}

// Run what waits, then part if that was all.
static void
go_on(control_t *self, session_t *client)
{
    run_lines(self, client);
    if (client->dead || is_busy(client))
        return;
    if (line_is_too_long(client))
        refuse_long_line(self, client);
    if (!client->dead && client->ended && !session_waiting(client))
        session_drop(self, client);
}

void
session_settle(control_t *self, session_t *client)
{
    if (client->dead)
        return;
    bool reads =
        !client->ended && client->input_size < sizeof client->input && (client->tap || !session_waiting(client));
    uint32_t events = (reads ? EPOLLIN : 0) | (session_waiting(client) ? EPOLLOUT : 0);
    if (events != client->events) {
        loop_change(&self->loop, client->fd, events, &client->watched);
        client->events = events;
    }
}

void
session_advance(control_t *self, session_t *client)
{
    session_flush(self, client);
    go_on(self, client);
    session_settle(self, client);
}

void
session_ready(watched_t *watched, uint32_t events)
{
    session_t *client = (session_t *)watched;
    if (client->dead)
        return; // in this turn
    if (events & (EPOLLERR | EPOLLHUP) && !(events & EPOLLIN)) {
        session_drop(client->control, client); // nobody is there to read the rest
        return;
    }
    if (events & EPOLLIN)
        read_input(client->control, client);
    if (!client->dead)
        session_advance(client->control, client);
    close_passed(client);
}
