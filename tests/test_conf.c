// SPDX-License-Identifier: MPL-2.0
// Whole files: those of tests/conf/valid load and dump to themselves, those of
// tests/conf/wrong say exactly what their .err says, and a thousand damaged
// ones never crash and always name a line.

#include "base/mem.h"
#include "base/text.h"
#include "conf/attribute.h"
#include "conf/engine.h"
#include "conf/keys.h"
#include "conf/load.h"
#include "conf/process.h"
#include "conf/suggest.h"
#include "test.h"

#include <glob.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include <zmq.h>

#ifndef ZB_SRCDIR
#define ZB_SRCDIR "."
#endif

// Some tests run in the folder of the files, so that messages name them as .err does.
static void
enter(const char *folder)
{
    const char *source = getenv("ZB_SRCDIR");
    char *path = xasprintf("%s/tests/conf/%s", source ? source : ZB_SRCDIR, folder);
    if (chdir(path) == -1) {
        printf("Bail out! no folder %s\n", path);
        exit(EXIT_FAILURE);
    }
    free(path);
}

static char *
read_whole(const char *path)
{
    FILE *file = fopen(path, "r");
    text_t text = { 0 };
    for (int c; file && (c = getc(file)) != EOF;)
        text_char(&text, (char)c);
    if (file)
        fclose(file);
    text_add(&text, "%s", "");
    return text_take(&text);
}

static char *
problems(diag_t *diag)
{
    text_t text = { 0 };
    for (size_t i = 0; diag_text(diag, i, NULL); i++)
        text_add(&text, "%s\n", diag_text(diag, i, NULL));
    text_add(&text, "%s", "");
    return text_take(&text);
}

static char *
dump(const conf_t *conf)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    conf_dump(conf, out);
    fclose(out);
    return text;
}

static conf_t *
load_text(const char *text, char **said)
{
    diag_t *diag = diag_new();
    conf_t *conf = conf_load_text("x.ini", text, strlen(text), diag);
    *said = problems(diag);
    diag_destroy(&diag);
    return conf;
}

// Loads TEXT, which has to be right.
static conf_t *
good(const char *text)
{
    char *said;
    conf_t *conf = load_text(text, &said);
    if (!conf) {
        printf("# unexpected:\n# %s", said);
        printf("Bail out! a configuration that is right was refused\n");
        exit(EXIT_FAILURE);
    }
    free(said);
    return conf;
}

static void
check_says(const char *text, const char *expected)
{
    char *said;
    conf_t *conf = load_text(text, &said);
    CHECK_TEXT(said, expected);
    conf_destroy(&conf);
    free(said);
}

static const char *
setting(const settings_t *settings, const char *key)
{
    for (size_t i = 0; i < settings->count; i++)
        if (strcmp(settings->at[i].key, key) == 0)
            return settings->at[i].value;
    return NULL;
}

static const option_conf_t *
option(const side_conf_t *side, const char *key)
{
    for (size_t i = 0; i < side->option_count; i++)
        if (strcmp(side->options[i].option->key, key) == 0)
            return &side->options[i];
    return NULL;
}

// --- the files -----------------------------------------------------------------

static char *
expected_errors(const char *name)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    char *path = xasprintf("%.*s.err", (int)(strlen(name) - 4), name);
    char *raw = read_whole(path);
    text_t text = { 0 };
    char *rest = raw, *mark;
    while ((mark = strstr(rest, "@LIBZMQ@"))) {
        text_add(&text, "%.*s%d.%d.%d", (int)(mark - rest), rest, major, minor, patch);
        rest = mark + strlen("@LIBZMQ@");
    }
    text_add(&text, "%s", rest);
    free(raw);
    free(path);
    return text_take(&text);
}

// What there is to say of some files depends on what the library was built with:
// those whose name begins so are for one that has WORD, or has it not.
static bool
fits_this_library(const char *name)
{
    static const struct {
        const char *prefix, *word;
        bool has;
    } needs[] = {
        { "draft-", "draft", false }, { "gssapi", "gssapi", true }, { "multicast", "pgm", true },
        { "multicast", "norm", true }, { "ws", "WS", true },
        { "ws-gssapi", "gssapi", true },
    };
    for (size_t i = 0; i < sizeof needs / sizeof *needs; i++)
        if (strncmp(name, needs[i].prefix, strlen(needs[i].prefix)) == 0 && (zmq_has(needs[i].word) != 0) != needs[i].has)
            return false;
    return true;
}

static void
wrong_files_say_every_line_that_is_wrong(void)
{
    glob_t files;
    enter("wrong");
    CHECK(glob("*.ini", 0, NULL, &files) == 0 && files.gl_pathc >= 60);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        if (!fits_this_library(files.gl_pathv[i]))
            continue;
        diag_t *diag = diag_new();
        conf_t *conf = conf_load(files.gl_pathv[i], NULL, 0, diag);
        char *said = problems(diag), *expected = expected_errors(files.gl_pathv[i]);
        CHECK(!conf);
        CHECK(*expected);
        CHECK_TEXT(said, expected);
        free(said);
        free(expected);
        conf_destroy(&conf);
        diag_destroy(&diag);
    }
    globfree(&files);
}

// --- engines -----------------------------------------------------------------

#define ENDS "frontend_bind = tcp://127.0.0.1:5001\nbackend_bind = tcp://127.0.0.1:5002\n"

