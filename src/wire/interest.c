// SPDX-License-Identifier: MPL-2.0
//
// A qp trie: a tree whose leaves are topics, and whose branches part them by the half
// byte in which they differ first. A branch keeps a bitmap of the halves that there
// are, and only those children. Nothing is ever made anew or balanced: a topic that
// comes or goes changes one branch of at most 17 children. A message is followed down
// to one topic, and whoever has a beginning of it has a leaf beside that way. No way
// is longer than what a message and a topic have in common, so what one subscriber
// asks for costs the messages of others next to nothing, and there is no hash to
// collide.
//
// That a topic ends counts as a half byte of its own, so that it can be the beginning
// of another one.
#include "wire/interest.h"

#include "base/bigset.h"
#include "base/mem.h"
#include "base/slab.h"
#include "base/text.h"

#include <stdlib.h>

enum {
    FEW = 8,      // numbers are quicker to walk than a bitmap
    SET_BITS = 8, // of answers, two in each
    SETS = 1 << SET_BITS,
};

#define LEAF (1u << 31)
#define ENDED_BIT 30
#define ENDED (1u << ENDED_BIT)
#define CROWDED (1u << 31)

// A leaf, or a branch whose children differ in what is at one place.
typedef struct {
    uint32_t at;        // LEAF; or the byte, times 2, and 1 for its lower half; ENDED: END is among the symbols
    uint32_t number;    // of the topic, or of the children
    uint32_t symbols;   // which there are: END, and 2 << each half byte; the children are in this order
    uint32_t places[2]; // 4 bits for each half byte: which child is its, that of END not counted
} node_t;

enum { END = 1 };

typedef struct {
    uint32_t size; // and CROWDED
    uint32_t who;  // the subscriber, or the number of its crowd
    unsigned char bytes[];
} topic_t;

// Those who ask for one topic, if there are several; as members_t.
typedef struct {
    uint32_t count, words;
    uint32_t at[];
} crowd_t;

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
} answer_t;

// A topic that ends on the way of a message.
typedef struct {
    uint32_t topic;
    members_t members;
} crossing_t;

struct interest {
    slab_t slab;
    node_t root; // its number is 0: nothing is asked for
    size_t count;
    uint64_t version; // changes with whatever is asked for
    subscriber_t *subscribers;
    uint32_t subscriber_room;

    crossing_t *way; // of the last match; they ascend
    size_t way_room;
    const answer_t *last;
    answer_t plain[2];     // for topics of which nobody asks for a beginning
    answer_t (*united)[2]; // for others; NULL before the first
    uint32_t *bitmap;      // to unite sets in
    uint32_t bitmap_room;
};

static const members_t nobody;

// --- sets of subscribers --------------------------------------------------------------

// Of the bitmap that COUNT numbers up to TOP take, 0: they stay numbers.
static uint32_t
words_for(uint32_t count, uint32_t top)
{
    return count > FEW && top / 32 + 1 <= count ? top / 32 + 1 : 0;
}

static crowd_t *
crowd_at(const interest_t *self, uint32_t number)
{
    return slab_at(&self->slab, number);
}

static members_t
members_of(const crowd_t *crowd)
{
    return (members_t){ crowd->count, crowd->words, crowd->at };
}

// At least as large as the last one.
static uint32_t
top_of(const crowd_t *crowd)
{
    return crowd->words ? crowd->words * 32 - (uint32_t)__builtin_clz(crowd->at[crowd->words - 1]) - 1
                        : crowd->at[crowd->count - 1];
}

static bool
is_in(const crowd_t *crowd, uint32_t subscriber)
{
    if (crowd->words)
        return subscriber / 32 < crowd->words && crowd->at[subscriber / 32] >> subscriber % 32 & 1;
    uint32_t from = 0, to = crowd->count;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        if (crowd->at[middle] < subscriber)
            from = middle + 1;
        else
            to = middle;
    }
    return from < crowd->count && crowd->at[from] == subscriber;
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
new_crowd(interest_t *self, uint32_t words, uint32_t room)
{
    uint32_t number = slab_take(&self->slab, sizeof(crowd_t) + room * sizeof(uint32_t));
    crowd_t *crowd = crowd_at(self, number);
    *crowd = (crowd_t){ .words = words };
    memset(crowd->at, 0, words * sizeof(uint32_t));
    return number;
}

