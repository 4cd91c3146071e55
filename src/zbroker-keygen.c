// SPDX-License-Identifier: MPL-2.0
// zbroker-keygen.c - makes CURVE certificates and password lines, and looks
// whether such files are as zbroker wants them. See zbroker-keygen(1).

#include "base/mem.h"
#include "guard/cert.h"
#include "guard/file.h"
#include "guard/users.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>
#include <zmq.h>

#ifndef ZB_VERSION
#ifdef PACKAGE_VERSION
#define ZB_VERSION PACKAGE_VERSION
#else
#define ZB_VERSION "0.1.0"
#endif
#endif

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, METADATA_MAX = 32, PASSWORD_MAX = 1024 };

static const char usage_text[] =
    "usage: zbroker-keygen cert NAME [-d DIR] [-m KEY=VALUE]...\n"
    "       zbroker-keygen password USER\n"
    "       zbroker-keygen --check FILE...\n"
    "       zbroker-keygen -V | -h\n";

static const char help_text[] =
    "\n"
    "  cert NAME                 make a pair of CURVE keys: NAME and NAME_secret\n"
    "  -d, --directory DIR       write them there\n"
    "  -m, --metadata KEY=VALUE  add a line to it, as in name=alice\n"
    "  password USER             read a password, print a line for a file of users\n"
    "      --check FILE...       say what each file is, and what is wrong with it\n"
    "  -V, --version             the version\n"
    "  -h, --help                this\n"
    "\n"
    "See zbroker-keygen(1).\n";

static int
usage(const char *why, const char *what)
{
    fprintf(stderr, "zbroker-keygen: %s%s%s\n%s", why, what ? ": " : "", what ? what : "", usage_text);
    return EXIT_USAGE;
}

static int
failed(const char *path, const char *why)
{
    fprintf(stderr, "zbroker-keygen: %s: %s\n", path, why);
    return EXIT_FAILED;
}

// --- cert -----------------------------------------------------------------------

typedef struct {
    const char *folder;
    char *metadata[METADATA_MAX];
    size_t metadata_count;
    const char *name; // from -m name=
} cert_options_t;

// Write TEXT to a file that is not there yet. MODE does not depend on the umask.
static int
write_new(const char *path, const text_t *text, mode_t mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd == -1)
        return failed(path, errno == EEXIST ? "exists already, nothing was changed" : strerror(errno));
    const char *at = text->data;
    size_t left = text->size;
    bool well = fchmod(fd, mode) == 0;
    while (well && left > 0) {
        ssize_t done = write(fd, at, left);
        if (done == -1 && errno == EINTR)
            continue;
        well = done > 0;
        at += well ? done : 0;
        left -= well ? (size_t)done : 0;
    }
    well = well && fsync(fd) == 0;
    int saved = errno;
    well = close(fd) == 0 && well;
    if (well)
        return EXIT_OK;
    unlink(path);
    return failed(path, strerror(saved ? saved : EIO));
}

static int
make_pair(cert_t *cert)
{
    if (zmq_curve_keypair(cert->public_text, cert->secret_text) == -1)
        return -1;
    cert->has_public = cert->has_secret = true;
    return 0;
}

static int
write_pair(const cert_t *cert, const cert_options_t *options, const char *public_path, const char *secret_path)
{
    struct stat st;
    if (lstat(public_path, &st) == 0)
        return failed(public_path, "exists already, nothing was changed");
    text_t secret = { 0 }, public = { 0 };
    cert_print(cert, true, options->metadata, options->metadata_count, &secret);
    cert_print(cert, false, options->metadata, options->metadata_count, &public);
    int rc = write_new(secret_path, &secret, 0600);
    if (rc == EXIT_OK) {
        rc = write_new(public_path, &public, 0644);
        if (rc != EXIT_OK)
            unlink(secret_path);
    }
    sodium_memzero(secret.data, secret.room);
    text_free(&secret);
    text_free(&public);
    return rc;
}

