// SPDX-License-Identifier: MPL-2.0
// zbrokerctl(8) - a thin client of the control socket: sends its arguments,
// prints the answer. It knows no commands but `top' and `check-reload', which
// are made of others.

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "conf/raw.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_NO_DAEMON };

#define DEFAULT_FILE ZB_SYSCONFDIR "/zbroker.ini"
#define DEFAULT_SOCKET ZB_RUNSTATEDIR "/zbroker/control.sock"
#define FILE_MAX (16 * 1024 * 1024)

static const char usage[] =
    "usage: zbrokerctl [-s PATH] [-c FILE] [-j] [-w SECONDS] COMMAND...\n"
    "       zbrokerctl [-s PATH] [-c FILE] [-w SECONDS] top [ROUTE]\n"
    "       zbrokerctl [-s PATH] -c FILE check-reload\n"
    "       zbrokerctl -V | -h\n"
    "\n"
    "  -s, --socket PATH    the control socket (default: what FILE says, else " DEFAULT_SOCKET ")\n"
    "  -c, --config FILE    read `control' there (default " DEFAULT_FILE ")\n"
    "  -j, --json           answer in JSON\n"
    "  -w, --watch SECONDS  repeat until interrupted\n"
    "  -V, --version        the version\n"
    "  -h, --help           this\n"
    "\n"
    "`zbrokerctl help' asks the daemon for its commands. See zbrokerctl(8).\n";

typedef struct {
    const char *socket, *file;
    bool json, top;
    double seconds; // 0: once
    text_t line;    // what is sent
} options_t;

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

// --- options -------------------------------------------------------------------------

static _Noreturn void
wrong_usage(const char *what)
{
    if (what)
        fprintf(stderr, "zbrokerctl: %s\n", what);
    fputs("Try zbrokerctl --help.\n", stderr);
    exit(EXIT_USAGE);
}

// A word as the daemon reads it back: in quotes if it holds what would cut it.
static void
add_word(text_t *line, const char *word)
{
    if (line->size)
        text_char(line, ' ');
    if (*word && !strpbrk(word, " \t\r\n\"")) {
        text_add(line, "%s", word);
        return;
    }
    text_char(line, '"');
    for (; *word; word++)
        if (*word == '"' || *word == '\\')
            text_add(line, "\\%c", *word);
        else if (*word == '\n' || *word == '\r' || *word == '\t')
            text_add(line, "\\%c", *word == '\n' ? 'n' : *word == '\r' ? 'r' : 't');
        else
            text_char(line, *word);
    text_char(line, '"');
}

static char *
absolute(const char *file)
{
    char folder[PATH_MAX];
    if (*file == '/')
        return xstrdup(file);
    if (!getcwd(folder, sizeof folder)) {
        fprintf(stderr, "zbrokerctl: the current folder is unknown: %s\n", strerror(errno));
        exit(EXIT_USAGE);
    }
    return xasprintf("%s/%s", folder, file);
}

// The two words of our own. False: WORD is the daemon's.
static bool
own_word(options_t *self, const char *word)
{
    if (strcmp(word, "top") == 0) {
        if (self->json)
            wrong_usage("top has no JSON; use -j -w 1 show stats");
        self->top = true;
        if (self->seconds <= 0)
            self->seconds = 1;
        text_add(&self->line, "show stats");
        return true;
    }
    if (strcmp(word, "check-reload") == 0) {
        if (!self->file)
            wrong_usage("check-reload needs -c FILE");
        char *file = absolute(self->file);
        text_add(&self->line, "show plan");
        add_word(&self->line, file);
        free(file);
        return true;
    }
    return false;
}

static double
read_seconds(const char *text)
{
    char *end;
    errno = 0;
    double seconds = strtod(text, &end);
    if (*end || end == text || errno || !isfinite(seconds) || seconds < 0.1 || seconds > 86400)
        wrong_usage("-w wants seconds, 0.1 to 86400");
    return seconds;
}