// The same set as a bitmap of WORDS, or as numbers, with room for more.
static void
remake(interest_t *self, uint32_t *number, uint32_t words)
{
    crowd_t *old = crowd_at(self, *number);
    uint32_t used = words ? words : old->count, fresh = new_crowd(self, words, used + used / 2 + 1);
    members_t members = members_of(old);
    for (uint32_t place = 0, subscriber; members_next(&members, &place, &subscriber);)
        put(crowd_at(self, fresh), subscriber);
    slab_give(&self->slab, *number);
    *number = fresh;
}

static bool
has_room(const interest_t *self, uint32_t number, uint32_t used)
{
    return slab_size(&self->slab, number) >= sizeof(crowd_t) + used * sizeof(uint32_t);
}

static void
put_in_crowd(interest_t *self, uint32_t *number, uint32_t subscriber)
{
    crowd_t *crowd = crowd_at(self, *number);
    uint32_t top = top_of(crowd), words = words_for(crowd->count + 1, subscriber > top ? subscriber : top);
    if (!words != !crowd->words || !has_room(self, *number, words ? words : crowd->count + 1)) {
        remake(self, number, words);
        crowd = crowd_at(self, *number);
    }
    for (; crowd->words < words; crowd->words++)
        crowd->at[crowd->words] = 0;
    put(crowd, subscriber);
}

static void
take_out_of_crowd(interest_t *self, uint32_t *number, uint32_t subscriber)
{
    crowd_t *crowd = crowd_at(self, *number);
    take_out(crowd, subscriber);
    uint32_t words = words_for(crowd->count, top_of(crowd));
    if (words != crowd->words)
        remake(self, number, words);
}

// --- who asks for one topic -----------------------------------------------------------

static topic_t *
topic_at(const interest_t *self, uint32_t number)
{
    return slab_at(&self->slab, number);
}

static size_t
size_of(const topic_t *topic)
{
    return topic->size & ~CROWDED;
}

static members_t
askers(const interest_t *self, const topic_t *topic)
{
    return topic->size & CROWDED ? members_of(crowd_at(self, topic->who)) : (members_t){ 1, 0, &topic->who };
}

static bool
is_asked_by(const interest_t *self, const topic_t *topic, uint32_t subscriber)
{
    return topic->size & CROWDED ? is_in(crowd_at(self, topic->who), subscriber) : topic->who == subscriber;
}

static void
add_asker(interest_t *self, topic_t *topic, uint32_t subscriber)
{
    if (!(topic->size & CROWDED)) {
        uint32_t number = new_crowd(self, 0, 2);
        put(crowd_at(self, number), topic->who);
        topic->who = number;
        topic->size |= CROWDED;
    }
    put_in_crowd(self, &topic->who, subscriber);
}

// There are others.
static void
remove_asker(interest_t *self, topic_t *topic, uint32_t subscriber)
{
    take_out_of_crowd(self, &topic->who, subscriber);
    if (crowd_at(self, topic->who)->count > 1)
        return;
    uint32_t number = topic->who;
    topic->who = crowd_at(self, number)->at[0];
    topic->size &= ~CROWDED;
    slab_give(&self->slab, number);
}

// --- the tree -------------------------------------------------------------------------

static node_t *
children_of(const interest_t *self, const node_t *branch)
{
    return slab_at(&self->slab, branch->number);
}

static inline bool
is_leaf(const node_t *node)
{
    return node->at & LEAF;
}

// The child that BYTES go to, NULL: none.
static inline node_t *
child_for(const interest_t *self, const node_t *branch, const unsigned char *bytes, size_t size)
{
    uint32_t byte = (branch->at & ~ENDED) >> 1;
    if (byte >= size)
        return branch->at & ENDED ? children_of(self, branch) : NULL;
    unsigned half = bytes[byte] >> (~branch->at & 1) * 4 & 15;
    if (!(branch->symbols & 2u << half))
        return NULL;
    uint64_t places;
    memcpy(&places, branch->places, sizeof places);
    return children_of(self, branch) + (branch->at >> ENDED_BIT) + (places >> half * 4 & 15);
}

// A topic that has as much in common with BYTES as any; there is one.
static uint32_t
closest(const interest_t *self, const void *bytes, size_t size)
{
    const node_t *node = &self->root;
    while (!is_leaf(node)) {
        const node_t *child = child_for(self, node, bytes, size);
        node = child ? child : children_of(self, node);
    }
    return node->number;
}

