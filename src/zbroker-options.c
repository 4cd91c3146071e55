// SPDX-License-Identifier: MPL-2.0
#include "zbroker-options.h"

#include "base/log.h"
#include "base/mem.h"
#include "broker/savedstate.h"
#include "broker/program.h"
#include "flow/savedroute.h"

#include <czmq.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: zbroker [-c FILE] [-t | -T] [-u USER] [-l LEVEL] [-o SECTION.KEY=VALUE]... [-V] [-h]\n"
                            "\n"
                            "  -c, --config FILE      read FILE (- is standard input) instead of " ZB_SYSCONFDIR "/zbroker.ini\n"
                            "  -t, --test             check the configuration and name every problem\n"
                            "  -T, --dump             check, and print the effective configuration\n"
                            "  -u, --user USER        with -t and -T: check as this user\n"
                            "  -l, --log-level LEVEL  error, warning, notice, info, debug or trace\n"
                            "  -o SECTION.KEY=VALUE   override one key of the file\n"
                            "  -V, --version          versions and capabilities\n"
                            "  -h, --help             this\n"
                            "\n"
                            "See zbroker(8) and zbroker.ini(5).\n";

static const char *const capabilities[] = { "curve", "gssapi", "pgm", "norm", "tipc", "draft" };

static void
print_version(void)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    printf("zbroker %s (libzmq %d.%d.%d, czmq %d.%d.%d)", PACKAGE_VERSION, major, minor, patch, CZMQ_VERSION_MAJOR,
           CZMQ_VERSION_MINOR, CZMQ_VERSION_PATCH);
    for (size_t i = 0; i < sizeof capabilities / sizeof *capabilities; i++)
        printf(" %c%s", zmq_has(capabilities[i]) ? '+' : '-', capabilities[i]);
    printf("\n" PROGRAM_FORMATS "\n", SAVEDSTATE_FORMAT_NOW, SAVEDROUTE_FORMAT);
}

static void
add_override(options_t *self, char *override)
{
    mem_grow(self->overrides, self->override_count, self->override_room);
    self->overrides[self->override_count++] = override;
}

static _Noreturn void
wrong_usage(const char *what, const char *word)
{
    if (what)
        fprintf(stderr, "zbroker: %s: %s\n", what, word);
    fprintf(stderr, "Try zbroker --help.\n");
    exit(EXIT_USAGE);
}

void
options_parse(options_t *self, int argc, char **argv)
{
    static const struct option longs[] = {
        { "config", required_argument, NULL, 'c' },    { "test", no_argument, NULL, 't' },
        { "dump", no_argument, NULL, 'T' },            { "user", required_argument, NULL, 'u' },
        { "log-level", required_argument, NULL, 'l' }, { "version", no_argument, NULL, 'V' },
        { "help", no_argument, NULL, 'h' },            { NULL, 0, NULL, 0 },
    };
    int c;
    while ((c = getopt_long(argc, argv, "c:tTu:l:o:Vh", longs, NULL)) != -1)
        switch (c) {
        case 'c':
            self->file = optarg;
            break;
        case 't':
            self->mode = MODE_TEST;
            break;
        case 'T':
            self->mode = MODE_DUMP;
            break;
        case 'u':
            self->user = optarg;
            break;
        case 'l':
            if (log_level_find(optarg) == -1)
                wrong_usage("-l wants error, warning, notice, info, debug or trace", optarg);
            add_override(self, xasprintf("zbroker.log_level=%s", optarg));
            break;
        case 'o':
            if (!strchr(optarg, '='))
                wrong_usage("-o wants SECTION.KEY=VALUE", optarg);
            add_override(self, xstrdup(optarg));
            break;
        case 'V':
            print_version();
            exit(EXIT_OK);
        case 'h':
            fputs(usage, stdout);
            exit(EXIT_OK);
        default:
            wrong_usage(NULL, NULL);
        }
    if (self->user && self->mode == MODE_RUN)
        wrong_usage("-u goes with -t or -T", self->user);
    if (optind < argc)
        wrong_usage("takes no arguments", argv[optind]);
}

void
options_free(options_t *self)
{
    for (size_t i = 0; i < self->override_count; i++)
        free(self->overrides[i]);
    free(self->overrides);
}
