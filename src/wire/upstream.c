// SPDX-License-Identifier: MPL-2.0
#include "wire/upstream.h"

#include "wire/fan_internal.h"
#include "wire/output.h"
#include "wire/piece.h"
#include "wire/publish.h"

#include <string.h>
#include <zmq.h>

static void
send_topic(conn_t *conn, const void *topic, size_t size, bool on)
{
    uint8_t head[TRAFFIC_TOPIC_HEAD_MAX] = { on };
    if (conn->major == 1 || conn->output_over)
        return; // it sends everything, or hears nothing any more
    if (conn->major == 3 && conn->minor >= 1) {
        size_t length = traffic_topic_head(head, on ? TRAFFIC_SUBSCRIBE : TRAFFIC_CANCEL);
        output_frame(conn, FRAME_COMMAND, head, length, topic, size);
    } else
        output_frame(conn, 0, head, 1, topic, size);
}

static void
topic_for_all(wport_t *self, const uint8_t *topic, size_t size, bool on)
{
    for (uint32_t i = 0; i < self->count; i++)
        send_topic(self->open[i], topic, size, on);
}

static void
send_one(void *arg, const void *topic, size_t size)
{
    send_topic(arg, topic, size, true);
}

// The I-th thing that a SUB asks for, or NULL where that option is another.
static const char *
asked_for(const side_conf_t *side, size_t i)
{
    const option_conf_t *option = &side->options[i];
    return option->option->option == ZMQ_SUBSCRIBE ? option->value.text : NULL;
}

// Like libzmq's, a SUB takes only what it asks for: not every publisher does as it is told, and some cannot be told.
static bool
is_unwanted(conn_t *conn, piece_t *piece)
{
    const side_conf_t *side = conn->port->conf;
    size_t size;
    const uint8_t *first = piece_first(piece, &size);
    bool matches = false;
    for (size_t i = 0; i < side->option_count && !matches; i++) {
        const char *topic = asked_for(side, i);
        matches = topic && strlen(topic) <= size && memcmp(first, topic, strlen(topic)) == 0;
    }
    return matches == (side_option(side, "invert_matching", 0) == 1);
}

// A publisher that comes is told all that is wanted.
static int
publisher_joined(conn_t *conn)
{
    const wport_t *self = conn->port, *to = self->to;
    for (size_t i = 0; i < self->conf->option_count; i++) {
        const char *topic = asked_for(self->conf, i);
        if (topic)
            send_topic(conn, topic, strlen(topic), true);
    }
    if (self->socktype->topic && to && fan_takes_all(to))
        send_topic(conn, NULL, 0, true); // everything
    const fan_t *fan = self->socktype->topic && to && to->socktype->subscribed ? fan_of(to) : NULL;
    if (fan && fan->upstream)
        interest_each(fan->interest, send_one, conn);
    return 0;
}

// What subscribers send up goes to every publisher.
static given_t
give_to_all(wport_t *self, const piece_t *piece)
{
    for (uint32_t i = 0; i < self->count; i++)
        publish_send(self->open[i], piece);
    return GIVEN;
}

// clang-format off
const socktype_t socktype_xsub = { .type = ZMQ_XSUB, .give = give_to_all, .joined = publisher_joined, .topic = topic_for_all };
const socktype_t socktype_sub  = { .type = ZMQ_SUB,  .hears = is_unwanted, .joined = publisher_joined };
// clang-format on
