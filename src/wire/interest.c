// SPDX-License-Identifier: MPL-2.0
//
// A message is followed down the tree to one topic, and whoever has a beginning of it
// has a leaf beside that way.
#include "wire/interest.h"

#include "base/bigset.h"
#include "base/mem.h"
#include "base/text.h"
#include "wire/crowd.h"
#include "wire/topictree.h"

#include <stdlib.h>

enum {
    SET_BITS = 8, // of answers, two in each
    SETS = 1 << SET_BITS,
};

typedef struct {
    bigset_t topics;
    size_t bytes;
} subscriber_t;

// Who asks for a topic or for a beginning of it.
typedef struct {
    members_t members;
    uint64_t version;
    uint32_t topic;
    uint32_t room; // words
    uint32_t *own; // of several topics together
} topic_answer_t;

// A topic that ends on the way of a message.
typedef struct {
    uint32_t topic;
    members_t members;
} crossing_t;

struct interest {
    topictree_t tree;
    uint64_t version; // changes with whatever is asked for
    subscriber_t *subscribers;
    uint32_t subscriber_room;

    crossing_t *way; // of the last match; they ascend
    size_t way_room;
    const topic_answer_t *last;
    topic_answer_t plain[2];     // for topics of which nobody asks for a beginning
    topic_answer_t (*united)[2]; // for others; NULL before the first
    uint32_t *bitmap;      // to unite sets in
    uint32_t bitmap_room;
};

static const members_t nobody;

// --- who asks for one topic -----------------------------------------------------------

static members_t
askers(const interest_t *self, const topic_t *topic)
{
    return topic->size & CROWDED ? crowd_members(crowd_at(&self->tree.slab, topic->who))
                                 : (members_t){ 1, 0, &topic->who };
}

static bool
is_asked_by(const interest_t *self, const topic_t *topic, uint32_t subscriber)
{
    return topic->size & CROWDED ? crowd_has(crowd_at(&self->tree.slab, topic->who), subscriber)
                                 : topic->who == subscriber;
}

static void
add_asker(interest_t *self, topic_t *topic, uint32_t subscriber)
{
    if (!(topic->size & CROWDED)) {
        topic->who = crowd_of(&self->tree.slab, topic->who);
        topic->size |= CROWDED;
    }
    crowd_put(&self->tree.slab, &topic->who, subscriber);
}

// There are others.
static void
remove_asker(interest_t *self, topic_t *topic, uint32_t subscriber)
{
    crowd_take(&self->tree.slab, &topic->who, subscriber);
    if (crowd_at(&self->tree.slab, topic->who)->count > 1)
        return;
    uint32_t number = topic->who;
    topic->who = crowd_at(&self->tree.slab, number)->at[0];
    topic->size &= ~CROWDED;
    slab_give(&self->tree.slab, number);
}

// --- subscribing ----------------------------------------------------------------------

static subscriber_t *
subscriber_at(interest_t *self, uint32_t subscriber)
{
    if (subscriber >= self->subscriber_room) {
        uint32_t room = subscriber + subscriber / 2 + 8;
        self->subscribers = xrealloc(self->subscribers, room, sizeof *self->subscribers);
        memset(self->subscribers + self->subscriber_room, 0,
               (room - self->subscriber_room) * sizeof *self->subscribers);
        self->subscriber_room = room;
    }
    return &self->subscribers[subscriber];
}

bool
interest_add(interest_t *self, uint32_t subscriber, const void *bytes, size_t size, bool *first)
{
    uint32_t number = size <= INTEREST_TOPIC_MAX ? topictree_find(&self->tree, bytes, size) : 0;
    *first = false;
    if (size > INTEREST_TOPIC_MAX || (number && is_asked_by(self, topictree_at(&self->tree, number), subscriber)))
        return false;
    if (number)
        add_asker(self, topictree_at(&self->tree, number), subscriber);
    else
        *first = (number = topictree_enter(&self->tree, bytes, size, subscriber));
    subscriber_t *who = subscriber_at(self, subscriber);
    bigset_put(&who->topics, number);
    who->bytes += size;
    self->version++;
    return true;
}

