// SPDX-License-Identifier: MPL-2.0
// test_control.c - the commands and the socket they come through, with a broker
// that has no sockets.

#include "admin/commands.h"
#include "admin/control.h"
#include "admin/stats.h"
#include "admin/tapserver.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "fake_broker.h"
#include "flow/engine.h"
#include "test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static const char ini[] = "[route prices]\n"
                          "type = forwarder\n"
                          "frontend_bind = tcp://127.0.0.1:15555\n"
                          "backend_bind = tcp://127.0.0.1:15556\n"
                          "[route jobs]\n"
                          "type = streamer\n"
                          "frontend_bind = tcp://127.0.0.1:15557\n"
                          "backend_bind = tcp://127.0.0.1:15558\n"
                          "backend_connect = tcp://127.0.0.1:15559\n";

static broker_t *broker;

// --- commands without a socket --------------------------------------------------------

static char answered[1 << 20];

static const char *
ask(const char *line)
{
    text_t answer = { 0 };
    tap_request_t tap = { 0 };
    text_bytes(&answer, "", 0);
    leaving_t leaving = { 0 };
    command_result_t result = commands_run(broker, line, strlen(line), &(control_peer_t){ 0 }, -1, &answer, &tap, &leaving);
    if (result == COMMAND_TAP)
        text_add(&answer, "tap %s %zu %d %d", tap.route, tap.prefix.size, (int)tap.count, (int)tap.format);
    tap_request_free(&tap);
    snprintf(answered, sizeof answered, "%s", answer.data);
    text_free(&answer);
    return answered;
}

static bool
says(const char *line, const char *part)
{
    bool found = strstr(ask(line), part) != NULL;
    if (!found)
        printf("# %s: no \"%s\" in: %s\n", line, part, answered);
    return found;
}

static void
test_every_command_of_the_table_is_known_and_has_help(void)
{
    command_info_t info;
    unsigned i;
    for (i = 0; command_at(i, &info); i++) {
        CHECK(*info.name && *info.help);
        ask(info.name);
        CHECK(!strstr(answered, "unknown command"));
    }
    CHECK(i == 26);
    CHECK(says("help", "show stats [ROUTE]"));
}

static void
test_an_unknown_word_gets_a_suggestion(void)
{
    CHECK_TEXT(ask("pasue prices"), "error: unknown command pasue prices; did you mean pause?\n");
    CHECK_TEXT(ask("show rotues"), "error: unknown command show rotues; did you mean show routes?\n");
    CHECK_TEXT(ask("pause price"), "error: no route price; did you mean prices?\n");
    CHECK_TEXT(ask("show stats price"), "error: no route price; did you mean prices?\n");
    CHECK_TEXT(ask("tap price"), "error: no route price; did you mean prices?\n");
    CHECK_TEXT(ask("set log_level inof"), "error: no log level inof; did you mean info?\n");
    CHECK_TEXT(ask("tap prices tpoic x"), "error: unknown word tpoic; did you mean topic?\n");
    CHECK(says("record prices /tmp/x", "unknown command"));
}

static void
test_a_first_word_that_exists_is_asked_for_the_second(void)
{
    static const char what[] = "show what? routes, route, stats, clients, services, store, subscriptions, values, errors, config, plan\n";
    CHECK(says("show", "error: show what? routes, "));
    CHECK_TEXT(strstr(answered, "show what?"), what);
    CHECK(says("show topics", "error: unknown command show topics; show what? routes, "));
    CHECK_TEXT(strstr(answered, "show what?"), what);
    CHECK_TEXT(ask("set"), "error: set what? log_level\n");
    CHECK_TEXT(ask("clear counter"), "error: unknown command clear counter; did you mean clear counters?\n");
    CHECK_TEXT(ask("shwo"), "error: unknown command shwo; did you mean show?\n");
    CHECK_TEXT(ask("show json"), "{\"error\":\"show what? routes, route, stats, clients, services, store, subscriptions, values, errors, config, plan\"}\n");
}

