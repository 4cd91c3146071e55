// SPDX-License-Identifier: MPL-2.0
// interrupt.c - see interrupt.h.

#include "ctl/interrupt.h"

#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t counted;
static void (*last_act)(void);

static void
on_end(int number)
{
    (void)number;
    if (last_act)
        last_act();
    _exit(0);
}

static void
on_count(int number)
{
    (void)number;
    counted++;
}

static void
handle(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

void
interrupt_ends(void (*last)(void))
{
    last_act = last;
    handle(on_end);
}

void
interrupt_count(sigset_t *mask)
{
    sigset_t both;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    sigprocmask(SIG_BLOCK, &both, mask);
    handle(on_count);
}

int
interrupt_counted(void)
{
    return counted;
}