// SUBSCRIBER asks for it. True: nobody else does, and it is still there, for the caller to topictree_erase.
static bool
is_last_asker(interest_t *self, uint32_t number, uint32_t subscriber)
{
    topic_t *topic = topictree_at(&self->tree, number);
    self->subscribers[subscriber].bytes -= topic_size(topic);
    self->version++;
    if (!(topic->size & CROWDED))
        return true;
    remove_asker(self, topic, subscriber);
    return false;
}

bool
interest_remove(interest_t *self, uint32_t subscriber, const void *bytes, size_t size, bool *last)
{
    uint32_t number = topictree_find(&self->tree, bytes, size);
    *last = false;
    if (!number || !is_asked_by(self, topictree_at(&self->tree, number), subscriber))
        return false;
    bigset_take(&self->subscribers[subscriber].topics, number);
    *last = is_last_asker(self, number, subscriber);
    if (*last)
        topictree_erase(&self->tree, number);
    return true;
}

bool
interest_leave_some(interest_t *self, uint32_t subscriber, interest_fn *on_last, void *arg)
{
    if (subscriber >= self->subscriber_room || !bigset_last(&self->subscribers[subscriber].topics))
        return false;
    bigset_t *topics = &self->subscribers[subscriber].topics;
    const idset_t *some = bigset_last(topics);
    for (uint32_t i = 0; i < some->room; i++) {
        uint32_t number = idset_slot(some, i);
        if (!number || !is_last_asker(self, number, subscriber))
            continue;
        const topic_t *topic = topictree_at(&self->tree, number);
        if (on_last)
            on_last(arg, topic->bytes, topic_size(topic));
        topictree_erase(&self->tree, number);
    }
    bigset_drop_last(topics);
    return topics->count > 0;
}

void
interest_leave(interest_t *self, uint32_t subscriber, interest_fn *on_last, void *arg)
{
    while (interest_leave_some(self, subscriber, on_last, arg))
        continue;
}

// --- matching -------------------------------------------------------------------------

static void
need_bitmap(interest_t *self, uint32_t words)
{
    if (words > self->bitmap_room) {
        self->bitmap = xrealloc(self->bitmap, words, sizeof *self->bitmap);
        self->bitmap_room = words;
    }
    memset(self->bitmap, 0, words * sizeof *self->bitmap);
}

static void
put_in_bitmap(uint32_t *bitmap, const members_t *members)
{
    for (uint32_t i = 0; i < members->words; i++)
        bitmap[i] |= members->at[i];
    for (uint32_t i = 0; !members->words && i < members->count; i++)
        bitmap[members->at[i] / 32] |= 1u << members->at[i] % 32;
}

static uint32_t
top_of_members(const members_t *members)
{
    return members->words ? members->words * 32 - 1 : members->at[members->count - 1];
}

static void
need_own(topic_answer_t *answer, uint32_t words)
{
    if (words <= answer->room)
        return;
    answer->own = xrealloc(answer->own, words, sizeof *answer->own);
    answer->room = words;
}

// The bitmap, WORDS long, as the set that it is, in ANSWER's own memory.
static void
settle(const interest_t *self, topic_answer_t *answer, uint32_t words)
{
    members_t all = { 0, words, self->bitmap };
    while (!self->bitmap[all.words - 1])
        all.words--;
    for (uint32_t i = 0; i < all.words; i++)
        all.count += (uint32_t)__builtin_popcount(self->bitmap[i]);
    uint32_t as_bitmap = members_words(all.count, all.words * 32 - 1), i = 0;
    need_own(answer, as_bitmap ? as_bitmap : all.count);
    if (as_bitmap)
        memcpy(answer->own, self->bitmap, as_bitmap * sizeof *answer->own);
    else
        for (uint32_t place = 0; members_next(&all, &place, &answer->own[i]);)
            i++;
    answer->members = (members_t){ all.count, as_bitmap, answer->own };
}

