// SPDX-License-Identifier: MPL-2.0
// jetstream_internal.h - what a jetstream is made of. For jetstream.c, jskept.c, jslink.c, jsstream.c, jspublish.c, jspull.c and jsrecord.c only.

#ifndef ZB_JETSTREAM_INTERNAL_H
#define ZB_JETSTREAM_INTERNAL_H

#include "store/jetstream.h"
#include "store/libnats.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    CONNECT_MS = 2000,  // one attempt
    REQUEST_MS = 2000,  // a question to the server
    ACK_MS = 4000,      // after which a message that is not acknowledged is published again
    WAIT_LEAST_MS = 50, // between two attempts to connect; at random, so that not all nodes come at once
    WAIT_MOST_MS = 250,
    ELECTION_LEAST_MS = 100, // before a message is published again
    ELECTION_MOST_MS = 500,
    WINDOW_MESSAGES = 2000, // given and not acknowledged
    WINDOW_BYTES = 8 * 1024 * 1024,
    PULL_MESSAGES = 256, // asked for at once
    PULL_LOW = 128,      // no more are asked for while the route has as many in hand
    PULL_BYTES = 8 * 1024 * 1024,
    PULL_MS = 5000, // how long the server waits for them
    HUSH_MS = 100,  // in which those that are on their way come at the end
    INBOX = 64,
    HEADERS_MOST = 512, // bytes of the headers of a message of ours
};

#define HEADER_ID "Nats-Msg-Id"
#define HEADER_AGAIN "Zbroker-Again" // the id of a message that may be in the stream already, see jsstream.c
#define HEADER_STATUS "Status"
#define HEADER_FRAMES "Zbroker-Frames"

typedef struct outgoing {
    struct outgoing *next;    // until the thread has it, and when the stream has it
    uint64_t sequence, place; // PLACE: in the stream
    char *subject;            // NULL: the stream's
    int64_t sent_ms;
    bool framed, sent, again;
    bool settled; // the route knows that the stream has it, or had it
    size_t size;
    uint8_t data[];
} outgoing_t;

// Of the stream, to a message that was published.
typedef enum {
    ANSWER_STORED,
    ANSWER_NOT_NOW, // publish it again
    ANSWER_TOO_LARGE,
} answer_kind_t;

typedef struct {
    uint64_t sequence;
    answer_kind_t kind;
    uint64_t place; // in the stream
    bool had;       // and it was there before
} answer_t;

typedef struct {
    answer_t *at;
    size_t first, count, room;
} stream_answers_t;

struct jetstream_message {
    struct jetstream_message *next;
    natsMsg *msg;
    bool done, held;
    uint64_t sequence, tries; // what the server says of it
    int64_t stored_ns;
    int64_t made; // when its stream was
};

// Somebody is at a message, whose answers go to REPLY.
typedef struct note {
    struct note *next;
    char reply[];
} note_t;

typedef struct {
    jetstream_message_t *first, **end;
} messages_t;

// One connection, for as long as the library may call back for it: its inboxes hold it, and so does the thread.
typedef struct {
    jetstream_t *jetstream;
    unsigned holders; // under the jetstream's lock
    unsigned parting; // subscriptions that end though the connection does not
    bool lost;        // under the lock as well, like all that callbacks change
    natsConnection *connection;
    jsCtx *context;
    natsSubscription *acks, *messages;
    bool replicated; // the stream is
    bool ids_once;   // and must not get an id twice
    char ack_inbox[INBOX], message_inbox[INBOX];
    size_t max_payload;
} link_t;

struct jetstream {
    const libnats_t *nats;
    nats_conf_t conf;           // copies
    char *route, *next_subject; // where the consumer is asked for messages
    char node[NODE_DIGITS + 1];
    bool topics; // a forwarder's
    bool acked;  // it has workers that acknowledge
    bool drop_oldest;
    int64_t max_bytes;
    bool last_values;
    int64_t replay_messages, replay_bytes, replay_time_ms;
    int bell;

