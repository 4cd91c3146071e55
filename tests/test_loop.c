// SPDX-License-Identifier: MPL-2.0
#include "base/loop.h"
#include "test.h"

#include <unistd.h>

typedef struct heard heard_t;

struct heard {
    watched_t watched;
    loop_t *loop;
    int pipe[2];
    heard_t *other; // goes when this one is told
    unsigned told;
};

static heard_t heard[2];

static void
on_ready(watched_t *watched, uint32_t events)
{
    heard_t *self = (heard_t *)watched;
    CHECK(events == EPOLLIN);
    self->told++;
    if (!self->other)
        return;
    loop_forget(self->loop, self->other->pipe[0], &self->other->watched);
}

static void
set_up(loop_t *loop)
{
    CHECK(loop_open(loop) == 0);
    for (int i = 0; i < 2; i++) {
        heard[i] = (heard_t){ .watched.ready = on_ready, .loop = loop };
        CHECK(pipe(heard[i].pipe) == 0 && write(heard[i].pipe[1], "x", 1) == 1);
        CHECK(loop_watch(loop, heard[i].pipe[0], EPOLLIN, &heard[i].watched) == 0);
    }
}

static void
tear_down(loop_t *loop)
{
    for (int i = 0; i < 2; i++) {
        close(heard[i].pipe[0]);
        close(heard[i].pipe[1]);
    }
    loop_close(loop);
}

static void
test_everybody_is_told(void)
{
    loop_t loop = { 0 };
    set_up(&loop);
    loop_run(&loop, 0);
    CHECK(heard[0].told == 1 && heard[1].told == 1);
    loop_run(&loop, 0);
    CHECK(heard[0].told == 2 && heard[1].told == 2);
    tear_down(&loop);
}

// Whichever is told first: the other one has gone by then.
static void
test_who_was_dropped_is_told_nothing_more(void)
{
    loop_t loop = { 0 };
    set_up(&loop);
    heard[0].other = &heard[1];
    heard[1].other = &heard[0];
    for (int i = 0; i < 3; i++)
        loop_run(&loop, 0);
    CHECK(heard[0].told + heard[1].told == 3);
    CHECK(heard[0].told == 0 || heard[1].told == 0);
    tear_down(&loop);
}

int
main(void)
{
    RUN(test_everybody_is_told);
    RUN(test_who_was_dropped_is_told_nothing_more);
    return test_done();
}