// Every way to mistype them by one letter.
static void
test_nothing_that_cuts_is_ever_suggested(void)
{
    static const char *const cutting[] = { "stop", "drain", "disable", "kick" };
    char wrong[16];
    for (size_t i = 0; i < COUNT(cutting); i++)
        for (size_t at = 0; cutting[i][at]; at++) {
            snprintf(wrong, sizeof wrong, "%s", cutting[i]);
            wrong[at] = 'x';
            ask(wrong);
            CHECK(strstr(answered, "error: unknown command") && !strstr(answered, cutting[i]));
        }
    CHECK(!strstr(ask("shop"), "stop"));
}

static void
test_show_route_says_all_of_one(void)
{
    CHECK(says("show route prices", "FRONTEND_RECEIVED_BYTES"));
    CHECK(strstr(answered, "CONNECTED_AT") && strstr(answered, "[route prices]") && !strstr(answered, "jobs"));
    CHECK(says("show route prices json", "\"options\":[{\"key\""));
    CHECK(strstr(answered, "\"clients\":") && strstr(answered, "\"events\":") && !strstr(answered, "\"jobs\""));
    CHECK_TEXT(ask("show route price"), "error: no route price; did you mean prices?\n");
    CHECK_TEXT(ask("show route price json"), "{\"error\":\"no route price; did you mean prices?\"}\n");
}

// The command has looked before; nobody else need to.
static void
test_a_tapper_knows_the_routes_too(void)
{
    tapserver_t *tapserver = tapserver_new(broker);
    tap_request_t conf = { .route = "price" };
    text_t error = { 0 };
    CHECK(!tapsession_new(tapserver, &conf, -1, &error));
    CHECK_TEXT(error.data, "no route price; did you mean prices?");
    text_free(&error);
    tapserver_destroy(&tapserver);
}

static void
test_arguments_are_counted(void)
{
    CHECK_TEXT(ask("pause"), "error: usage: pause ROUTE\n");
    CHECK_TEXT(ask("pause prices jobs"), "error: usage: pause ROUTE\n");
    CHECK_TEXT(ask("kick prices"), "error: usage: kick ROUTE CLIENT\n");
    CHECK_TEXT(ask(""), "error: no command; `help' lists them\n");
    CHECK_TEXT(ask("a b c d e f g h i j k l m n o p q r"), "error: too many words\n");
    CHECK_TEXT(ask("pause json"), "{\"error\":\"usage: pause ROUTE\"}\n");
}

static void
test_verbs_reach_the_broker(void)
{
    text_clear(&broker->calls);
    broker->stops = 0;
    CHECK_TEXT(ask("pause prices"), "route prices: paused\n");
    CHECK_TEXT(ask("  resume \t prices json "), "{\"ok\":true}\n");
    CHECK_TEXT(ask("drain prices"), "route prices: draining\n");
    CHECK_TEXT(ask("disable prices"), "route prices: disabled\n");
    CHECK_TEXT(ask("disable prices json"), "{\"ok\":true,\"undelivered\":0,\"unanswered\":0}\n");
    CHECK_TEXT(ask("enable \"prices\""), "route prices: running\n");
    CHECK_TEXT(ask("kick prices 7"), "route prices: client 7 kicked\n");
    CHECK_TEXT(ask("kick prices 8 json"), "{\"error\":\"route prices has no client 8\"}\n");
    CHECK_TEXT(broker->calls.data, "pause prices\nresume prices\ndrain prices\ndisable prices\ndisable prices\nenable prices\nkick prices 7\nkick prices 8\n");
    CHECK_TEXT(ask("stop"), "stopping\n");
    CHECK(broker->stops == 1);
}

static void
test_a_failed_reload_lists_every_problem_and_no_blank_line(void)
{
    CHECK_TEXT(ask("reload"), "route prices: started\n");
    CHECK_TEXT(ask("reload json"), "{\"ok\":true,\"changes\":[\"route prices: started\"]}\n");
    broker->refuses_reload = true;
    CHECK_TEXT(ask("reload"), "error: not reloaded, nothing was changed\nfake.ini:1:1: error: one\nfake.ini:2:1: error: two\n");
    CHECK_TEXT(ask("reload json"), "{\"error\":\"not reloaded, nothing was changed\",\"problems\":[\"fake.ini:1:1: error: one\",\"fake.ini:2:1: error: two\"]}\n");
    broker->refuses_reload = false;
    CHECK_TEXT(ask("show plan fake.ini"), "error: FILE must be an absolute path, not fake.ini\n");
    CHECK(says("show plan /tmp/x.ini", "error: FILE must come as an open descriptor"));
    CHECK_TEXT(ask("show plan json"), "{\"ok\":true,\"plan\":[\"plan of fake.ini\"]}\n");
    CHECK(says("show plan x.ini", "error: FILE must be an absolute path"));
}

