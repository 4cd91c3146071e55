// SPDX-License-Identifier: MPL-2.0
// zbroker(8) - what it is asked for, and its exit code.
#include "base/diag.h"
#include "base/excerpt.h"
#include "base/record.h"
#include "base/text.h"
#include "broker/program.h"
#include "conf/load.h"
#include "conf/process.h"
#include "guard/guard.h"
#include "guard/policy.h"
#include "zbroker-daemon.h"
#include "zbroker-options.h"
#include "zbroker-process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SERVICE_USER "zbroker"

// Programs read one problem a line; people at a terminal get more.
static void
tell(diag_t *diag)
{
    if (isatty(STDERR_FILENO))
        excerpt_print(diag, stderr);
    else
        diag_print(diag, stderr);
}

static int
check(const options_t *options, const conf_t *conf)
{
    size_t endpoints = conf_endpoints(conf);
    if (options->mode == MODE_DUMP)
        conf_dump(conf, stdout);
    else
        printf("%s is valid: %zu route%s, %zu endpoint%s\n", options->file, conf->route_count,
               text_plural(conf->route_count), endpoints, text_plural(endpoints));
    if (!ferror(stdout) && fflush(stdout) == 0)
        return EXIT_OK;
    fprintf(stderr, "zbroker: cannot write: %s\n", strerror(errno));
    return EXIT_UNAVAILABLE;
}

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
    // At a start, too: a bad file of the guard is exit 1, not 69.
    if (conf && guard_check(NULL, conf, &policy, diag) == -1)
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
        status = daemon_run(&options, &conf, &policy, &before, diag);
        if (status != EXIT_OK)
            tell(diag);
    }
    record_forget(&before);
    policy_free(&policy);
    conf_destroy(&conf);
    diag_destroy(&diag);
    options_free(&options);
    return status;
}
