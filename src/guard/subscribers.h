// SPDX-License-Identifier: MPL-2.0
// subscribers.h - who subscribes at one XPUB: each connection, found again by the
// frames that come from it, and all that it holds. libzmq does not say which one
// has left: who has gone is seen by its descriptor, and then forgotten.
//
// By whoever reads the XPUB.

#ifndef ZB_SUBSCRIBERS_H
#define ZB_SUBSCRIBERS_H

#include "base/idset.h"
#include "flow/topics.h"
#include "guard/acl.h"
#include "guard/bag.h"

#include <sys/types.h>
#include <zmq.h>

// One connection. Its metadata is alive as long as PIN, so its address in memory names it.
typedef struct subscriber {
    struct subscriber *next;
    zmq_msg_t pin;
    const void *key;
    size_t key_size;
    const char *sender; // the address in its metadata, NULL where all from one address are one
    int fd;      // -1: none to be seen (inproc)
    ino_t inode; // of its connection, 0: not alive any more
    char address[64];
    char user[256];
    char id[64];
    idset_t asked;   // topics, as asked for and taken in, each held
    idset_t ignored; // topics, over a quota or denied, each held
    bag_t installed; // prefixes in the XPUB's table, with how many of the asked need them
    acl_view_t *view;
    uint64_t generation; // of the view
    bool said_quota, said_cut;
} subscriber_t;

// Who has one checked prefix (acl_cover).
typedef struct {
    subscriber_t **clients;
    size_t count, room;
} holders_t;

typedef struct {
    subscriber_t *first;
    size_t count;
    bool by_address; // a peer stays the same over its connections: we connect to it
    bool verified;   // each peer has a user (side_verifies_users)
    topics_t *topics;  // the route's: asked for by how many connections
    topics_t *ignored; // by how many

    // Its own:
    bag_t index; // key -> subscriber_t
    subscriber_t *last; // found in it: subscriptions come in rows
    size_t sweep_at, leavings;
    bag_t checked; // prefix -> holders_t
    unsigned *lengths; // a bit for each length of a checked prefix, NULL before the first
    size_t longest;
} subscribers_t;

// TOPICS are shared; nobody holds or asks for anything in them after subscribers_free.
void subscribers_init(subscribers_t *self, topics_t *topics);
void subscribers_free(subscribers_t *self);

// Who sent FRAME, of which SENDER is the address (Peer-Address), NULL where there is none (inproc). One
// who was not there yet is added, and who has gone may be forgotten.
subscriber_t *subscribers_find(subscribers_t *self, zmq_msg_t *frame, const char *sender);
subscriber_t *subscribers_local(const subscribers_t *self); // over inproc, NULL: nobody

// A subscription has ended with its client, or SUBSCRIBER, who holds a lot, was cut:
// so it is time to forget those who have gone, now or when the next one comes.
void subscribers_note_leaving(subscribers_t *self);
void subscribers_note_cut(subscribers_t *self);

bool subscriber_is_alive(const subscriber_t *self);
void subscriber_cut(subscriber_t *self); // at once: nothing more reaches the peer, who comes back
const char *subscriber_address(const subscriber_t *self); // as shown: "192.0.2.7", "ipc", "inproc"

// Where FRAME came from, cut off at ROOM; the inode of that connection, 0: not known.
ino_t subscriber_peer(zmq_msg_t *frame, char *host, size_t room);

// The user who sent FRAME, "" where none is VERIFIED on that side.
const char *subscriber_user(zmq_msg_t *frame, bool verified);

// The routing id that the peer has claimed, "" without one: any peer can claim any, so it gives no rights.
const char *subscriber_claimed_id(zmq_msg_t *frame);

// Who must be asked about before a message that starts with a checked prefix goes out. Holding what is held,
// or letting go of what is not, does nothing. False: too long, no message would be asked about.
#define CHECKED_MAX 65535 // bytes of a prefix
bool subscribers_hold(subscribers_t *self, subscriber_t *client, const void *prefix, size_t size);
void subscribers_let_go(subscribers_t *self, const subscriber_t *client, const void *prefix, size_t size);

// The holders of the shortest checked prefix of TOPIC that has at least *LENGTH bytes; NULL: no more.
// *LENGTH is then where to go on.
const holders_t *subscribers_holders(const subscribers_t *self, const void *topic, size_t size, size_t *length);

#endif