static void
test_json_is_not_asked_for_by_an_argument(void)
{
    CHECK_TEXT(ask("tap prices format json"), "tap prices 0 0 2");
    CHECK_TEXT(ask("tap prices topic json"), "tap prices 4 0 0");
    CHECK_TEXT(ask("tap prices json"), "tap prices 0 0 2");
    CHECK_TEXT(ask("tap prices topic \"a b\" count 5 format hex"), "tap prices 3 5 1");
    CHECK_TEXT(ask("tap prices topic \\x00\\n"), "tap prices 2 0 0");
    CHECK(says("tap prices topic \\q", "error: topic \\q"));
    CHECK(says("tap prices count 0", "error: count 0"));
    CHECK(says("tap prices count -1", "error: count -1"));
    CHECK(says("tap prices format xml", "error: format xml"));
    CHECK(says("tap prices topic", "error: topic what?"));
    CHECK(says("pause \"json\"", "error: no route json"));
    CHECK(says("pause \"prices", "error: a closing quote is missing"));
}

static void
test_clear_counters_is_a_base_line(void)
{
    counters_t *counters = &broker->routes[0].counters;
    counter_set(&counters->sides[SIDE_FRONTEND].messages_received, 1000);
    counter_set(&counters->dropped[DROP_HWM], 7);
    CHECK(says("show stats prices json", "\"messages_received\":1000"));
    CHECK(says("show stats prices json", "\"dropped\":{\"hwm\":7,"));
    CHECK_TEXT(ask("clear counters prices"), "route prices: counters cleared\n");
    CHECK(says("show stats prices json", "\"dropped\":{\"hwm\":0,"));
    CHECK(!strstr(answered, "1000"));
    counter_add(&counters->sides[SIDE_FRONTEND].messages_received, 5);
    CHECK(says("show stats json", "\"messages_received\":5"));
    CHECK_TEXT(ask("clear counters"), "counters cleared\n");
    CHECK(says("clear counters nothing", "error: no route nothing"));
}

// For five seconds; on a busy machine some more may have passed before one looks, so this is said right before.
static void
block_for_five_seconds(counter_t *since)
{
    counter_set(since, (uint64_t)clock_mono_ns() - 5000000000u);
}

static void
test_a_blocked_route_says_side_and_since_when(void)
{
    counter_t *since = &broker->routes[0].counters.sides[SIDE_BACKEND].blocked_since_ns;
    CHECK(says("show routes json", "\"blocked\":null"));
    block_for_five_seconds(since);
    CHECK(says("show routes json", "\"blocked\":{\"side\":\"backend\",\"since\":\"20"));
    block_for_five_seconds(since);
    CHECK(says("show routes", "blocked: nothing is connected to the backend, messages have waited for 5 s"));
    counter_set(&broker->routes[0].counters.sides[SIDE_BACKEND].connections, 1);
    block_for_five_seconds(since);
    CHECK(says("status", "error: route prices: blocked: the backend has taken no messages for 5 s"));
    CHECK(strncmp(answered, "zbroker ", 8) == 0);
    block_for_five_seconds(since);
    CHECK(says("show stats json", "\"blocked_seconds\":5"));
    broker->routes[0].state = ROUTE_PAUSED;
    CHECK(says("show routes json", "\"state\":\"paused\",\"failure\":null"));
    CHECK(!strstr(answered, "\"side\""));
    broker->routes[0].state = ROUTE_FAILED;
    broker->routes[0].failure = "\033[31mbad";
    CHECK(says("show routes", "failed: \\x1b[31mbad"));
    broker->routes[0].state = ROUTE_RUNNING;
    counter_set(since, 0);
}