static void
parse_options(options_t *self, int argc, char **argv)
{
    static const struct option longs[] = {
        { "socket", required_argument, NULL, 's' }, { "config", required_argument, NULL, 'c' },
        { "json", no_argument, NULL, 'j' },         { "watch", required_argument, NULL, 'w' },
        { "version", no_argument, NULL, 'V' },      { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int c;
    // "+": what follows the command is the command's.
    while ((c = getopt_long(argc, argv, "+s:c:jw:Vh", longs, NULL)) != -1)
        switch (c) {
        case 's':
            self->socket = optarg;
            break;
        case 'c':
            self->file = optarg;
            break;
        case 'j':
            self->json = true;
            break;
        case 'w':
            self->seconds = read_seconds(optarg);
            break;
        case 'V':
            puts("zbrokerctl " PACKAGE_VERSION);
            exit(EXIT_OK);
        case 'h':
            fputs(usage, stdout);
            exit(EXIT_OK);
        default:
            wrong_usage(NULL);
        }
    if (optind == argc)
        wrong_usage("no command; `zbrokerctl help' lists them");
    if (own_word(self, argv[optind]))
        optind++;
    for (int i = optind; i < argc; i++)
        add_word(&self->line, argv[i]);
    if (self->json)
        text_add(&self->line, " json");
    if (memchr(self->line.data, '\n', self->line.size))
        wrong_usage("a command is one line");
    text_char(&self->line, '\n');
}

// --- where the socket is -----------------------------------------------------------------

static bool
read_file(const char *file, text_t *text)
{
    FILE *in = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
    char block[4096];
    size_t got;
    if (!in)
        return false;
    text_bytes(text, "", 0);
    while (text->size < FILE_MAX && (got = fread(block, 1, sizeof block, in)) > 0)
        text_bytes(text, block, got);
    bool failed = ferror(in);
    if (in != stdin)
        fclose(in);
    return !failed;
}

// `control' of [zbroker] in FILE and what it includes, as far as they can be read: whether the rest is right is not our
// business, least of all before a reload. NULL: it is nowhere.
static char *
control_of(const char *file, const text_t *text)
{
    raw_t raw = { 0 };
    diag_t *diag = diag_new();
    const raw_item_t *found = NULL;
    raw_read(&raw, file, text->data, text->size, NULL, 0, diag);
    for (size_t i = 0; i < raw.sections[RAW_PROCESS].count; i++)
        if (strcmp(raw.sections[RAW_PROCESS].items[i].key, "control") == 0)
            found = &raw.sections[RAW_PROCESS].items[i];
    char *path = NULL;
    if (found)
        path = *found->value && *found->value != '/' ? xasprintf("%s/%s", found->folder, found->value) : xstrdup(found->value);
    raw_free(&raw);
    diag_destroy(&diag);
    return path;
}

// The caller frees.
static char *
socket_path(const options_t *options)
{
    text_t text = { 0 };
    char *path = NULL;
    if (options->socket)
        return xstrdup(options->socket);
    const char *file = options->file ? options->file : DEFAULT_FILE;
    if (read_file(file, &text)) {
        path = control_of(file, &text);
    } else if (options->file) {
        fprintf(stderr, "zbrokerctl: %s: %s\n", file, strerror(errno));
        exit(EXIT_USAGE);
    }
    text_free(&text);
    if (path && !*path) {
        fprintf(stderr, "zbrokerctl: %s switches the control socket off\n", file);
        exit(EXIT_NO_DAEMON);
    }
    return path ? path : xstrdup(DEFAULT_SOCKET);
}

// --- the connection ------------------------------------------------------------------------

static int
connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "zbrokerctl: %s: the path is too long\n", path);
        exit(EXIT_NO_DAEMON);
    }
    memcpy(address.sun_path, path, strlen(path));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd == -1 || connect(fd, (struct sockaddr *)&address, sizeof address) == -1) {
        fprintf(stderr, "zbrokerctl: no daemon at %s: %s\n", path, strerror(errno));
        exit(EXIT_NO_DAEMON);
    }
    return fd;
}

static _Noreturn void
lost(void)
{
    fflush(stdout);
    fputs("zbrokerctl: the daemon closed the connection\n", stderr);
    exit(EXIT_NO_DAEMON);
}

static void
send_bytes(int fd, const char *bytes, size_t size)
{
    while (size) {
        ssize_t done = send(fd, bytes, size, MSG_NOSIGNAL);
        if (done == -1 && errno == EINTR)
            continue;
        if (done == -1)
            return; // it may have said why: the answer is read
        bytes += done;
        size -= (size_t)done;
    }
}

// --- answers ----------------------------------------------------------------------------------

// How an answer is shown, and what it turned out to be.
typedef struct {
    text_t line;   // being received
    bool begun;    // the first line was seen
    bool failed;
    bool told;     // that we were interrupted
    bool json;
    int columns;   // cut there; 0: not
    bool clears;   // to the end of each line, on a terminal
} answer_t;