static engine_t
engine_of(const char *text)
{
    conf_t *conf = good(text);
    engine_t engine = conf->routes[0]->engine;
    conf_destroy(&conf);
    return engine;
}

static void
an_engine_is_what_the_file_says(void)
{
    CHECK(engine_of("[route r]\ntype = queue\n" ENDS "engine = wire\n") == ENGINE_WIRE);
    CHECK(engine_of("[route r]\ntype = queue\n" ENDS "engine = zmq\n") == ENGINE_ZMQ);
    CHECK(engine_of("[route r]\ntype = queue\n" ENDS "engine = zbroker\n") == ENGINE_ZMQ);
    CHECK(engine_of("[route r]\ntype = queue\n" ENDS "engine = zmq_proxy\n") == ENGINE_ZMQ_PROXY);
    CHECK(engine_of("[route r]\ntype = queue\n" ENDS) == engine_auto());
    CHECK(engine_of("[route r]\ntype = queue\n" ENDS "engine = auto\n") == engine_auto());
    CHECK(engine_of("[route r]\ntype = queue\n" ENDS "frontend_bind = inproc://x\n") == ENGINE_ZMQ);
    CHECK(engine_of("[route r]\ntype = queue\n" ENDS "socks_proxy = 127.0.0.1:1080\n") == ENGINE_ZMQ);
    CHECK(engine_of("[route r]\ntype = pipeline\n" ENDS "engine = wire\nqueue_bytes = 1M\n") == ENGINE_WIRE);
}

static void
heartbeats_are_on_where_they_cost_nobody(void)
{
    conf_t *conf = good("[route r]\ntype = queue\n" ENDS "backend_bind = ipc:///tmp/zb-x\nengine = wire\n"
                        "[route s]\ntype = queue\nfrontend_bind = ipc:///tmp/zb-y\nbackend_bind = tcp://127.0.0.1:5003\n"
                        "engine = zmq\n");
    CHECK_TEXT(setting(&conf->routes[0]->settings, "frontend_heartbeat_ivl"), "5s");
    CHECK_TEXT(setting(&conf->routes[1]->settings, "frontend_heartbeat_ivl"), "0");
    CHECK_TEXT(setting(&conf->routes[1]->settings, "backend_heartbeat_ivl"), "0");
    conf_destroy(&conf);
}

static int
type_with(const sockopt_t *option)
{
    for (int type = ZMQ_PAIR; type <= ZMQ_XSUB; type++)
        if (option->sockets & ON(type) && socket_type_is_wire(type))
            return type;
    return -1;
}

// A value that is not libzmq's own default.
static char *
another_value(const sockopt_t *option)
{
    if (option->kind == SOCKOPT_TEXT || option->kind == SOCKOPT_BYTES)
        return xstrdup("X-a:b");
    sockopt_value_t value = { .number = option->max };
    if (!sockopt_differs(option, value))
        value.number = option->min;
    return sockopt_print(option, value);
}

static void
engine_wire_takes_the_options_that_its_column_says(void)
{
    for (unsigned i = 0; sockopt_at(i); i++) {
        const sockopt_t *option = sockopt_at(i);
        int type = type_with(option);
        CHECK(option->wire >= WIRE_REFUSES && option->wire <= WIRE_NO_USE);
        if (type == -1 || !sockopt_works(option))
            continue;
        char *value = another_value(option), *said;
        char *text = xasprintf("[route r]\ntype = custom\nfrontend_type = %s\nbackend_type = PAIR\nengine = wire\n" ENDS
                               "frontend_%s = %s\n", socket_type_name(type), option->key, value);
        conf_t *conf = load_text(text, &said);
        bool refused = strstr(said, "not supported with engine = wire") != NULL;
        if (refused != (option->wire == WIRE_REFUSES)) {
            printf("# %s = %s: %s\n", option->key, value, said);
            test_ok = false;
        }
        conf_destroy(&conf);
        free(value);
        free(text);
        free(said);
    }
}

static void
the_dump_of_a_dump_is_identical(void)
{
    glob_t files;
    enter("valid");
    CHECK(glob("*.ini", 0, NULL, &files) == 0 && files.gl_pathc >= 5);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        if (!fits_this_library(files.gl_pathv[i]))
            continue;
        diag_t *diag = diag_new();
        conf_t *conf = conf_load(files.gl_pathv[i], NULL, 0, diag);
        char *said = problems(diag);
        if (!conf)
            printf("# %s", said);
        CHECK(conf);
        free(said);
        if (conf) {
            char *once = dump(conf);
            conf_t *again = conf_load_text("dump", once, strlen(once), diag);
            CHECK(again);
            char *twice = again ? dump(again) : xstrdup("");
            CHECK_TEXT(twice, once);
            CHECK(again && again->route_count == conf->route_count && conf_endpoints(again) == conf_endpoints(conf));
            free(once);
            free(twice);
            conf_destroy(&again);
        }
        conf_destroy(&conf);
        diag_destroy(&diag);
    }
    globfree(&files);
}

