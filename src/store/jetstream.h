// SPDX-License-Identifier: MPL-2.0
// jetstream.h - one route's stream on a NATS server or cluster: what is published
// there, and what comes from there.
//
// A thread of its own connects, makes the stream or looks whether it fits,
// publishes and asks for messages; the library's threads bring the answers. The
// route's thread hands over and takes, never waits, and hears of news by a bell.
//
// A message is published until the stream has acknowledged it, in the order in
// which it was given, each time with the same id: the stream keeps it once. When
// one is not acknowledged, nothing more is published until the fate of all that
// are on their way is known; then it begins anew with the first that is missing.

#ifndef ZB_JETSTREAM_H
#define ZB_JETSTREAM_H

#include "base/record.h"
#include "conf/conf.h"
#include "store/node.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct jetstream jetstream_t;

typedef struct {
    const route_conf_t *conf;   // only until jetstream_open returns
    char node[NODE_DIGITS + 1]; // what tells our messages from those of others, also after a restart
    int bell;
} jetstream_setup_t;

// NULL with errno: it has no thread.
jetstream_t *jetstream_open(const jetstream_setup_t *setup);

// How far a forwarder has had its stream. All zeros: it has never had any.
typedef struct {
    bool began;
    uint64_t sequence; // of the last message that it has published
    int64_t made;      // when the stream was
} jetstream_place_t;

// Now it connects. PLACE: where another one, which has ended, was.
void jetstream_begin(jetstream_t *self, const jetstream_place_t *place);
void jetstream_place(jetstream_t *self, jetstream_place_t *place); // its own

// Before its end: no more messages come, so that the stream does not give us what we give back. Those that were on their way
// have come, if that takes no longer than WAIT_MS.
void jetstream_hush(jetstream_t *self, int64_t wait_ms);

// It goes no further, but what was said of messages is sent; for at most WAIT_MS. Nothing is said afterwards.
void jetstream_end(jetstream_t *self, int64_t wait_ms);

// What waits here is forgotten; what is acknowledged is in the stream. Its thread ends by itself.
void jetstream_close(jetstream_t **self_p);

// --- out ---------------------------------------------------------------------------

// One message. SEQUENCE: larger than that of the one before. SUBJECT: NULL, that of the stream. FRAMED: DATA are frames of
// ZMTP 2.0, not the one frame's body.
typedef struct {
    uint64_t sequence;
    const char *subject;
    bool framed;
    bool again; // it may have been published before
    const void *data;
    size_t size;
} jetstream_piece_t;

// How large a message may be for the server; not known before the first connection: then, at least as much.
enum { JETSTREAM_UNKNOWN = 512 * 1024 };
size_t jetstream_most(jetstream_t *self);

bool jetstream_has_room(jetstream_t *self, size_t size);
void jetstream_publish(jetstream_t *self, const jetstream_piece_t *piece);

typedef enum {
    JETSTREAM_STORED,
    JETSTREAM_TOO_LARGE, // for the server: it is not in the stream, and never will be
} jetstream_outcome_t;

// Of one message, once, in any order. False: nothing new.
bool jetstream_settled(jetstream_t *self, uint64_t *sequence, jetstream_outcome_t *outcome);

// --- in ----------------------------------------------------------------------------

typedef struct jetstream_message jetstream_message_t;

// How many messages somebody here can take. One that is held is one of them.
#define JETSTREAM_ANY UINT32_MAX
void jetstream_want(jetstream_t *self, uint32_t wanted);

// The next one that has come; NULL: none now. It is the caller's, who gives it back with jetstream_done.
jetstream_message_t *jetstream_take(jetstream_t *self);

typedef struct {
    jetstream_piece_t piece; // its sequence is that in the stream
    uint64_t tries;          // how often it was handed out, this time included
    bool again;              // it may be in the stream twice, and have been handed out as another message
    int64_t stored_ns;       // when the stream took it: with its sequence, a name that no other message has
    const char *id;          // under which it was published; NULL: it has none
} jetstream_arrival_t;

void jetstream_look(const jetstream_t *self, const jetstream_message_t *message, jetstream_arrival_t *arrival);

// It stays with the caller for long, and does not count among those that wait here to be done. Until it is, it has to be
// kept again and again, or it is given out again.
enum { JETSTREAM_KEEP_MS = 3000 };
void jetstream_hold(jetstream_t *self, jetstream_message_t *message);
void jetstream_keep(jetstream_t *self, const jetstream_message_t *message);


// DONE: no other node gets it. Else it is given out again.
void jetstream_done(jetstream_t *self, jetstream_message_t **message_p, bool done);

// The stream has given it out another time, or it is another one's from now on: nothing is said of this one.
void jetstream_forget(jetstream_t *self, jetstream_message_t **message_p);

// Handing over. WHOLE: with its data. RESTORE: NULL, it is none. One that is not HELD comes like others.
void jetstream_save(const jetstream_t *self, const jetstream_message_t *message, bool whole, record_t *to);
jetstream_message_t *jetstream_restore(jetstream_t *self, record_fields_t from, bool held);

// --- how it is -----------------------------------------------------------------------

typedef struct {
    bool ready;       // connected, and the stream is there
    bool failed;      // and will not be: REASON says why
    char server[256]; // to which it is connected, "" not
    unsigned number;  // of that, from 1, in the configuration
    char reason[256]; // why it is not ready
    int64_t since_ms; // monotonic: for how long it is not
    uint64_t waiting; // messages that are not acknowledged
} jetstream_state_t;

void jetstream_state(jetstream_t *self, jetstream_state_t *state);

#endif