static bool
begins(const topic_t *topic, const void *bytes, size_t size)
{
    return size_of(topic) <= size && (size_of(topic) == 0 || memcmp(topic->bytes, bytes, size_of(topic)) == 0);
}

// 0: it is not there.
static uint32_t
find(const interest_t *self, const void *bytes, size_t size)
{
    uint32_t number = self->root.number ? closest(self, bytes, size) : 0;
    const topic_t *topic = number ? topic_at(self, number) : NULL;
    return topic && size_of(topic) == size && begins(topic, bytes, size) ? number : 0;
}

static size_t
common(const topic_t *topic, const unsigned char *bytes, size_t size)
{
    size_t i = 0, most = size_of(topic) < size ? size_of(topic) : size;
    while (i < most && topic->bytes[i] == bytes[i])
        i++;
    return i;
}

// Where BYTES and a topic, which is another one, part.
static uint32_t
first_difference(const topic_t *topic, const unsigned char *bytes, size_t size)
{
    size_t byte = common(topic, bytes, size);
    bool both = byte < size && byte < size_of(topic);
    return (uint32_t)byte << 1 | (both && topic->bytes[byte] >> 4 == bytes[byte] >> 4);
}

static uint32_t
new_topic(interest_t *self, const void *bytes, size_t size, uint32_t subscriber)
{
    uint32_t number = slab_take(&self->slab, sizeof(topic_t) + size);
    topic_t *topic = topic_at(self, number);
    *topic = (topic_t){ .size = (uint32_t)size, .who = subscriber };
    if (size)
        memcpy(topic->bytes, bytes, size);
    self->count++;
    return number;
}

static uint32_t
symbol_at(uint32_t at, const unsigned char *bytes, size_t size)
{
    uint32_t byte = at >> 1;
    if (byte >= size)
        return END;
    return 2u << (at & 1 ? bytes[byte] & 15 : bytes[byte] >> 4);
}

static void
set_symbols(node_t *branch, uint32_t symbols)
{
    uint64_t places = 0, place = 0;
    for (unsigned half = 0; half < 16; half++)
        if (symbols & 2u << half)
            places |= place++ << half * 4;
    memcpy(branch->places, &places, sizeof places);
    branch->symbols = symbols;
    branch->at = (branch->at & ~ENDED) | (symbols & END ? ENDED : 0);
}

static uint32_t
count_of(uint32_t symbols)
{
    return (uint32_t)__builtin_popcount(symbols);
}

// Among the children of BRANCH, which become more by one.
static void
put_child(interest_t *self, node_t *branch, uint32_t symbol, node_t child)
{
    uint32_t count = count_of(branch->symbols), place = count_of(branch->symbols & (symbol - 1));
    uint32_t number = slab_take(&self->slab, (count + 1) * sizeof child);
    node_t *to = slab_at(&self->slab, number);
    if (count > 0) {
        const node_t *from = children_of(self, branch);
        memcpy(to, from, place * sizeof child);
        memcpy(to + place + 1, from + place, (count - place) * sizeof child);
        slab_give(&self->slab, branch->number);
    }
    to[place] = child;
    branch->number = number;
    set_symbols(branch, branch->symbols | symbol);
}

// A branch with one child left becomes that child.
static void
drop_child(interest_t *self, node_t *branch, uint32_t symbol)
{
    uint32_t left = count_of(branch->symbols) - 1, place = count_of(branch->symbols & (symbol - 1));
    uint32_t old = branch->number;
    const node_t *from = children_of(self, branch);
    if (left == 1) {
        *branch = from[!place];
    } else {
        branch->number = slab_take(&self->slab, left * sizeof *from);
        node_t *to = children_of(self, branch);
        memcpy(to, from, place * sizeof *from);
        memcpy(to + place, from + place + 1, (left - place) * sizeof *from);
        set_symbols(branch, branch->symbols & ~symbol);
    }
    slab_give(&self->slab, old);
}

static node_t *
find_node(interest_t *self, uint32_t until, const unsigned char *bytes, size_t size)
{
    node_t *node = &self->root;
    while ((node->at & ~ENDED) < until) // LEAF is beyond all
        node = child_for(self, node, bytes, size);
    return node;
}

