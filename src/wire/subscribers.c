// SPDX-License-Identifier: MPL-2.0
#include "wire/subscribers.h"

#include "base/mem.h"
#include "wire/conn.h"
#include "wire/durable.h"
#include "wire/fan_internal.h"
#include "wire/options.h"
#include "wire/output.h"
#include "wire/piece.h"
#include "wire/port.h"
#include "wire/remember.h"
#include "wire/say.h"

#include <string.h>
#include <zmq.h>

enum { ASKED_A_TURN = 1000 }; // subscriptions and cancellations of one peer

// --- what they ask for --------------------------------------------------------------

// One more of SIZE bytes would be within each limit. 0: none.
static bool
within_quota(conn_t *conn, size_t size)
{
    const side_conf_t *conf = conn->port->conf;
    const route_conf_t *route = conn->wire->conf;
    const struct {
        const char *key;
        int64_t limit;
        uint64_t wanted;
    } quotas[] = {
        { "max_subscriptions", conf->max_subscriptions,
          interest_count_of(fan_of(conn->port)->interest, conn->slot) + 1 },
        { "max_topic", conf->max_topic, size },
        { "max_subscriptions_total", route->max_subscriptions_total, conn->wire->subscriptions + 1 },
    };
    for (size_t i = 0; i < COUNT(quotas); i++)
        if (quotas[i].limit > 0 && quotas[i].wanted > (uint64_t)quotas[i].limit) {
            port_drop(conn->port, DROP_QUOTA, 1);
            say_quota(conn, size, quotas[i].key, quotas[i].limit);
            return false;
        }
    return true;
}

// What it may not read is not sent, whatever it asks for. It is told once where that is all that it asked for; where
// matching is inverted a subscription asks for all but its topic.
static void
look_at_rights(conn_t *conn, const uint8_t *topic, size_t size)
{
    if (fan_of(conn->port)->invert || conn_may(conn, ADMISSION_SUBSCRIBE, topic, size))
        return;
    port_drop(conn->port, DROP_ACL, 1);
    say_denied(conn, "read", topic, size);
}

// It may read it, and no earlier subscription has brought it.
static bool
is_news(const conn_t *conn, bytes_t first)
{
    interest_t *interest = fan_of(conn->port)->interest;
    if (!conn_may(conn, ADMISSION_READ, first.at, first.size))
        return false;
    return interest_count_of(interest, conn->slot) == 0 ||
           !members_has(interest_match(interest, first.at, first.size), conn->slot);
}

// Whoever asks for much at once keeps nobody waiting.
static void
count_turn(conn_t *conn)
{
    if (++conn->asked < ASKED_A_TURN)
        return;
    conn->turn_over = true;
    conn_schedule(conn);
}

void
subscribers_ask(conn_t *conn, const uint8_t *topic, size_t size, bool on)
{
    wport_t *self = conn->port;
    fan_t *fan = fan_of(self);
    bool edge = false;
    count_turn(conn);
    bool is_new = on && !interest_has(fan->interest, conn->slot, topic, size);
    if (is_new && !within_quota(conn, size))
        return;
    if (on)
        look_at_rights(conn, topic, size);
    if (is_new && self->remembered && !fan->invert && !conn->hung_up) {
        durables_gets_more(conn);
        remember_bring(self->remembered, conn, bytes_of(topic, size), is_news);
    }
    bool changed = fan_change(self, conn->slot, topic, size, on, &edge);
    if (changed && conn->durable)
        durables_topic(conn, topic, size, on);
    // A publisher that hears one cancellation sends nothing more, so it hears of the last one only.
    if ((changed && edge) || (on && fan->verbose))
        fan_tell_upstream(self, topic, size, on);
}

// Older peers, and those of any version who send it by hand, subscribe by a message: 01 or 00, and the topic. Several in
// one message count each; what comes behind them is a message of its own.
bool
subscribers_hear(conn_t *conn, piece_t *piece)
{
    do {
        size_t size;
        const uint8_t *first = piece_first(piece, &size);
        if (size == 0 || first[0] > 1)
            return conn->port->socktype->type == ZMQ_PUB; // a PUB takes nothing else
        subscribers_ask(conn, first + 1, size - 1, first[0] == 1);
    } while (piece_skip_first(piece));
    return true;
}

// --- they come and go ---------------------------------------------------------------

// 0, or -1: it may not stay.
static int
take_number(conn_t *conn)
{
    durables_t *durables = conn->port->durables;
    int known = durables ? durables_join(durables, conn) : 0;
    if (known == 0)
        conn->slot = durables ? durables_free_number(durables) : fan_free_number(conn->port, 0);
    if (known == 0 && durables)
        durables_enter(durables, conn);
    return known == -1 ? -1 : 0;
}

static int
enter(conn_t *conn)
{
    fan_t *fan = fan_open(conn->port);
    if (take_number(conn) == -1)
        return -1;
    fan->subscribers[conn->slot] = conn;
    fan->restricted += conn->rights != NULL;
    return 0;
}

int
subscribers_rejoin(conn_t *conn)
{
    if (enter(conn) == -1)
        return -1;
    durables_came_over(conn);
    return 0;
}

int
subscribers_join(conn_t *conn)
{
    if (enter(conn) == -1)
        return -1;
    const char *welcome = options_text(conn->port->conf, "xpub_welcome_msg");
    if (welcome)
        output_frame(conn, 0, NULL, 0, welcome, strlen(welcome));
    bool is_back = conn->port->durables && durables_bring(conn->port->durables, conn);
    if (!is_back && conn->major == 1)
        subscribers_ask(conn, NULL, 0, true); // it cannot say what it wants, and sorts that out itself
    return 0;
}

void
subscribers_leave(conn_t *conn)
{
    fan_t *fan = fan_of(conn->port);
    if (!conn->port->durables || !durables_leave(conn->port->durables, conn))
        fan_forget(conn->port, conn->slot);
    fan->subscribers[conn->slot] = NULL;
    fan->restricted -= conn->rights != NULL;
}