// Of the first COUNT on the way.
static void
unite_many(interest_t *self, topic_answer_t *answer, size_t count)
{
    uint32_t top = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t another = top_of_members(&self->way[i].members);
        top = another > top ? another : top;
    }
    need_bitmap(self, top / 32 + 1);
    for (size_t i = 0; i < count; i++)
        put_in_bitmap(self->bitmap, &self->way[i].members);
    settle(self, answer, top / 32 + 1);
}

static void
put_once(topic_answer_t *answer, uint32_t subscriber)
{
    uint32_t *own = answer->own, i = answer->members.count;
    while (i > 0 && own[i - 1] > subscriber)
        i--;
    if (i > 0 && own[i - 1] == subscriber)
        return;
    memmove(&own[i + 1], &own[i], (answer->members.count++ - i) * sizeof *own);
    own[i] = subscriber;
}

// So few that all of them are numbers.
static void
unite_few(const interest_t *self, topic_answer_t *answer, size_t count)
{
    need_own(answer, MEMBERS_FEW);
    answer->members = (members_t){ 0, 0, answer->own };
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < self->way[i].members.count; j++)
            put_once(answer, self->way[i].members.at[j]);
}

static topic_answer_t *
make_plain(interest_t *self, uint32_t number)
{
    topic_answer_t *answer = &self->plain[self->last == &self->plain[0]]; // the last one must stay until the next call
    answer->members = askers(self, topictree_at(&self->tree, number));
    return answer;
}

static void
note(interest_t *self, size_t i, uint32_t topic)
{
    if (i == self->way_room)
        mem_grow(self->way, i, self->way_room);
    self->way[i].topic = topic;
}

static void
unite(interest_t *self, topic_answer_t *answer, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        self->way[i].members = askers(self, topictree_at(&self->tree, self->way[i].topic));
        total += self->way[i].members.count;
    }
    if (total <= MEMBERS_FEW)
        unite_few(self, answer, count);
    else
        unite_many(self, answer, count);
}

// Its beginnings are the first SHORTER on the way. That set is soon asked for again.
static topic_answer_t *
find_united(interest_t *self, uint32_t number, size_t shorter)
{
    if (!self->united)
        self->united = xcalloc(SETS, sizeof *self->united);
    topic_answer_t *set = self->united[number * UINT32_C(0x9e3779b1) >> (32 - SET_BITS)];
    topic_answer_t *answer = set[0].topic == number ? &set[0] : &set[1];
    if (answer->topic == number && answer->version == self->version)
        return answer;
    if (answer == self->last)
        answer = answer == set ? &set[1] : &set[0];
    note(self, shorter, number);
    unite(self, answer, shorter + 1);
    return answer;
}

static inline const members_t *
answer_for(interest_t *self, uint32_t number, size_t shorter)
{
    if (!self->last || self->last->topic != number || self->last->version != self->version) {
        topic_answer_t *answer = shorter ? find_united(self, number, shorter) : make_plain(self, number);
        answer->topic = number;
        answer->version = self->version;
        self->last = answer;
    }
    return &self->last->members;
}

// The longest topic that ends on the way of BYTES, 0: none; the others are noted, how many is *SHORTER. All that is a
// beginning of BYTES is among them.
static inline uint32_t
follow(interest_t *self, const void *bytes, size_t size, size_t *shorter)
{
    size_t count = 0;
    const node_t *node = &self->tree.root;
    for (; node && !node_is_leaf(node); node = topictree_child(&self->tree, node, bytes, size))
        if (node->at & ENDED)
            note(self, count++, topictree_children(&self->tree, node)->number);
    uint32_t longest = node ? node->number : 0;
    bool is_noted = count && (!longest || self->way[count - 1].topic == longest);
    *shorter = count - is_noted;
    return is_noted ? self->way[count - 1].topic : longest;
}