static void
put_line(answer_t *self)
{
    const char *text = self->line.data;
    size_t size = self->line.size;
    if (!self->begun)
        self->failed = self->json ? strncmp(text, "{\"error\":", 9) == 0 : strncmp(text, "error: ", 7) == 0;
    self->begun = true;
    FILE *out = self->failed && !self->json ? stderr : stdout;
    for (int column = 0; self->columns && size; column++) { // whole characters of UTF-8
        if (column == self->columns) {
            size = (size_t)(text - self->line.data);
            break;
        }
        size_t length = text_utf8(text, self->line.size - (size_t)(text - self->line.data));
        text += length ? length : 1;
        if ((size_t)(text - self->line.data) >= self->line.size)
            break;
    }
    fwrite(self->line.data, 1, size, out);
    fputs(self->clears ? "\033[K\n" : "\n", out);
}

// Take what has come. True when the blank line is there.
static bool
take(answer_t *self, const char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != '\n') {
            text_char(&self->line, bytes[i]);
            continue;
        }
        if (!self->line.size)
            return true;
        put_line(self);
        text_clear(&self->line);
    }
    return false;
}

// Print the answer up to its blank line. Ctrl-C ends a tap with a line of its
// own, so that what was missed is still told; a second one ends us.
static void
read_answer(int fd, answer_t *self)
{
    char block[65536];
    text_bytes(&self->line, "", 0);
    for (;;) {
        if (interrupted && self->told)
            exit(EXIT_OK);
        if (interrupted) {
            send_bytes(fd, "\n", 1);
            self->told = true;
            interrupted = 0;
        }
        struct pollfd items[] = { { .fd = fd, .events = POLLIN }, { .fd = STDOUT_FILENO } };
        poll(items, 2, -1);
        if (items[1].revents & POLLERR)
            exit(EXIT_FAILED); // nobody reads us any more: `| head'
        if (!items[0].revents)
            continue;
        ssize_t got = recv(fd, block, sizeof block, 0);
        if (got == -1 && errno == EINTR)
            continue;
        if (got <= 0)
            lost();
        bool over = take(self, block, (size_t)got);
        if (fflush(stdout) == EOF)
            exit(EXIT_FAILED);
        if (over)
            return;
    }
}

static int
terminal_columns(void)
{
    struct winsize size;
    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

// Wait, unless a signal says that it is over or the daemon goes.
static bool
wait_for_turn(int fd, double seconds)
{
    int64_t end = clock_mono_ms() + (int64_t)(seconds * 1000);
    for (int64_t left; (left = end - clock_mono_ms()) > 0;) {
        struct pollfd item = { .fd = fd, .events = POLLIN };
        int ready = poll(&item, 1, (int)(left < 1000000 ? left : 1000000));
        if (interrupted)
            return false;
        if (ready == 1)
            lost();
    }
    return !interrupted;
}

static void
print_head(const options_t *options, bool terminal)
{
    char now[32];
    clock_rfc3339(clock_wall_ns(), now);
    if (terminal)
        fputs("\033[H", stdout);
    if (options->top)
        printf("zbroker %s, every %g s%s\n\n", now, options->seconds, terminal ? ", Ctrl-C ends\033[K" : "");
}

static int
converse(int fd, const options_t *options)
{
    bool terminal = options->top && isatty(STDOUT_FILENO);
    for (bool first = true;; first = false) {
        answer_t answer = { .json = options->json, .columns = options->top ? terminal_columns() : 0, .clears = terminal };
        if (first && terminal)
            fputs("\033[2J", stdout);
        print_head(options, terminal);
        send_bytes(fd, options->line.data, options->line.size);
        read_answer(fd, &answer);
        text_free(&answer.line);
        if (terminal)
            fputs("\033[J", stdout);
        else if (options->seconds > 0 && !options->json)
            putchar('\n');
        if (fflush(stdout) == EOF)
            return EXIT_FAILED;
        if (answer.failed || answer.told || options->seconds <= 0)
            return answer.failed ? EXIT_FAILED : EXIT_OK;
        if (!wait_for_turn(fd, options->seconds))
            return EXIT_OK;
    }
}

int
main(int argc, char **argv)
{
    options_t options = { 0 };
    struct sigaction action = { .sa_handler = on_signal }; // no SA_RESTART: recv and poll come back
    parse_options(&options, argc, argv);
    char *path = socket_path(&options);
    int fd = connect_to(path);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    int rc = converse(fd, &options);
    close(fd);
    free(path);
    text_free(&options.line);
    return rc;
}