static int
make_cert(const char *name, const cert_options_t *options)
{
    cert_t cert = { 0 };
    char user[CERT_NAME_MAX + 1];
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
        return usage("not the name of a file", name);
    cert_user(&cert, name, user);
    snprintf(cert.name, sizeof cert.name, "%s", options->name ? options->name : user);
    const char *fault = users_name_fault(cert.name, strlen(cert.name));
    if (fault || strchr(cert.name, '"'))
        return usage(fault ? fault : "a name holds a quote", name);
    if (make_pair(&cert) == -1)
        return failed(name, "this libzmq has no CURVE");
    char *public_path = options->folder ? xasprintf("%s/%s", options->folder, name) : xstrdup(name);
    char *secret_path = xasprintf("%s_secret", public_path);
    int rc = write_pair(&cert, options, public_path, secret_path);
    if (rc == EXIT_OK)
        printf("%s: public certificate of %s, key %s\n%s: its secret part, mode 0600\n", public_path, cert.name,
               cert.public_text, secret_path);
    if (rc == EXIT_OK && geteuid() == 0 && getpwnam("zbroker"))
        printf("if the service is to read it: chown zbroker %s\n", secret_path);
    cert_wipe(&cert);
    free(public_path);
    free(secret_path);
    return rc;
}

static int
cert_command(int argc, char **argv)
{
    static const struct option long_options[] = {
        {"directory", required_argument, NULL, 'd'}, {"metadata", required_argument, NULL, 'm'}, { 0 }};
    cert_options_t options = { 0 };
    int letter;
    while ((letter = getopt_long(argc, argv, "d:m:", long_options, NULL)) != -1) {
        if (letter == '?')
            return usage("see zbroker-keygen(1)", NULL);
        if (letter == 'd') {
            options.folder = optarg;
            continue;
        }
        const char *fault = cert_metadata_fault(optarg);
        if (fault) {
            fprintf(stderr, "zbroker-keygen: -m %s %s\n", optarg, fault);
            return EXIT_USAGE;
        }
        if (strncmp(optarg, "name=", 5) == 0)
            options.name = optarg + 5;
        else if (options.metadata_count == METADATA_MAX)
            return usage("too many -m", NULL);
        else
            options.metadata[options.metadata_count++] = optarg;
    }
    if (argc - optind != 1)
        return usage(optind == argc ? "cert wants a NAME" : "cert wants one NAME", NULL);
    return make_cert(argv[optind], &options);
}

// --- password -------------------------------------------------------------------

static struct termios terminal;

// The terminal must not stay silent when somebody has second thoughts.
static void
give_back_terminal(int signal_number)
{
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static int
read_line(char *line, size_t room)
{
    size_t size = 0;
    char byte;
    for (;;) {
        ssize_t got = read(STDIN_FILENO, &byte, 1);
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1 || (got == 0 && size == 0))
            return -1;
        if (got == 0 || byte == '\n')
            break;
        if (size + 1 == room || byte == '\0')
            return -1;
        line[size++] = byte;
    }
    if (size > 0 && line[size - 1] == '\r')
        size--;
    line[size] = '\0';
    return 0;
}

static int
ask(const char *prompt, char *line, size_t room)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    if (tcgetattr(STDIN_FILENO, &terminal) == -1)
        return read_line(line, room);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        signal(signals[i], give_back_terminal);
    struct termios silent = terminal;
    silent.c_lflag &= ~(tcflag_t)ECHO;
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    fprintf(stderr, "%s: ", prompt);
    int rc = read_line(line, room);
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal);
    fprintf(stderr, "\n");
    return rc;
}

static int
print_line(const char *user, const char *password)
{
    char *line = users_line(user, password);
    if (!line)
        return failed(user, "not enough memory for the hash");
    bool well = printf("%s\n", line) > 0 && fflush(stdout) == 0;
    free(line);
    return well ? EXIT_OK : failed("standard output", strerror(errno));
}