static void
the_sample_file_is_valid_without_a_warning(void)
{
    const char *source = getenv("ZB_SRCDIR");
    char *path = xasprintf("%s/etc/zbroker.ini", source ? source : ZB_SRCDIR);
    diag_t *diag = diag_new();
    conf_t *conf = conf_load(path, NULL, 0, diag);
    char *said = problems(diag);
    CHECK_TEXT(said, "");
    CHECK(conf && conf->route_count >= 4 && conf->http && conf->control);
    // Its commented values are the defaults: with them it is the same configuration.
    char *text = read_whole(path), *loose = text;
    for (char *at = text; *at; at++) {
        bool commented = at[0] == ';' && at[1] != ' ' && (at == text || at[-1] == '\n');
        if (!commented)
            *loose++ = *at;
    }
    *loose = '\0';
    conf_t *spelled = conf_load_text(path, text, strlen(text), diag);
    free(said);
    said = problems(diag);
    CHECK_TEXT(said, "");
    CHECK(spelled);
    if (conf && spelled) {
        char *a = dump(conf), *b = dump(spelled);
        CHECK_TEXT(b, a);
        free(a);
        free(b);
    }
    free(said);
    free(text);
    free(path);
    conf_destroy(&spelled);
    conf_destroy(&conf);
    diag_destroy(&diag);
}

// --- damaged files ---------------------------------------------------------------

static uint32_t random_state = 20261121;

static uint32_t
next_random(uint32_t below)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state % below;
}

// One damage to TEXT of *SIZE bytes: a line gone, twice, cut or moved, a byte changed, the end missing.
static char *
damage(const char *text, size_t *size)
{
    size_t at = next_random((uint32_t)*size), start = at, end = at;
    while (start > 0 && text[start - 1] != '\n')
        start--;
    while (end < *size && text[end] != '\n')
        end++;
    end += end < *size;
    char *out = xcalloc(*size * 2 + 1, 1);
    size_t used = 0;
    unsigned kind = next_random(6);
    memcpy(out, text, *size);
    used = *size;
    switch (kind) {
    case 0: // line gone
        memmove(out + start, text + end, *size - end);
        used = *size - (end - start);
        break;
    case 1: // line twice
        memcpy(out + end, text + start, *size - start);
        used = end + *size - start;
        break;
    case 2: // the rest of the line gone
        memmove(out + at, text + end, *size - end);
        used = *size - (end - at);
        break;
    case 3: // a bit
        out[at] ^= (char)(1u << next_random(8));
        break;
    case 4: // a byte
        out[at] = "=[];# \t\n\r\0*:/-x9"[next_random(16)];
        break;
    default: // the end gone
        used = at;
    }
    *size = used;
    return out;
}

static bool
names_a_line(const char *problem)
{
    const char *colon = strchr(problem, ':');
    int line, column;
    char level[16];
    return colon && sscanf(colon, ":%d:%d: %15[a-z]:", &line, &column, level) == 3 && line > 0 && column > 0 &&
           (strcmp(level, "error") == 0 || strcmp(level, "warning") == 0);
}

static void
damaged_files_never_crash_and_errors_name_a_line(void)
{
    glob_t files;
    enter("valid");
    unsigned refused = 0, taken = 0;
    CHECK(glob("*.ini", 0, NULL, &files) == 0);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct stat status;
        stat(files.gl_pathv[i], &status);
        char *text = read_whole(files.gl_pathv[i]);
        for (unsigned round = 0; round < 150 && status.st_size > 0; round++) {
            size_t size = (size_t)status.st_size;
            char *bad = damage(text, &size);
            for (unsigned more = next_random(3); more && size; more--) {
                char *worse = damage(bad, &size);
                free(bad);
                bad = worse;
            }
            diag_t *diag = diag_new();
            conf_t *conf = conf_load_text("damaged.ini", bad, size, diag);
            CHECK(!conf == (diag_errors(diag) > 0));
            for (size_t j = 0; diag_text(diag, j, NULL); j++)
                CHECK(names_a_line(diag_text(diag, j, NULL)));
            conf ? taken++ : refused++;
            conf_destroy(&conf);
            diag_destroy(&diag);
            free(bad);
        }
        free(text);
    }
    globfree(&files);
    // Both happen often, or the damage is not what it is meant to be.
    CHECK(refused + taken >= 500 && refused > 100 && taken > 20);
}

// --- defaults --------------------------------------------------------------------

#define QUEUE "[route a]\ntype = queue\nfrontend_bind = tcp://127.0.0.1:5001\nbackend_bind = ipc:///tmp/b\n"
#define FORWARDER                                                                                                      \
    "[route a]\ntype = forwarder\nfrontend_bind = tcp://127.0.0.1:5001\nbackend_bind = tcp://127.0.0.1:5002\n"

