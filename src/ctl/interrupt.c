// SPDX-License-Identifier: MPL-2.0
// interrupt.c - see interrupt.h.

#include "ctl/interrupt.h"

#include <stddef.h>
#include <sys/time.h>
#include <unistd.h>

static volatile sig_atomic_t counted;
static bool counts;
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
    if (counted++)
        _exit(0);
}

static void
handle(void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = SA_RESTART };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGALRM, &action, NULL);
}

static void
change_mask(int how, sigset_t *before)
{
    sigset_t all;
    sigemptyset(&all);
    sigaddset(&all, SIGINT);
    sigaddset(&all, SIGTERM);
    sigaddset(&all, SIGALRM);
    sigprocmask(how, &all, before);
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
    counts = true;
    change_mask(SIG_BLOCK, mask);
    handle(on_count);
}

void
interrupt_let(bool come)
{
    if (counts)
        change_mask(come ? SIG_UNBLOCK : SIG_BLOCK, NULL);
}

void
interrupt_after(int64_t ms)
{
    struct itimerval timer = { .it_value = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 } };
    setitimer(ITIMER_REAL, &timer, NULL);
}

bool
interrupt_counted(void)
{
    return counted > 0;
}