static size_t
cells(const char *line)
{
    size_t count = 0;
    for (bool blank = true; *line && *line != '\n'; line++) {
        count += blank && *line != ' ';
        blank = *line == ' ';
    }
    return count;
}

static void
test_tables_have_a_header_and_a_cell_in_every_column(void)
{
    static const char *const lines[] = { "show stats", "show routes" };
    for (size_t i = 0; i < 2; i++) {
        broker->routes[0].state = broker->routes[1].state = ROUTE_PAUSED; // its problem is one
        const char *header = ask(lines[i]);
        const char *first = strchr(header, '\n') + 1, *second = strchr(first, '\n') + 1;
        CHECK(strncmp(header, "ROUTE ", 6) == 0);
        CHECK(strncmp(first, "prices ", 7) == 0);
        CHECK(strncmp(second, "jobs ", 5) == 0);
        // The last column of show routes is a sentence.
        CHECK(i == 1 ? cells(first) >= cells(header) : cells(first) == cells(header));
        CHECK(cells(first) == cells(second));
        broker->routes[0].state = broker->routes[1].state = ROUTE_RUNNING;
    }
    CHECK(says("show clients", "ID  ROUTE  SIDE  PEER  USER  CONNECTED_AT  BACKLOG_BYTES  TYPE  ZMTP  MECHANISM  RECEIVED  SENT  QUEUED  QUEUED_BYTES  "
                               "DROPPED  SUBSCRIPTIONS  IDLE_MS\n"));
    CHECK(says("show clients json", "{\"clients\":[]}"));
    client_t clients[2];
    client_know_nothing(&clients[0]);
    clients[0] = (client_t){ .id = 3, .route = "jobs", .side = SIDE_BACKEND, .peer = "192.0.2.7:4000", .user = "a\x1b[2J", .socket_type = "PULL",
                             .zmtp = "3.1", .mechanism = "CURVE", .routing_id = "\0\"w", .routing_id_size = 3, .messages_sent = 9, .queued = 4,
                             .queued_bytes = 256, .dropped = 2, .idle_ms = 70 };
    client_know_nothing(&clients[1]);
    clients[1].id = 4;
    clients[1].route = "prices";
    broker->clients = clients;
    broker->client_count = 2;
    CHECK(says("show clients json", "{\"clients\":[{\"id\":3,"));
    CHECK(strstr(answered, ",\"backlog_bytes\":0,\"socket_type\":\"PULL\",\"zmtp\":\"3.1\",\"mechanism\":\"CURVE\",\"messages_received\":0,"
                           "\"messages_sent\":9,\"received_bytes\":0,\"sent_bytes\":0,\"queued\":4,\"queued_bytes\":256,\"dropped\":2,"
                           "\"subscriptions\":0,\"idle_ms\":70,\"routing_id\":\"\\\\x00\\\\x22w\",\"state\":\"connected\"}"));
    CHECK(strstr(answered, ",\"backlog_bytes\":-1,\"socket_type\":null,\"zmtp\":null,\"mechanism\":null,\"messages_received\":null,"));
    CHECK(strstr(answered, ",\"idle_ms\":null,\"routing_id\":null,\"state\":\"connected\"}"));
    const char *first = strchr(ask("show clients"), '\n') + 1, *second = strchr(first, '\n') + 1;
    CHECK(!strchr(first, '\x1b') && cells(first) == cells(answered) && cells(second) == cells(answered));
    CHECK(strstr(first, "PULL  3.1   CURVE ") && strstr(second, "-  -     -    "));
    broker->client_count = 0;
    CHECK(says("show subscriptions", "ROUTE  TOPIC\n"));
    CHECK(says("show config", "[zbroker]\n"));
    CHECK(says("show config jobs", "[route jobs]\n"));
    CHECK(!strstr(answered, "[zbroker]"));
    CHECK(!strstr(answered, "\n\n"));
    CHECK(says("show config json", "\"routes\":[{\"name\":\"prices\",\"options\":[{\"key\":"));
}

// --- the socket ---------------------------------------------------------------------------

static zloop_t *loop;
static char folder[64], path[100];

// Let the loop run for a few turns: what is ready is handled.
static int
end_turns(zloop_t *ending, int timer, void *arg)
{
    (void)ending, (void)timer, (void)arg;
    return -1;
}