static void
defaults_are_those_of_an_unattended_service(void)
{
    conf_t *conf = good(FORWARDER "engine = zmq\n");
    const side_conf_t *frontend = &conf->routes[0]->sides[SIDE_FRONTEND],
                      *backend = &conf->routes[0]->sides[SIDE_BACKEND];
    CHECK(option(frontend, "maxmsgsize")->value.number == 16 << 20);
    CHECK(option(backend, "maxmsgsize")->value.number == 4096);
    CHECK(option(frontend, "sndhwm")->value.number == 0);
    CHECK(!option(backend, "sndhwm"));
    CHECK(option(backend, "handshake_ivl")->value.number == 5000);
    CHECK(!option(backend, "heartbeat_ivl"));
    CHECK(option(backend, "heartbeat_timeout")->value.number == 15000);
    CHECK(option(backend, "heartbeat_ttl")->value.number == 15000);
    CHECK(option(backend, "tcp_keepalive")->value.number == 1);
    CHECK(option(backend, "tcp_keepalive_idle")->value.number == 60);
    CHECK(option(backend, "tcp_keepalive_intvl")->value.number == 10);
    CHECK(option(backend, "tcp_keepalive_cnt")->value.number == 5);
    CHECK(option(backend, "reconnect_ivl_max")->value.number == 10000);
    CHECK(option(backend, "backlog")->value.number == 1024);
    CHECK(frontend->linger_ms == -1 && !option(frontend, "linger"));
    CHECK(backend->max_subscriptions == 10000 && backend->max_topic == 256 && backend->stall_timeout_ms == 10000);
    CHECK(conf->routes[0]->sides[SIDE_CAPTURE].type == -1 && conf->routes[0]->sides[SIDE_INGRESS].type == -1);
    CHECK(frontend->security.mechanism == SECURITY_UNSET);
    CHECK(conf->drain_timeout_ms == 10000 && conf->io_threads == 1 && conf->max_sockets == 1023 &&
          conf->control_mode == 0660);
    CHECK(conf->control_group == (gid_t)-1 && !conf->http && frontend->ipc_group == (gid_t)-1);
    CHECK_TEXT(conf->control, "/run/zbroker/control.sock");
    CHECK_TEXT(setting(&conf->settings, "http"), "");
    CHECK_TEXT(setting(&conf->routes[0]->settings, "frontend_linger"), "auto");
    conf_destroy(&conf);
}

