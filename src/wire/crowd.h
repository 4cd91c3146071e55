// SPDX-License-Identifier: MPL-2.0
// crowd.h - a set of subscribers that grows and shrinks, as a piece of a slab; what
// its members look like is in members.h.

#ifndef ZB_CROWD_H
#define ZB_CROWD_H

#include "base/slab.h"
#include "wire/members.h"

typedef struct {
    uint32_t count, words;
    uint32_t at[];
} crowd_t;

static inline crowd_t *
crowd_at(const slab_t *slab, uint32_t number)
{
    return slab_at(slab, number);
}

static inline members_t
crowd_members(const crowd_t *crowd)
{
    return (members_t){ crowd->count, crowd->words, crowd->at };
}

static inline bool
crowd_has(const crowd_t *crowd, uint32_t subscriber)
{
    members_t members = crowd_members(crowd);
    return members_has(&members, subscriber);
}

// Of one subscriber.
uint32_t crowd_of(slab_t *slab, uint32_t subscriber);

// SUBSCRIBER is not in it yet; is in it, and not the last. *NUMBER is another one where the set had to move.
void crowd_put(slab_t *slab, uint32_t *number, uint32_t subscriber);
void crowd_take(slab_t *slab, uint32_t *number, uint32_t subscriber);

#endif
