// SPDX-License-Identifier: MPL-2.0
// interest.h - who asks for what on one side of a forwarder: topics, which are
// prefixes of bytes, each kept once with the set of its subscribers.
//
// Subscribers are small numbers that the caller gives out, and may give out again
// when the one before has left. One thread, no lock. No operation takes longer
// because there are many topics: only leaving does, by those of who leaves.

#ifndef ZB_INTEREST_H
#define ZB_INTEREST_H

#include "wire/members.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INTEREST_TOPIC_MAX ((1u << 27) - 1) // bytes; a longer one is not taken in

typedef struct interest interest_t;

interest_t *interest_new(void);
void interest_free(interest_t **self_p);

// SUBSCRIBER asks for TOPIC, or no longer. False: it did already, or did not; nothing has changed.
// *FIRST: nobody had asked for it before; *LAST: nobody does any more. Upstream is told then.
bool interest_add(interest_t *self, uint32_t subscriber, const void *topic, size_t size, bool *first);
bool interest_remove(interest_t *self, uint32_t subscriber, const void *topic, size_t size, bool *last);

// SUBSCRIBER has gone. ON_LAST, which may be NULL, hears of each topic that nobody asks for any more; it must not
// change SELF. interest_leave_some takes about 1,000 topics of it, so that whoever had a million of them keeps
// nobody waiting; true: there are more.
typedef void interest_fn(void *arg, const void *topic, size_t size);
void interest_leave(interest_t *self, uint32_t subscriber, interest_fn *on_last, void *arg);
bool interest_leave_some(interest_t *self, uint32_t subscriber, interest_fn *on_last, void *arg);

// Everybody who asks for a beginning of BYTES. What it returns is valid until the interest changes, or until the next
// call but one: it can be compared with that of the message before.
const members_t *interest_match(interest_t *self, const void *bytes, size_t size);

size_t interest_count(const interest_t *self); // topics that anybody asks for
bool interest_has(const interest_t *self, uint32_t subscriber, const void *topic, size_t size);
size_t interest_count_of(const interest_t *self, uint32_t subscriber); // topics of one
size_t interest_bytes_of(const interest_t *self, uint32_t subscriber); // their bytes

// Every topic, in ascending order of bytes. FN must not change SELF.
void interest_each(const interest_t *self, interest_fn *fn, void *arg);
void interest_each_of(const interest_t *self, uint32_t subscriber, interest_fn *fn, void *arg); // of one, in any order

// At most MAX topics, C-escaped, sorted. The caller frees each and the array.
char **interest_list(const interest_t *self, size_t *count, size_t max);

#endif