    pthread_mutex_t lock; // over all up to the thread's own
    pthread_cond_t news, parted;
    unsigned holders;
    bool begun, hushes, hushed, ending, has_ended;
    bool woken; // there is news that the thread has not looked at
    uint32_t wants;
    bool exact; // no more than is wanted may come
    outgoing_t *given, **given_end;
    stream_answers_t answers, settled;
    messages_t arrived, verdicts;
    note_t *notes;
    size_t unsettled, unsettled_bytes;
    size_t in_hand; // messages that came, are not done and not held
    bool pulling;   // the server has a request of ours
    size_t pulled;  // of it, messages that are still to come
    int64_t pull_ends_ms;
    bool consumer_gone;
    uint64_t last_sequence; // of what came from a stream of topics
    bool began;             // it is known where that began
    jetstream_place_t place;
    int64_t stream_made;    // when, by the clock of the servers; its own thread alone changes it
    size_t most;            // bytes of a message; 0: not known
    jetstream_state_t state;

    // The thread's own.
    link_t *link;
    outgoing_t **window;             // in order; NULL: settled
    size_t first, next, count, room; // NEXT: the first that is to be published
    size_t on_their_way;
    bool holds, probes; // see jspublish.c
    int64_t hold_until_ms;
    outgoing_t *kept, **kept_end, *lost; // see jskept.c
    size_t kept_bytes;
    uint64_t last_place;
    uint64_t forgotten;                 // from this place on the stream has forgotten what it had, 0: nothing
    int64_t consumer_made;              // when, by the clock of the servers
    bool was_ready;
    unsigned server; // which one is tried next
};

// --- jetstream.c ----------------------------------------------------------------------

void jetstream_lock(jetstream_t *self);
void jetstream_unlock(jetstream_t *self);
void jetstream_wake(jetstream_t *self); // the thread; the lock is held
int64_t jetstream_random(int64_t least, int64_t most);

// --- jslink.c ---------------------------------------------------------------------------

typedef enum { LINK_UP, LINK_LATER, LINK_NEVER } link_result_t;

// To the next server. Why not is in REASON.
link_result_t link_open(jetstream_t *self, char reason[256]);
void link_close(jetstream_t *self);
bool link_renew(jetstream_t *self); // messages come elsewhere now: what was asked for does not come
void link_hush(jetstream_t *self);  // none come any more; those that were on their way have come
void link_drop(link_t **link_p);    // one holder less
const char *link_last_error(const jetstream_t *self, natsStatus status); // in words
bool link_said(const libnats_t *nats, natsMsg *answer, const char *text);

// --- jsstream.c --------------------------------------------------------------------------

// The stream and the consumer: made, or looked at.
link_result_t stream_prepare(jetstream_t *self, char reason[256]);

// --- jskept.c ----------------------------------------------------------------------------

void kept_add(jetstream_t *self, outgoing_t *message); // the stream has acknowledged it
void kept_lose(jetstream_t *self, uint64_t from);      // the stream has not what had a place from there on
outgoing_t *kept_lost(jetstream_t *self);              // the next one of those, which is the caller's
void kept_forget(jetstream_t *self);

// --- jspublish.c -------------------------------------------------------------------------

void publish_reset(jetstream_t *self);                   // the connection has gone: what was on its way is not known
void publish_take(jetstream_t *self);                    // what was given, and what was answered
int64_t publish_work(jetstream_t *self, int64_t now_ms); // when it wants to be called again
void publish_lost(jetstream_t *self);                    // once more, when there is a connection
void publish_forget(jetstream_t *self);
void publish_free(outgoing_t *message);
void publish_heard(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *closure);

// --- jspull.c ----------------------------------------------------------------------------

void messages_put(messages_t *self, jetstream_message_t *message);
void pull_reset(jetstream_t *self); // there is a new connection
void pull_work(jetstream_t *self, int64_t now_ms);
void pull_hush(jetstream_t *self);   // if it is to
void pull_answer(jetstream_t *self); // what was said of messages
void pull_forget(jetstream_t *self);
void pull_heard(natsConnection *connection, natsSubscription *subscription, natsMsg *msg, void *closure);

#endif