static void
turn(void)
{
    zloop_timer(loop, 5, 1, end_turns, NULL);
    zloop_start(loop);
}

static int
client(void)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == -1) {
        close(fd);
        return -1;
    }
    return fd;
}

static void
say(int fd, const char *text)
{
    CHECK(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

// What FD gets until COUNT blank lines have come, or its end.
static const char *
hear(int fd, int count)
{
    size_t size = 0;
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; clock_mono_ms() < end && count > 0;) {
        turn();
        ssize_t got;
        while (size < sizeof answered - 1 && (got = recv(fd, answered + size, sizeof answered - 1 - size, 0)) > 0)
            size += (size_t)got;
        answered[size] = '\0';
        int blank = 0;
        for (const char *at = answered; (at = strstr(at, "\n\n")); at++)
            blank++;
        if (blank >= count || got == 0)
            break;
    }
    answered[size] = '\0';
    return answered;
}

// True once the other end has closed.
static bool
closed(int fd)
{
    char byte;
    for (int64_t end = clock_mono_ms() + ENOUGH_MS; clock_mono_ms() < end;) {
        turn();
        ssize_t got;
        while ((got = recv(fd, &byte, 1, 0)) == 1)
            ;
        if (got == 0 || (got == -1 && errno != EAGAIN))
            return true;
    }
    return false;
}

static control_t *
open_control(void)
{
    diag_t *diag = diag_new();
    control_t *control = control_new(loop, broker, path, 0640, (gid_t)-1, NULL, diag);
    CHECK(fake_diag_is_empty(diag));
    diag_destroy(&diag);
    return control;
}

static void
test_a_connection_takes_many_commands(void)
{
    control_t *control = open_control();
    struct stat st;
    CHECK(stat(path, &st) == 0 && (st.st_mode & 07777) == 0640);
    int fd = client();
    say(fd, "pause prices\r\nresume prices\nshow sta");
    CHECK_TEXT(hear(fd, 2), "route prices: paused\n\nroute prices: running\n\n");
    say(fd, "ts nothing\n");
    CHECK_TEXT(hear(fd, 1), "error: no route nothing\n\n");
    say(fd, "pause jobs"); // no newline: its end is the end
    shutdown(fd, SHUT_WR);
    CHECK_TEXT(hear(fd, 1), "route jobs: paused\n\n");
    CHECK(closed(fd));
    CHECK(control_clients(control) == 0);
    close(fd);
    control_destroy(&control);
    CHECK(access(path, F_OK) == -1);
}

// Say TEXT, and send COUNT times the descriptor PASSED with it.
static void
say_with(int fd, const char *text, int passed, int count)
{
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(16 * sizeof(int))];
    } control = { 0 };
    struct iovec bytes = { (char *)(uintptr_t)text, strlen(text) };
    struct msghdr message = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = &control,
                              .msg_controllen = CMSG_SPACE((size_t)count * sizeof(int)) };
    control.header = (struct cmsghdr){ .cmsg_len = CMSG_LEN((size_t)count * sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS };
    for (int i = 0; i < count; i++)
        memcpy(CMSG_DATA(&control.header) + (size_t)i * sizeof(int), &passed, sizeof passed);
    CHECK(sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

// The lowest number that is free: it is the same again when nothing stays open.
static int
next_descriptor(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

static void
test_a_descriptor_is_for_the_line_that_it_came_with(void)
{
    control_t *control = open_control();
    int fd = client(), file = memfd_create("plan", MFD_CLOEXEC);
    CHECK(write(file, "!", 1) == 1);
    say(fd, "status\n");
    hear(fd, 1);
    int free_one = next_descriptor();
    say_with(fd, "show plan /tmp/x.ini\n", file, 1);
    CHECK_TEXT(hear(fd, 1), "plan of /tmp/x.ini!\n\n");
    say(fd, "show plan /tmp/x.ini\n");
    CHECK(strncmp(hear(fd, 1), "error: FILE must come", 21) == 0);
    say_with(fd, "pause jobs\n", file, 1); // which wants none
    CHECK_TEXT(hear(fd, 1), "route jobs: paused\n\n");
    say_with(fd, "show plan /tmp/x.ini\nshow plan /tmp/y.ini\n", file, 1);
    CHECK(strstr(hear(fd, 2), "plan of /tmp/x.ini!\n\nerror: FILE must come"));
    for (int i = 0; i < 100; i++)
        say_with(fd, "show", file, 16); // without end
    say(fd, "\n");
    hear(fd, 1);
    CHECK(next_descriptor() == free_one);
    close(file);
    close(fd);
    control_destroy(&control);
}

static void
test_a_line_of_4096_bytes_is_taken_and_a_longer_one_is_not(void)
{
    control_t *control = open_control();
    for (int extra = 0; extra < 3; extra++) {
        char *line = xcalloc(20000, 1);
        int fd = client();
        memset(line, 'x', extra == 2 ? 19000 : (size_t)(4096 + extra));
        if (extra < 2)
            strcat(line, "\n");
        say(fd, line);
        hear(fd, 1);
        CHECK(strncmp(answered, extra ? "error: line too long\n\n" : "error: unknown command xxx", 22) == 0);
        if (extra)
            CHECK(closed(fd));
        close(fd);
        free(line);
    }
    control_destroy(&control);
}

static void
test_a_client_that_does_not_read_holds_up_nobody(void)
{
    control_t *control = open_control();
    int deaf = client(), other = client(), sent = 0;
    // More than the socket's buffers hold: it is not read again until it takes its answers.
    for (int i = 0; i < 20000; i++)
        sent += send(deaf, "show config json\n", 17, MSG_NOSIGNAL) == 17;
    CHECK(sent > 10);
    turn();
    int64_t before = clock_mono_ms();
    say(other, "pause jobs\n");
    CHECK_TEXT(hear(other, 1), "route jobs: paused\n\n");
    printf("# answered after %lld ms\n", (long long)(clock_mono_ms() - before));
    CHECK(control_clients(control) == 2);
    close(deaf);
    close(other);
    control_destroy(&control);
}

static void
test_an_idle_client_makes_room_where_too_many_are(void)
{
    control_t *control = open_control();
    int fds[CONTROL_CLIENTS_MAX + 1];
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++) {
        fds[i] = client();
        turn();
    }
    while (control_clients(control) < CONTROL_CLIENTS_MAX)
        turn();
    say(fds[0], "pause jobs\n");
    CHECK_TEXT(hear(fds[0], 1), "route jobs: paused\n\n");
    for (int64_t end = clock_mono_ms() + 1100; clock_mono_ms() < end;) // they must have been silent for a second
        turn();
    say(fds[0], "pause jobs\n");
    hear(fds[0], 1);
    fds[CONTROL_CLIENTS_MAX] = client();
    say(fds[CONTROL_CLIENTS_MAX], "resume jobs\n");
    CHECK_TEXT(hear(fds[CONTROL_CLIENTS_MAX], 1), "route jobs: running\n\n");
    CHECK(control_clients(control) == CONTROL_CLIENTS_MAX);
    say(fds[0], "pause jobs\n"); // it was not the idlest
    CHECK_TEXT(hear(fds[0], 1), "route jobs: paused\n\n");
    for (int i = 0; i <= CONTROL_CLIENTS_MAX; i++)
        close(fds[i]);
    control_destroy(&control);
}

static void
check_refused(const char *part)
{
    diag_t *diag = diag_new();
    control_t *control = control_new(loop, broker, path, 0640, (gid_t)-1, NULL, diag);
    CHECK(!control);
    CHECK(diag_errors(diag) == 1);
    CHECK(diag_errors(diag) && strstr(diag_text(diag, 0, NULL), part));
    control_destroy(&control);
    diag_destroy(&diag);
}

static void
test_what_is_in_the_way_is_left_alone(void)
{
    struct stat st;
    int file = open(path, O_CREAT | O_WRONLY, 0600);
    close(file);
    check_refused("not a socket");
    CHECK(stat(path, &st) == 0 && S_ISREG(st.st_mode));
    unlink(path);

    control_t *living = open_control();
    check_refused("in use");
    int fd = client(); // it has survived that
    say(fd, "pause jobs\n");
    CHECK_TEXT(hear(fd, 1), "route jobs: paused\n\n");
    close(fd);
    control_destroy(&living);

    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int dead = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(bind(dead, (struct sockaddr *)&address, sizeof address) == 0);
    close(dead);
    control_t *control = open_control();
    CHECK(control);
    control_destroy(&control);
}

// A route of an engine that knows what it is not connected to.
struct route {
    const route_engine_t *engine;
};

static const char *
no_endpoint(const route_t *self, side_t side, size_t i, bool *connected)
{
    (void)self, (void)side, (void)i, (void)connected;
    return NULL;
}

static void
list_down(route_t *self, endpoint_down_fn_t *fn, void *arg)
{
    (void)self;
    int64_t now_ms = clock_wall_ns() / 1000000;
    fn(SIDE_FRONTEND, "tcp://quotes.example:5555", "Connection refused", now_ms - 12500, arg);
    fn(SIDE_BACKEND, "ipc:///run/x", "No such file or directory", now_ms, arg);
}

static void
test_endpoints_that_are_not_connected_are_named(void)
{
    static const route_engine_t engine = { .endpoint = no_endpoint, .endpoints_down = list_down };
    static const route_engine_t ignorant = { .endpoint = no_endpoint };
    route_t prices = { &engine }, jobs = { &ignorant };
    CHECK(says("status json", "{") && strstr(answered, ",\"endpoints_down\":[]}"));
    broker->routes[0].route = &prices;
    broker->routes[1].route = &jobs;
    ask("status");
    CHECK(strstr(answered, "\nwarning: route prices: tcp://quotes.example:5555: not connected for 12 s: Connection refused\n"));
    CHECK(strstr(answered, "\nwarning: route prices: ipc:///run/x: not connected for 0 s: No such file or directory\n"));
    ask("status json");
    CHECK(strstr(answered, ",\"endpoints_down\":[{\"route\":\"prices\",\"side\":\"frontend\",\"endpoint\":\"tcp://quotes.example:5555\","
                           "\"reason\":\"Connection refused\",\"since\":\"2"));
    ask("show routes json");
    CHECK(strstr(answered, ",\"endpoints_down\":[{\"side\":\"frontend\",\"endpoint\":\"tcp://quotes.example:5555\",\"reason\":\"Connection refused\","));
    broker->routes[0].route = broker->routes[1].route = NULL;
}

int
main(void)
{
    snprintf(folder, sizeof folder, "/tmp/zb-control-XXXXXX");
    if (!mkdtemp(folder))
        return EXIT_FAILURE;
    snprintf(path, sizeof path, "%s/control.sock", folder);
    log_set_level(LOG_LEVEL_ERROR);
    zsys_handler_set(NULL);
    loop = zloop_new();
    zloop_set_nonstop(loop, true);
    broker = fake_broker_new(ini);

    RUN(test_every_command_of_the_table_is_known_and_has_help);
    RUN(test_an_unknown_word_gets_a_suggestion);
    RUN(test_a_first_word_that_exists_is_asked_for_the_second);
    RUN(test_nothing_that_cuts_is_ever_suggested);
    RUN(test_show_route_says_all_of_one);
    RUN(test_a_tapper_knows_the_routes_too);
    RUN(test_arguments_are_counted);
    RUN(test_verbs_reach_the_broker);
    RUN(test_a_failed_reload_lists_every_problem_and_no_blank_line);
    RUN(test_json_is_not_asked_for_by_an_argument);
    RUN(test_clear_counters_is_a_base_line);
    RUN(test_a_blocked_route_says_side_and_since_when);
    RUN(test_endpoints_that_are_not_connected_are_named);
    RUN(test_tables_have_a_header_and_a_cell_in_every_column);
    RUN(test_a_connection_takes_many_commands);
    RUN(test_a_descriptor_is_for_the_line_that_it_came_with);
    RUN(test_a_line_of_4096_bytes_is_taken_and_a_longer_one_is_not);
    RUN(test_a_client_that_does_not_read_holds_up_nobody);
    RUN(test_an_idle_client_makes_room_where_too_many_are);
    RUN(test_what_is_in_the_way_is_left_alone);

    fake_broker_destroy(&broker);
    zloop_destroy(&loop);
    rmdir(folder);
    return test_done();
}