// It is not there yet.
static uint32_t
enter(interest_t *self, const void *bytes, size_t size, uint32_t subscriber)
{
    node_t fresh = { .at = LEAF, .number = new_topic(self, bytes, size, subscriber) };
    if (!self->root.number) {
        self->root = fresh;
        return fresh.number;
    }
    const topic_t *near = topic_at(self, closest(self, bytes, size));
    uint32_t at = first_difference(near, bytes, size);
    node_t *node = find_node(self, at, bytes, size);
    if ((node->at & ~ENDED) != at) {
        node_t below = *node;
        *node = (node_t){ .at = at };
        put_child(self, node, symbol_at(at, near->bytes, size_of(near)), below);
    }
    put_child(self, node, symbol_at(at, bytes, size), fresh);
    return fresh.number;
}

static void
erase(interest_t *self, uint32_t number)
{
    const topic_t *topic = topic_at(self, number);
    node_t *node = &self->root, *above = NULL;
    for (; !is_leaf(node); node = child_for(self, node, topic->bytes, size_of(topic)))
        above = node;
    if (above)
        drop_child(self, above, symbol_at(above->at & ~ENDED, topic->bytes, size_of(topic)));
    else
        self->root = (node_t){ 0 };
    slab_give(&self->slab, number);
    self->count--;
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
    uint32_t number = size <= INTEREST_TOPIC_MAX ? find(self, bytes, size) : 0;
    *first = false;
    if (size > INTEREST_TOPIC_MAX || (number && is_asked_by(self, topic_at(self, number), subscriber)))
        return false;
    if (number)
        add_asker(self, topic_at(self, number), subscriber);
    else
        *first = (number = enter(self, bytes, size, subscriber));
    subscriber_t *who = subscriber_at(self, subscriber);
    bigset_put(&who->topics, number);
    who->bytes += size;
    self->version++;
    return true;
}

// SUBSCRIBER asks for it. True: nobody else does, and it is still there, for the caller to erase.
static bool
is_last_asker(interest_t *self, uint32_t number, uint32_t subscriber)
{
    topic_t *topic = topic_at(self, number);
    self->subscribers[subscriber].bytes -= size_of(topic);
    self->version++;
    if (!(topic->size & CROWDED))
        return true;
    remove_asker(self, topic, subscriber);
    return false;
}