const members_t *
interest_match(interest_t *self, const void *bytes, size_t size)
{
    size_t shorter;
    uint32_t number = self->tree.root.number ? follow(self, bytes, size, &shorter) : 0;
    if (!number)
        return &nobody;
    const topic_t *topic = topictree_at(&self->tree, number);
    if (topic_begins(topic, bytes, size))
        return answer_for(self, number, shorter);
    size_t fits = shorter ? topic_common(topic, bytes, size) : 0;
    while (shorter && topic_size(topictree_at(&self->tree, self->way[shorter - 1].topic)) > fits)
        shorter--;
    return shorter ? answer_for(self, self->way[shorter - 1].topic, shorter - 1) : &nobody;
}

// --- looking --------------------------------------------------------------------------

size_t
interest_count(const interest_t *self)
{
    return self->tree.count;
}

bool
interest_has(const interest_t *self, uint32_t subscriber, const void *bytes, size_t size)
{
    uint32_t number = topictree_find(&self->tree, bytes, size);
    return number && is_asked_by(self, topictree_at(&self->tree, number), subscriber);
}

size_t
interest_count_of(const interest_t *self, uint32_t subscriber)
{
    return subscriber < self->subscriber_room ? self->subscribers[subscriber].topics.count : 0;
}

size_t
interest_bytes_of(const interest_t *self, uint32_t subscriber)
{
    return subscriber < self->subscriber_room ? self->subscribers[subscriber].bytes : 0;
}

void
interest_each(const interest_t *self, interest_fn *fn, void *arg)
{
    topictree_walk_t walk = topictree_walk(&self->tree);
    for (const topic_t *topic; (topic = topictree_next(&walk));)
        fn(arg, topic->bytes, topic_size(topic));
    free(walk.open);
}

static void
each_in(const interest_t *self, const idset_t *topics, interest_fn *fn, void *arg)
{
    for (uint32_t i = 0; i < topics->room; i++)
        if (idset_slot(topics, i)) {
            const topic_t *topic = topictree_at(&self->tree, idset_slot(topics, i));
            fn(arg, topic->bytes, topic_size(topic));
        }
}

void
interest_each_of(const interest_t *self, uint32_t subscriber, interest_fn *fn, void *arg)
{
    if (subscriber >= self->subscriber_room)
        return;
    const bigset_t *topics = &self->subscribers[subscriber].topics;
    for (uint32_t i = 0; i < topics->part_count; i++)
        each_in(self, &topics->parts[i], fn, arg);
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
interest_list(const interest_t *self, size_t *count, size_t max)
{
    char **list = xcalloc((self->tree.count < max ? self->tree.count : max) + 1, sizeof *list);
    topictree_walk_t walk = topictree_walk(&self->tree);
    *count = 0;
    for (const topic_t *topic; *count < max && (topic = topictree_next(&walk));) {
        text_t text = { 0 };
        text_escaped(&text, topic->bytes, topic_size(topic));
        list[(*count)++] = text_take(&text);
    }
    free(walk.open);
    qsort(list, *count, sizeof *list, by_name);
    return list;
}

// --- life -----------------------------------------------------------------------------

interest_t *
interest_new(void)
{
    return xcalloc(1, sizeof(interest_t));
}

void
interest_free(interest_t **self_p)
{
    interest_t *self = *self_p;
    if (!self)
        return;
    for (uint32_t i = 0; i < self->subscriber_room; i++)
        bigset_free(&self->subscribers[i].topics);
    for (size_t i = 0; self->united && i < SETS; i++)
        for (size_t j = 0; j < 2; j++)
            free(self->united[i][j].own);
    free(self->united);
    free(self->subscribers);
    free(self->way);
    free(self->bitmap);
    slab_free(&self->tree.slab);
    free(self);
    *self_p = NULL;
}
