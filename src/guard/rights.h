// SPDX-License-Identifier: MPL-2.0
// rights.h - topic rights (acl) on one route: who may publish what, and what of that
// which subscribers ask for they get. What is denied is logged, each thing once.
//
// A subscriber's rights stay what they were when it came; when they have changed it
// is cut, and has the new ones when it comes again.
//
// A route holds the rights that it runs with. When it is removed the policy in force no
// longer knows it, and what it still drains passes by the last ones that it had.
//
// By whoever has the route's turn (flow/turn.h).

#ifndef ZB_RIGHTS_H
#define ZB_RIGHTS_H

#include "flow/counters.h"
#include "guard/inforce.h"
#include "guard/subscribers.h"

typedef struct {
    inforce_t *inforce; // this and the next three are the gate's
    const char *route;
    counters_t *counters;
    subscribers_t *subscribers;
    bool checked[SIDES];  // where each message needs the right to publish
    bool verified[SIDES]; // where peers have users (side_verifies_users)
    side_t xpub;          // where they subscribe

    // Its own:
    acl_t *acl[SIDES];   // of the sides that have rights
    uint64_t generation; // of the policy that they are of
    bag_t writers[SIDES]; // by their names: what they may do
    struct writer *last[SIDES]; // who was found there: messages come in rows
    bag_t denied;  // what was said
    size_t denials;
} rights_t;

// Once CHECKED, VERIFIED and XPUB are set, or set anew.
void rights_take(rights_t *self);
void rights_free(rights_t *self);

// May the message that starts with FIRST come in at FROM, which is checked?
bool rights_may_publish(rights_t *self, side_t from, zmq_msg_t *first);

// Cut those whose rights are others now. Before anything else passes.
void rights_review(rights_t *self);

// Cut those who would get TOPIC by a checked prefix and may not see it.
void rights_check_readers(rights_t *self, const void *topic, size_t size);

// Enter at XPUB, from which its frame was just read, what CLIENT may see of TOPIC. False: nothing, or it is cut.
bool rights_install(rights_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size);
void rights_uninstall(rights_t *self, subscriber_t *client, void *xpub, const void *topic, size_t size);

// Log that USER at ADDRESS may not do ACTION with TOPIC, unless that was said already.
void rights_say_denied(rights_t *self, const char *user, const char *address, const char *action, const void *topic,
                       size_t size);

#endif