static void
each_instance_of_the_service_has_its_own_control_socket(void)
{
    static const struct {
        const char *runtime_directory, *file, *expected;
    } cases[] = {
        { NULL, ZB_SYSCONFDIR "/zbroker.ini", "/run/zbroker/control.sock" },
        { NULL, ZB_SYSCONFDIR "/zbroker/prices.ini", "/run/zbroker-prices/control.sock" },
        { NULL, ZB_SYSCONFDIR "/zbroker/.ini", "/run/zbroker/control.sock" },
        { NULL, ZB_SYSCONFDIR "/zbroker/a/b.ini", "/run/zbroker/control.sock" },
        { NULL, ZB_SYSCONFDIR "/zbroker/prices.ini.bak", "/run/zbroker/control.sock" },
        { NULL, "prices.ini", "/run/zbroker/control.sock" },
        { "/run/mine", ZB_SYSCONFDIR "/zbroker/prices.ini", "/run/mine/control.sock" },
        { "/run/mine:/run/other", "-", "/run/mine/control.sock" },
        { "relative", "-", "/run/zbroker/control.sock" },
        { "", "-", "/run/zbroker/control.sock" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        unsetenv("RUNTIME_DIRECTORY");
        if (cases[i].runtime_directory)
            setenv("RUNTIME_DIRECTORY", cases[i].runtime_directory, 1);
        char *control = process_control(cases[i].file);
        CHECK_TEXT(control, cases[i].expected);
        free(control);
    }
    unsetenv("RUNTIME_DIRECTORY");
}

static void
options_that_have_libzmqs_own_value_are_not_set(void)
{
    conf_t *conf =
        good(QUEUE
             "frontend_sndhwm = 1000\nbackend_backlog = 100\nbackend_handshake_ivl = 30s\nbackend_heartbeat_ivl = 0\n");
    CHECK(!option(&conf->routes[0]->sides[SIDE_FRONTEND], "sndhwm"));
    CHECK(!option(&conf->routes[0]->sides[SIDE_BACKEND], "backlog"));
    CHECK(!option(&conf->routes[0]->sides[SIDE_BACKEND], "handshake_ivl"));
    CHECK(!option(&conf->routes[0]->sides[SIDE_BACKEND], "heartbeat_ivl"));
    CHECK(!option(&conf->routes[0]->sides[SIDE_BACKEND], "tcp_keepalive"));
    CHECK(option(&conf->routes[0]->sides[SIDE_FRONTEND], "tcp_keepalive"));
    conf_destroy(&conf);
}

static void
what_a_socket_type_needs_yields_to_a_side_option_only(void)
{
    conf_t *conf = good("[defaults]\nsndhwm = 7\nmaxmsgsize = 1M\n" FORWARDER "sndhwm = 8\n");
    const route_conf_t *route = conf->routes[0];
    CHECK(option(&route->sides[SIDE_FRONTEND], "sndhwm")->value.number == 0);
    CHECK(option(&route->sides[SIDE_BACKEND], "sndhwm")->value.number == 8);
    CHECK(option(&route->sides[SIDE_FRONTEND], "maxmsgsize")->value.number == 1 << 20);
    CHECK(option(&route->sides[SIDE_BACKEND], "maxmsgsize")->value.number == 4096);
    conf_destroy(&conf);
    conf = good("[defaults]\nsndhwm = 7\n" FORWARDER "frontend_sndhwm = 9\nbackend_maxmsgsize = 64k\n");
    CHECK(option(&conf->routes[0]->sides[SIDE_FRONTEND], "sndhwm")->value.number == 9);
    CHECK(option(&conf->routes[0]->sides[SIDE_BACKEND], "sndhwm")->value.number == 7);
    CHECK(option(&conf->routes[0]->sides[SIDE_BACKEND], "maxmsgsize")->value.number == 65536);
    conf_destroy(&conf);
}

static void
the_nearest_value_wins(void)
{
    conf_t *conf = good("[defaults]\nrcvhwm = 1\ntos = 4\n" QUEUE "rcvhwm = 2\nfrontend_rcvhwm = 3\n");
    CHECK(option(&conf->routes[0]->sides[SIDE_FRONTEND], "rcvhwm")->value.number == 3);
    CHECK(option(&conf->routes[0]->sides[SIDE_BACKEND], "rcvhwm")->value.number == 2);
    CHECK(option(&conf->routes[0]->sides[SIDE_BACKEND], "tos")->value.number == 4);
    CHECK(option(&conf->routes[0]->sides[SIDE_BACKEND], "tos")->place.line == 3);
    CHECK(option(&conf->routes[0]->sides[SIDE_BACKEND], "tos")->place.column == 7);
    conf_destroy(&conf);
}

static void
old_spellings_mean_the_same(void)
{
    conf_t *conf = good(
        QUEUE "hwm = 5\nbackend_identity = me\nipv4only = yes\ndelay_attach_on_connect = 1\nfail_unroutable = no\n");
    const side_conf_t *backend = &conf->routes[0]->sides[SIDE_BACKEND];
    CHECK(option(backend, "sndhwm")->value.number == 5 && option(backend, "rcvhwm")->value.number == 5);
    CHECK_TEXT(option(backend, "routing_id")->value.text, "me");
    CHECK(!option(backend, "ipv6") && option(backend, "immediate")->value.number == 1);
    CHECK(!conf->routes[0]->sides[SIDE_FRONTEND].mandatory);
    CHECK_TEXT(setting(&conf->routes[0]->settings, "backend_ipv6"), "no");
    conf_destroy(&conf);
    conf = good(QUEUE);
    CHECK(conf->routes[0]->sides[SIDE_FRONTEND].mandatory);
    conf_destroy(&conf);
}

static void
nodrop_is_a_flag_and_linger_a_number_not_options(void)
{
    conf_t *conf = good(FORWARDER "xpub_nodrop = yes\nlinger = 3s\nbackend_linger = auto\n");
    CHECK(conf->routes[0]->sides[SIDE_BACKEND].nodrop && !option(&conf->routes[0]->sides[SIDE_BACKEND], "xpub_nodrop"));
    CHECK(conf->routes[0]->sides[SIDE_FRONTEND].linger_ms == 3000 &&
          conf->routes[0]->sides[SIDE_BACKEND].linger_ms == -1);
    CHECK(!option(&conf->routes[0]->sides[SIDE_FRONTEND], "linger"));
    conf_destroy(&conf);
}

// --- security --------------------------------------------------------------------

static void
a_bind_beyond_loopback_needs_a_security_line(void)
{
    check_says("[route prices]\ntype = forwarder\nfrontend_bind = tcp://127.0.0.1:1\nbackend_bind = tcp://*:5556\n",
               "x.ini:4:16: error: [route prices] backend_bind: tcp://*:5556 is open to the network and nothing says "
               "who may come in; "
               "add \"security = none\", or plain, curve or gssapi\n");
    check_says(
        "[route prices]\ntype = forwarder\nfrontend_bind = tcp://127.0.0.1:1\nbackend_bind = tcp://*:5556\nsecurity = "
        "none\n",
        "x.ini:4:16: warning: [route prices] backend_bind: tcp://*:5556 is open to the network (security = none)\n");
    check_says(QUEUE, "");
}

static void
security_is_inherited_by_the_sides(void)
{
    conf_t *conf = good(
        "[route a]\ntype = queue\nsecurity = plain\nusers = /u\nfrontend_bind = tcp://*:1\nbackend_bind = tcp://*:2\n"
        "backend_security = curve\nbackend_server_cert = s.cert\nclient_certs = any\nallow = 10.0.0.0/8\nallow = "
        "::1\n");
    const security_conf_t *frontend = &conf->routes[0]->sides[SIDE_FRONTEND].security,
                          *backend = &conf->routes[0]->sides[SIDE_BACKEND].security;
    CHECK(frontend->mechanism == SECURITY_PLAIN && backend->mechanism == SECURITY_CURVE);
    CHECK_TEXT(frontend->users, "/u");
    CHECK(!backend->users && !frontend->server_cert);
    CHECK_TEXT(backend->client_certs, "any");
    CHECK(backend->server_cert && backend->server_cert[0] == '/');
    CHECK_TEXT(backend->allow, "10.0.0.0/8, ::1");
    conf_destroy(&conf);
}

static void
a_password_is_read_from_its_file_and_printed_nowhere(void)
{
    char path[] = "/tmp/zb-test-XXXXXX";
    int fd = mkstemp(path);
    CHECK(fd != -1 && write(fd, "sesame\nsecond line\n", 19) == 19);
    close(fd);
    char *text = xasprintf("[route a]\ntype = queue\nfrontend_bind = tcp://127.0.0.1:1\nbackend_connect = "
                           "tcp://far:2\nbackend_security = plain\n"
                           "backend_plain_username = me\nbackend_plain_password_file = %s\n",
                           path);
    conf_t *conf = good(text);
    CHECK_TEXT(conf->routes[0]->sides[SIDE_BACKEND].security.plain_password, "sesame");
    char *dumped = dump(conf);
    CHECK(!strstr(dumped, "sesame") && strstr(dumped, path));
    free(dumped);
    conf_destroy(&conf);
    CHECK(chmod(path, 0640) == 0);
    char *said,
        *expected = xasprintf(
            "x.ini:7:31: error: [route a] backend_plain_password_file: %s: mode 0640 is open to others: chmod 600\n",
            path);
    conf = load_text(text, &said);
    CHECK(!conf);
    CHECK_TEXT(said, expected);
    // As orchestrators mount it: nobody may write, a group may read.
    CHECK(chmod(path, 0440) == 0);
    free(expected);
    free(said);
    expected = xasprintf("x.ini:7:31: warning: [route a] backend_plain_password_file: %s: mode 0440 is open to others: chmod 600\n", path);
    conf = load_text(text, &said);
    CHECK(conf);
    CHECK_TEXT(said, expected);
    conf_destroy(&conf);
    unlink(path);
    free(expected);
    free(said);
    free(text);
}

// --- the command line -------------------------------------------------------------

static void
overrides_replace_what_the_file_says(void)
{
    char *overrides[] = { "zbroker.log_level=debug",
                          "route pair.frontend_bind=tcp://127.0.0.1:1",
                          "route pair.frontend_bind=tcp://127.0.0.1:2",
                          "route q.1-a_B.hwm=4",
                          "defaults.tos=8",
                          "zbroker.io_threads=3",
                          "zbroker.io_threads=4" };
    enter("valid");
    diag_t *diag = diag_new();
    conf_t *conf = conf_load("types.ini", overrides, sizeof overrides / sizeof *overrides, diag);
    char *said = problems(diag);
    CHECK_TEXT(said, "");
    CHECK(conf && conf->log_level == LOG_LEVEL_DEBUG && conf->io_threads == 4);
    const route_conf_t *pair = conf ? conf_route(conf, "pair") : NULL;
    CHECK(pair && pair->sides[SIDE_FRONTEND].endpoint_count == 2);
    if (pair)
        CHECK_TEXT(pair->sides[SIDE_FRONTEND].endpoints[1].at.text, "tcp://127.0.0.1:2");
    CHECK(conf && option(&conf_route(conf, "q.1-a_B")->sides[SIDE_BACKEND], "rcvhwm")->value.number == 4);
    free(said);
    conf_destroy(&conf);
    diag_destroy(&diag);
}

static void
wrong_overrides_are_named_by_number_and_column(void)
{
    char *overrides[] = { "zbroker.log_level=debg", "route par.tos=1",           "foo",
                          "zbroker.sndhwm=1",       "route pair.frontend_bind=", "zbroker.x=a\nb" };
    enter("valid");
    diag_t *diag = diag_new();
    conf_t *conf = conf_load("types.ini", overrides, sizeof overrides / sizeof *overrides, diag);
    char *said = problems(diag);
    CHECK(!conf);
    CHECK_TEXT(
        said,
        "-o:1:19: error: [zbroker] log_level: unknown value \"debg\"; did you mean debug?\n"
        "-o:2:1: error: [route par]: no such section; did you mean [route pair]?\n"
        "-o:3:1: error: \"foo\" is not SECTION.KEY=VALUE\n"
        "-o:4:9: error: [zbroker] sndhwm: belongs in [defaults] or a [route NAME]\n"
        "-o:6:12: error: a control character\n"
        "types.ini:61:2: error: [route pair]: the frontend has no endpoint, add frontend_bind or frontend_connect\n");
    free(said);
    diag_destroy(&diag);
}

static void
a_file_that_cannot_be_read_is_the_only_problem(void)
{
    static const char *const files[] = { "/nonexistent/zbroker.ini", "/" };
    static const char *const said[] = {
        "/nonexistent/zbroker.ini:1:1: error: cannot read /nonexistent/zbroker.ini: No such file or directory",
        "/:1:1: error: cannot read /: it is a folder"
    };
    for (size_t i = 0; i < 2; i++) {
        diag_t *diag = diag_new();
        CHECK(!conf_load(files[i], NULL, 0, diag));
        CHECK_TEXT(diag_text(diag, 0, NULL), said[i]);
        CHECK(!diag_text(diag, 1, NULL));
        diag_destroy(&diag);
    }
}

static void
heartbeats_are_warned_of(void)
{
    static const char lost[] = "a peer that is held up for longer than heartbeat_timeout is cut, and what is on its way "
                               "is lost, uncounted\n";
    char expected[512];
    snprintf(expected, sizeof expected, "x.ini:5:25: warning: [route a] backend_heartbeat_ivl: %s", lost);
    check_says("[route a]\ntype = streamer\nfrontend_bind = ipc:///a\nbackend_bind = ipc:///b\n"
               "backend_heartbeat_ivl = 5s\nfrontend_heartbeat_ivl = 0\nengine = zmq\n",
               expected);
}

// A libzmq peer that is told to leave after less silence than there is between two heartbeats does.
static void
peers_are_not_told_to_leave_before_the_next_heartbeat(void)
{
    static const char wire[] = "[route a]\ntype = streamer\nfrontend_bind = ipc:///a\nbackend_bind = tcp://127.0.0.1:1\n";
    static const struct {
        const char *lines, *ttl;
        bool warned;
    } cases[] = {
        { "", "15s", false },
        { "heartbeat_ivl = 7500ms\n", "15s", false },
        { "heartbeat_ivl = 8s\n", "0", false },
        { "heartbeat_ivl = 1h\nheartbeat_ttl = 0\n", "0", false },
        { "heartbeat_ivl = 20s\nheartbeat_ttl = 40s\n", "40s", false },
        { "backend_heartbeat_ivl = 20s\nheartbeat_ttl = 20s\n", "20s", true },
        { "heartbeat_ttl = 3s\n", "3s", true },
        { "heartbeat_ivl = 0\nheartbeat_ttl = 3s\n", "3s", false },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char *text = xasprintf("%s%s", wire, cases[i].lines), *said;
        conf_t *conf = load_text(text, &said);
        CHECK(conf);
        CHECK_TEXT(setting(&conf->routes[0]->settings, "backend_heartbeat_ttl"), cases[i].ttl);
        CHECK(!!strstr(said, "heartbeat_ttl: silent peers disconnect") == cases[i].warned);
        conf_destroy(&conf);
        free(said);
        free(text);
    }
}

static void
no_route_is_a_warning(void)
{
    check_says("", "x.ini:1:1: warning: there is no [route NAME] section, nothing will be forwarded\n");
    check_says("; only a comment", "x.ini:1:1: warning: there is no [route NAME] section, nothing will be forwarded\n");
}

static void
a_route_can_be_taken_out_and_lives_on(void)
{
    conf_t *conf = good(QUEUE "[route b]\ntype = pair\nfrontend_bind = ipc:///tmp/1\nbackend_bind = ipc:///tmp/2\n");
    CHECK(conf_endpoints(conf) == 4 && conf_route(conf, "a") && !conf_route(conf, "c"));
    route_conf_t *route = conf_take(conf, "a");
    CHECK(!conf_take(conf, "a") && conf->route_count == 1);
    conf_destroy(&conf);
    CHECK_TEXT(route->place.file, "x.ini");
    CHECK(route->place.line == 1 && route->sides[SIDE_FRONTEND].endpoints[0].place.line == 3);
    route_conf_destroy(&route);
    CHECK(!route);
}

// --- the manual -------------------------------------------------------------------

// ".It Ic KEY Cm = …" up to the next .It or section has to end with Reload: and the word for RELOAD.
static void
check_manual_entry(const char *manual, const char *key, const char *reload)
{
    char *start = xasprintf("\n.It Ic %s Cm = ", key);
    const char *at = strstr(manual, start);
    free(start);
    if (!at) {
        printf("# zbroker.ini.5: no entry for %s\n", key);
        test_ok = false;
        return;
    }
    const char *end = strstr(at + 1, "\n.It ");
    const char *list_end = strstr(at + 1, "\n.El");
    if (!end || (list_end && list_end < end))
        end = list_end;
    char *entry = xstrndup(at, (size_t)(end - at));
    char *wanted = xasprintf("Reload: %s.", reload);
    if (!strstr(entry, wanted) || !strstr(entry, "Default")) {
        printf("# zbroker.ini.5: %s lacks \"%s\" or its default\n", key, wanted);
        test_ok = false;
    }
    free(wanted);
    free(entry);
}

// What engine wire does with an option, in the words of the page.
static void
check_wire_use(const char *manual, const sockopt_t *option)
{
    static const char *const words[] = { [WIRE_REFUSES] = "\nNot with\n.Ic engine = wire .\n",
                                         [WIRE_NO_USE] = "\nNo effect with\n.Ic engine = wire .\n" };
    char *start = xasprintf("\n.It Ic %s Cm", option->key);
    const char *at = strstr(manual, start), *end = at ? strstr(at + 1, "\n.It ") : NULL;
    free(start);
    for (size_t use = WIRE_REFUSES; use <= WIRE_NO_USE && end; use++) {
        const char *found = words[use] ? strstr(at, words[use]) : NULL;
        if (!words[use] || (found && found < end) == (use == (size_t)option->wire))
            continue;
        printf("# zbroker.ini.5: %s: engine = wire\n", option->key);
        test_ok = false;
    }
}

// What engine wire takes over while it runs, and the others do not.
static void
check_wire_live(const char *manual, const char *key, bool live)
{
    char *start = xasprintf("\n.It Ic %s Cm", key);
    const char *at = strstr(manual, start), *end = at ? strstr(at + 1, "\n.It ") : NULL;
    const char *found = at ? strstr(at, "Reload: re-creates the route.\nWith\n.Ic engine = wire\nit is live.\n") : NULL;
    free(start);
    if (!end || (found && found < end) == live)
        return;
    printf("# zbroker.ini.5: %s: engine = wire, reload\n", key);
    test_ok = false;
}

static void
the_manual_has_every_key(void)
{
    static const char *const words[] = { "live", "re-creates the route", "restart" };
    const char *source = getenv("ZB_SRCDIR");
    char *path = xasprintf("%s/man/zbroker.ini.5.in", source ? source : ZB_SRCDIR);
    char *manual = read_whole(path);
    const key_row_t *row;
    for (int scope = SCOPE_PROCESS; scope <= SCOPE_SIDE; scope++)
        for (unsigned i = 0; (row = key_at((key_scope_t)scope, i)); i++) {
            char *key = xasprintf("%s%s", row->flags & KEY_SIDED ? "SIDE_" : "", row->key);
            check_manual_entry(manual, key, words[row->reload]);
            if (scope != SCOPE_PROCESS)
                check_wire_live(manual, row->key, row->flags & KEY_WIRE_LIVE);
            free(key);
        }
    for (unsigned i = 0; sockopt_at(i); i++) {
        check_manual_entry(manual, sockopt_at(i)->key,
                           words[sockopt_at(i)->flags & SOCKOPT_LIVE ? RELOAD_LIVE : RELOAD_ROUTE]);
        check_wire_use(manual, sockopt_at(i));
        check_wire_live(manual, sockopt_at(i)->key, sockopt_at(i)->flags & SOCKOPT_WIRE_LIVE);
    }
    for (unsigned i = 0; sockopt_old_at(i); i++)
        CHECK(strstr(manual, sockopt_old_at(i)->old));
    for (unsigned i = 0; pattern_at(i); i++)
        CHECK(strstr(manual, pattern_at(i)->name));
    const char *reason;
    for (unsigned i = 0; sockopt_refusal_at(i, &reason); i++)
        CHECK(strstr(manual, sockopt_refusal_at(i, &reason)));
    free(manual);
    free(path);
}

static bool
is_key(const char *name)
{
    const char *base;
    attribute_side(name, &base);
    return key_find(SCOPE_PROCESS, name) || key_find(SCOPE_ROUTE, name) || attribute_find(base) < ATTRIBUTES;
}

static bool
is_word_of(const char *key, const char *word)
{
    const key_row_t *row = key_find(SCOPE_PROCESS, key) ? key_find(SCOPE_PROCESS, key) : key_find(SCOPE_SIDE, key);
    char reason[512];
    size_t offset;
    key_value_t value;
    return row && row->kind == KEY_WORD && key_parse(row, word, "/", &value, reason, sizeof reason, &offset) == 0;
}

static void
every_foreign_word_leads_to_one_of_ours(void)
{
    const char *of, *word, *ours, *of_before = "", *word_before = "";
    for (size_t i = 0; suggest_foreign_at(i, &of, &word, &ours); i++) {
        bool known = strcmp(of, "key") == 0       ? is_key(ours) && !is_key(word)
                     : strcmp(of, "type") == 0    ? (pattern_find(ours) || strstr(ours, " or ")) && !pattern_find(word)
                     : strcmp(of, "section") == 0 ? strcmp(ours, "zbroker") == 0 || strcmp(ours, "route") == 0
                                                  : is_word_of(of, ours) && !is_word_of(of, word);
        int order = strcmp(of_before, of);
        if (!known || order > 0 || (order == 0 && strcmp(word_before, word) >= 0))
            CHECK_TEXT(word, "a word that is not ours, in order, for one that is");
        of_before = of;
        word_before = word;
    }
}

static void
every_default_of_the_table_is_a_value_of_its_key(void)
{
    const key_row_t *row;
    for (int scope = SCOPE_PROCESS; scope <= SCOPE_SIDE; scope++)
        for (unsigned i = 0; (row = key_at((key_scope_t)scope, i)); i++) {
            key_value_t value;
            char reason[256];
            size_t offset;
            bool needs_value = row->kind == KEY_PATTERN || row->kind == KEY_SOCKET_TYPE;
            CHECK(needs_value || key_parse(row, row->initial, "/", &value, reason, sizeof reason, &offset) == 0);
            if (needs_value)
                continue;
            char *printed = key_print(row, &value);
            CHECK_TEXT(printed, row->initial);
            free(printed);
            free(value.text);
        }
}

static void
the_names_of_files_that_were_only_looked_at_are_forgotten(void)
{
    static const char text[] = "[zbroker]\ninclude = not-there\n[route a]\ntype = queue\n";
    size_t before = raw_names();
    for (int i = 0; i < 100; i++) {
        char name[64];
        snprintf(name, sizeof name, "/folder-%d/%d.ini", i, i);
        diag_t *diag = diag_new();
        CHECK(!conf_load_text(name, text, strlen(text), diag));
        CHECK(raw_names() > before);
        diag_destroy(&diag);
        raw_names_forget(before);
        CHECK(raw_names() == before);
    }
}

int
main(void)
{
    RUN(wrong_files_say_every_line_that_is_wrong);
    RUN(an_engine_is_what_the_file_says);
    RUN(heartbeats_are_on_where_they_cost_nobody);
    RUN(engine_wire_takes_the_options_that_its_column_says);
    RUN(the_dump_of_a_dump_is_identical);
    RUN(the_sample_file_is_valid_without_a_warning);
    RUN(damaged_files_never_crash_and_errors_name_a_line);
    RUN(defaults_are_those_of_an_unattended_service);
    RUN(each_instance_of_the_service_has_its_own_control_socket);
    RUN(options_that_have_libzmqs_own_value_are_not_set);
    RUN(what_a_socket_type_needs_yields_to_a_side_option_only);
    RUN(the_nearest_value_wins);
    RUN(old_spellings_mean_the_same);
    RUN(nodrop_is_a_flag_and_linger_a_number_not_options);
    RUN(a_bind_beyond_loopback_needs_a_security_line);
    RUN(security_is_inherited_by_the_sides);
    RUN(a_password_is_read_from_its_file_and_printed_nowhere);
    RUN(overrides_replace_what_the_file_says);
    RUN(wrong_overrides_are_named_by_number_and_column);
    RUN(a_file_that_cannot_be_read_is_the_only_problem);
    RUN(heartbeats_are_warned_of);
    RUN(peers_are_not_told_to_leave_before_the_next_heartbeat);
    RUN(no_route_is_a_warning);
    RUN(a_route_can_be_taken_out_and_lives_on);
    RUN(the_manual_has_every_key);
    RUN(every_foreign_word_leads_to_one_of_ours);
    RUN(every_default_of_the_table_is_a_value_of_its_key);
    RUN(the_names_of_files_that_were_only_looked_at_are_forgotten);
    return test_done();
}