bool
interest_remove(interest_t *self, uint32_t subscriber, const void *bytes, size_t size, bool *last)
{
    uint32_t number = find(self, bytes, size);
    *last = false;
    if (!number || !is_asked_by(self, topic_at(self, number), subscriber))
        return false;
    bigset_take(&self->subscribers[subscriber].topics, number);
    *last = is_last_asker(self, number, subscriber);
    if (*last)
        erase(self, number);
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
        const topic_t *topic = topic_at(self, number);
        if (on_last)
            on_last(arg, topic->bytes, size_of(topic));
        erase(self, number);
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
need_own(answer_t *answer, uint32_t words)
{
    if (words <= answer->room)
        return;
    answer->own = xrealloc(answer->own, words, sizeof *answer->own);
    answer->room = words;
}

// The bitmap, WORDS long, as the set that it is, in ANSWER's own memory.
static void
settle(const interest_t *self, answer_t *answer, uint32_t words)
{
    members_t all = { 0, words, self->bitmap };
    while (!self->bitmap[all.words - 1])
        all.words--;
    for (uint32_t i = 0; i < all.words; i++)
        all.count += (uint32_t)__builtin_popcount(self->bitmap[i]);
    uint32_t as_bitmap = words_for(all.count, all.words * 32 - 1), i = 0;
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
unite_many(interest_t *self, answer_t *answer, size_t count)
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
put_once(answer_t *answer, uint32_t subscriber)
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
unite_few(const interest_t *self, answer_t *answer, size_t count)
{
    need_own(answer, FEW);
    answer->members = (members_t){ 0, 0, answer->own };
    for (size_t i = 0; i < count; i++)
        for (uint32_t j = 0; j < self->way[i].members.count; j++)
            put_once(answer, self->way[i].members.at[j]);
}

static answer_t *
make_plain(interest_t *self, uint32_t number)
{
    answer_t *answer = &self->plain[self->last == &self->plain[0]]; // the last one must stay until the next call
    answer->members = askers(self, topic_at(self, number));
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
unite(interest_t *self, answer_t *answer, size_t count)
{
    size_t total = 0;
    for (size_t i = 0; i < count; i++) {
        self->way[i].members = askers(self, topic_at(self, self->way[i].topic));
        total += self->way[i].members.count;
    }
    if (total <= FEW)
        unite_few(self, answer, count);
    else
        unite_many(self, answer, count);
}

// Its beginnings are the first SHORTER on the way. That set is soon asked for again.
static answer_t *
find_united(interest_t *self, uint32_t number, size_t shorter)
{
    if (!self->united)
        self->united = xcalloc(SETS, sizeof *self->united);
    answer_t *set = self->united[number * UINT32_C(0x9e3779b1) >> (32 - SET_BITS)];
    answer_t *answer = set[0].topic == number ? &set[0] : &set[1];
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
        answer_t *answer = shorter ? find_united(self, number, shorter) : make_plain(self, number);
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
    const node_t *node = &self->root;
    for (; node && !is_leaf(node); node = child_for(self, node, bytes, size))
        if (node->at & ENDED)
            note(self, count++, children_of(self, node)->number);
    uint32_t longest = node ? node->number : 0;
    bool is_noted = count && (!longest || self->way[count - 1].topic == longest);
    *shorter = count - is_noted;
    return is_noted ? self->way[count - 1].topic : longest;
}

const members_t *
interest_match(interest_t *self, const void *bytes, size_t size)
{
    size_t shorter;
    uint32_t number = self->root.number ? follow(self, bytes, size, &shorter) : 0;
    if (!number)
        return &nobody;
    const topic_t *topic = topic_at(self, number);
    if (begins(topic, bytes, size))
        return answer_for(self, number, shorter);
    size_t fits = shorter ? common(topic, bytes, size) : 0;
    while (shorter && size_of(topic_at(self, self->way[shorter - 1].topic)) > fits)
        shorter--;
    return shorter ? answer_for(self, self->way[shorter - 1].topic, shorter - 1) : &nobody;
}

// --- looking --------------------------------------------------------------------------

size_t
interest_count(const interest_t *self)
{
    return self->count;
}

bool
interest_has(const interest_t *self, uint32_t subscriber, const void *bytes, size_t size)
{
    uint32_t number = find(self, bytes, size);
    return number && is_asked_by(self, topic_at(self, number), subscriber);
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

// A way through all topics, in order: what is still to be looked at.
typedef struct {
    const interest_t *interest;
    const node_t **open;
    size_t count, room;
} walk_t;

static void
open_node(walk_t *self, const node_t *node)
{
    mem_grow(self->open, self->count, self->room);
    self->open[self->count++] = node;
}

static walk_t
walk_from_root(const interest_t *interest)
{
    walk_t walk = { .interest = interest };
    if (interest->root.number)
        open_node(&walk, &interest->root);
    return walk;
}

static const topic_t *
next_topic(walk_t *self)
{
    while (self->count > 0) {
        const node_t *node = self->open[--self->count];
        if (is_leaf(node))
            return topic_at(self->interest, node->number);
        const node_t *children = children_of(self->interest, node);
        for (uint32_t i = count_of(node->symbols); i-- > 0;)
            open_node(self, &children[i]);
    }
    return NULL;
}

void
interest_each(const interest_t *self, interest_fn *fn, void *arg)
{
    walk_t walk = walk_from_root(self);
    for (const topic_t *topic; (topic = next_topic(&walk));)
        fn(arg, topic->bytes, size_of(topic));
    free(walk.open);
}

static void
each_in(const interest_t *self, const idset_t *topics, interest_fn *fn, void *arg)
{
    for (uint32_t i = 0; i < topics->room; i++)
        if (idset_slot(topics, i)) {
            const topic_t *topic = topic_at(self, idset_slot(topics, i));
            fn(arg, topic->bytes, size_of(topic));
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
    char **list = xcalloc((self->count < max ? self->count : max) + 1, sizeof *list);
    walk_t walk = walk_from_root(self);
    *count = 0;
    for (const topic_t *topic; *count < max && (topic = next_topic(&walk));) {
        text_t text = { 0 };
        text_escaped(&text, topic->bytes, size_of(topic));
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
    slab_free(&self->slab);
    free(self);
    *self_p = NULL;
}
