// SPDX-License-Identifier: MPL-2.0
#include "wire/crowd.h"

#include <string.h>

// At least as large as the last one.
static uint32_t
top_of(const crowd_t *crowd)
{
    return crowd->words ? crowd->words * 32 - (uint32_t)__builtin_clz(crowd->at[crowd->words - 1]) - 1
                        : crowd->at[crowd->count - 1];
}

// There is room for it.
static void
put(crowd_t *crowd, uint32_t subscriber)
{
    uint32_t i = crowd->count++;
    if (crowd->words) {
        crowd->at[subscriber / 32] |= 1u << subscriber % 32;
        return;
    }
    for (; i > 0 && crowd->at[i - 1] > subscriber; i--)
        crowd->at[i] = crowd->at[i - 1];
    crowd->at[i] = subscriber;
}

static void
take_out(crowd_t *crowd, uint32_t subscriber)
{
    crowd->count--;
    if (crowd->words) {
        crowd->at[subscriber / 32] &= ~(1u << subscriber % 32);
        while (!crowd->at[crowd->words - 1])
            crowd->words--;
        return;
    }
    uint32_t i = 0;
    while (crowd->at[i] != subscriber)
        i++;
    memmove(&crowd->at[i], &crowd->at[i + 1], (crowd->count - i) * sizeof *crowd->at);
}

static uint32_t
new_crowd(slab_t *slab, uint32_t words, uint32_t room)
{
    uint32_t number = slab_take(slab, sizeof(crowd_t) + room * sizeof(uint32_t));
    crowd_t *crowd = crowd_at(slab, number);
    *crowd = (crowd_t){ .words = words };
    memset(crowd->at, 0, words * sizeof(uint32_t));
    return number;
}

uint32_t
crowd_of(slab_t *slab, uint32_t subscriber)
{
    uint32_t number = new_crowd(slab, 0, 2);
    put(crowd_at(slab, number), subscriber);
    return number;
}

// The same set as a bitmap of WORDS, or as numbers, with room for more.
static void
remake(slab_t *slab, uint32_t *number, uint32_t words)
{
    crowd_t *old = crowd_at(slab, *number);
    uint32_t used = words ? words : old->count, fresh = new_crowd(slab, words, used + used / 2 + 1);
    members_t members = crowd_members(old);
    for (uint32_t place = 0, subscriber; members_next(&members, &place, &subscriber);)
        put(crowd_at(slab, fresh), subscriber);
    slab_give(slab, *number);
    *number = fresh;
}

static bool
has_room(const slab_t *slab, uint32_t number, uint32_t used)
{
    return slab_size(slab, number) >= sizeof(crowd_t) + used * sizeof(uint32_t);
}

void
crowd_put(slab_t *slab, uint32_t *number, uint32_t subscriber)
{
    crowd_t *crowd = crowd_at(slab, *number);
    uint32_t top = top_of(crowd), words = members_words(crowd->count + 1, subscriber > top ? subscriber : top);
    if (!words != !crowd->words || !has_room(slab, *number, words ? words : crowd->count + 1)) {
        remake(slab, number, words);
        crowd = crowd_at(slab, *number);
    }
    for (; crowd->words < words; crowd->words++)
        crowd->at[crowd->words] = 0;
    put(crowd, subscriber);
}

void
crowd_take(slab_t *slab, uint32_t *number, uint32_t subscriber)
{
    crowd_t *crowd = crowd_at(slab, *number);
    take_out(crowd, subscriber);
    uint32_t words = members_words(crowd->count, top_of(crowd));
    if (words != crowd->words)
        remake(slab, number, words);
}
