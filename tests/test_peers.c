// SPDX-License-Identifier: MPL-2.0
// What is done to the connections of libzmq, which may close each of them at any time.
#include "zmq/peers.h"

#include "test.h"

#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

// --- a connection whose number passes on ---------------------------------------------

typedef struct {
    int ours, theirs;
} wire_t;

static wire_t
wire(void)
{
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
    return (wire_t){ ends[0], ends[1] };
}

static void
close_both(wire_t *self)
{
    close(self->ours);
    close(self->theirs);
}

static bool
has_ended(const wire_t *self)
{
    char byte;
    return recv(self->theirs, &byte, 1, MSG_DONTWAIT) == 0;
}

static void
pass_on(const wire_t *from, const wire_t *to)
{
    CHECK(dup2(to->ours, from->ours) == from->ours);
}

// Goes before the C library's: the worst moment is the one before the kernel hears of it.
static const wire_t *closes, *is_next;

int
shutdown(int fd, int how)
{
    if (closes)
        pass_on(closes, is_next);
    return (int)syscall(SYS_shutdown, fd, how);
}

// --- a side ----------------------------------------------------------------------------

static peers_t
side(side_counters_t *counters)
{
    static char name[] = "prices";
    return (peers_t){ .route = strdup(name), .side = SIDE_FRONTEND, .counters = counters };
}

static bool
half_close(peer_t *peer)
{
    return peer_half_close(peer, true);
}

static bool (*const acts[])(peer_t *peer) = { peer_cut, half_close };

static void
the_connection_is_ended_and_not_the_next_one_of_its_number(void)
{
    for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
        side_counters_t counters = { 0 };
        peers_t self = side(&counters);
        wire_t first = wire(), second = wire();
        peers_add(&self, first.ours, false);
        closes = &first, is_next = &second;
        CHECK(acts[i](&self.at[0]));
        closes = NULL;
        CHECK(has_ended(&first) && !has_ended(&second));
        peers_free(&self);
        close_both(&first);
        close_both(&second);
    }
}

static void
a_number_that_has_passed_on_is_left_alone(void)
{
    side_counters_t counters = { 0 };
    peers_t self = side(&counters);
    wire_t first = wire(), second = wire();
    peers_add(&self, first.ours, false);
    pass_on(&first, &second);
    CHECK(peer_pin(&self.at[0]) == -1);
    CHECK(!peer_cut(&self.at[0]));
    CHECK(peer_half_close(&self.at[0], false));
    CHECK(!has_ended(&second));
    peers_look_at_some(&self);
    CHECK(self.count == 0 && counters.disconnections == 1);
    peers_free(&self);
    close_both(&first);
    close_both(&second);
}

static void
nothing_is_left_open_of_what_was_pinned(void)
{
    side_counters_t counters = { 0 };
    peers_t self = side(&counters);
    wire_t first = wire();
    int lowest = dup(first.ours);
    close(lowest);
    peers_add(&self, first.ours, false);
    CHECK(peer_half_close(&self.at[0], false) && peer_cut(&self.at[0]));
    int pinned = peer_pin(&self.at[0]);
    CHECK(pinned == lowest);
    peer_unpin(pinned);
    peers_free(&self);
    close_both(&first);
}

// --- newcomers -------------------------------------------------------------------------

static void
a_newcomer_is_met_when_all_events_were_read(void)
{
    side_counters_t counters = { 0 };
    peers_t self = side(&counters);
    wire_t first = wire(), second = wire(), third = wire();
    peers_add(&self, third.ours, false);
    peers_meet(&self);
    self.turned_away = true;

    pass_on(&first, &second); // before the event that it was accepted is read
    peers_add(&self, first.ours, false);
    peers_remove(&self, first.ours);
    peers_meet(&self);
    CHECK(!has_ended(&second) && !has_ended(&third));

    peers_add(&self, second.ours, false);
    peers_remove(&self, third.ours);
    CHECK(!has_ended(&second));
    peers_meet(&self);
    CHECK(has_ended(&second) && !has_ended(&third));
    peers_free(&self);
    close_both(&first);
    close_both(&second);
    close_both(&third);
}

static void
a_newcomer_of_a_side_that_drains_is_half_closed(void)
{
    side_counters_t counters = { 0 };
    peers_t self = side(&counters);
    wire_t first = wire();
    self.half_closed = true;
    peers_add(&self, first.ours, false);
    peers_meet(&self);
    CHECK(has_ended(&first) && send(first.theirs, "x", 1, MSG_NOSIGNAL) == 1);
    peers_free(&self);
    close_both(&first);
}

int
main(void)
{
    RUN(the_connection_is_ended_and_not_the_next_one_of_its_number);
    RUN(a_number_that_has_passed_on_is_left_alone);
    RUN(nothing_is_left_open_of_what_was_pinned);
    RUN(a_newcomer_is_met_when_all_events_were_read);
    RUN(a_newcomer_of_a_side_that_drains_is_half_closed);
    return test_done();
}