static int
password_command(int argc, char **argv)
{
    char first[PASSWORD_MAX], second[PASSWORD_MAX];
    if (argc != 2)
        return usage("password wants one USER", NULL);
    const char *fault = users_name_fault(argv[1], strlen(argv[1]));
    if (fault || *argv[1] == '#')
        return usage(fault ? fault : "a name starts with #", argv[1]);
    int rc = EXIT_FAILED;
    if (ask("Password", first, sizeof first) == -1)
        failed(argv[1], "no password on standard input, or one of more than 1022 bytes");
    else if (!*first)
        failed(argv[1], "an empty password");
    // The protocol has one byte for its length.
    else if (strlen(first) > 255)
        failed(argv[1], "PLAIN takes passwords of at most 255 bytes");
    else if (isatty(STDIN_FILENO) && (ask("Again", second, sizeof second) == -1 || strcmp(first, second) != 0))
        failed(argv[1], "the two passwords differ");
    else
        rc = print_line(argv[1], first);
    sodium_memzero(first, sizeof first);
    sodium_memzero(second, sizeof second);
    return rc;
}

// --- check ----------------------------------------------------------------------

static bool
is_certificate(const char *path)
{
    char line[1024];
    bool found = false;
    FILE *file = fopen(path, "re");
    while (file && !found && fgets(line, sizeof line, file))
        found = strncmp(line, "curve", 5) == 0;
    if (file)
        fclose(file);
    return found;
}

static int
check_cert(const char *path)
{
    cert_t cert;
    cert_fault_t fault;
    char user[CERT_NAME_MAX + 1];
    size_t length = strlen(path);
    bool secret = length > 7 && strcmp(path + length - 7, "_secret") == 0;
    char *public_path = secret ? xstrndup(path, length - 7) : xstrdup(path);
    char *secret_path = xasprintf("%s_secret", public_path);
    int rc = cert_load_public(&cert, path, &fault);
    bool pair = rc == 0 && (secret || access(secret_path, F_OK) == 0);
    if (pair)
        rc = cert_load_secret(&cert, access(public_path, F_OK) == 0 ? public_path : path, &fault);
    cert_user(&cert, public_path, user);
    if (rc == 0)
        printf("%s: certificate of %s, key %s%s\n", path, user, cert.public_text, pair ? ", with its secret part" : "");
    if (*fault.warning)
        fprintf(stderr, "%s: warning: %s\n", path, fault.warning);
    if (rc == -1 && fault.line > 0)
        fprintf(stderr, "%s:%d: error: %s\n", path, fault.line, fault.text);
    else if (rc == -1)
        fprintf(stderr, "%s: error: %s\n", path, fault.text);
    cert_wipe(&cert);
    free(public_path);
    free(secret_path);
    return rc == 0 ? EXIT_OK : EXIT_FAILED;
}

static int
check_users(const char *path)
{
    diag_t *diag = diag_new();
    users_t *users = file_check(path, TRUST_HASHES, diag) == 0 ? users_load(path, diag) : NULL;
    int rc = users ? EXIT_OK : EXIT_FAILED;
    diag_print(diag, stderr);
    if (users)
        printf("%s: %zu user%s\n", path, users_count(users), text_plural(users_count(users)));
    users_free(&users);
    diag_destroy(&diag);
    return rc;
}

static int
check_command(int argc, char **argv)
{
    int rc = EXIT_OK;
    if (argc < 2)
        return usage("--check wants a FILE", NULL);
    for (int i = 1; i < argc; i++)
        rc |= is_certificate(argv[i]) ? check_cert(argv[i]) : check_users(argv[i]);
    return rc;
}

static int
version_command(int argc, char **argv)
{
    int major, minor, patch;
    (void)argc, (void)argv;
    zmq_version(&major, &minor, &patch);
    printf("zbroker-keygen %s\nlibzmq %d.%d.%d, libsodium %s\n", ZB_VERSION, major, minor, patch, sodium_version_string());
    return EXIT_OK;
}

static int
help_command(int argc, char **argv)
{
    (void)argc, (void)argv;
    fputs(usage_text, stdout);
    fputs(help_text, stdout);
    return EXIT_OK;
}

static const struct {
    const char *word;
    int (*run)(int argc, char **argv);
} commands[] = {
    {"cert", cert_command},       {"password", password_command}, {"--check", check_command}, {"check", check_command},
    {"--version", version_command}, {"-V", version_command},      {"--help", help_command},   {"-h", help_command},
};

int
main(int argc, char **argv)
{
    if (sodium_init() == -1)
        return failed("libsodium", "cannot be initialised");
    if (argc < 2)
        return usage("a command is missing", NULL);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(argv[1], commands[i].word) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return usage("no such command", argv[1]);
}
