// SPDX-License-Identifier: MPL-2.0
// topics.h - what the subscribers of a forwarder ask for now: byte strings, each
// kept once. One writer (the route's thread, on subscriptions only) and readers
// in the main thread.
//
// The list is what went up to the publishers. Whoever looks at each subscriber
// (the guard) finds in the same topics a number for each, to remember instead of
// its bytes, and how many ask for it. A topic is there as long as it is listed,
// held or asked for.

#ifndef ZB_TOPICS_H
#define ZB_TOPICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct topics topics_t;

topics_t *topics_new(void);
topics_t *topics_share(topics_t *self); // one more who frees it
void topics_free(topics_t **self_p);    // the last one does

bool topics_add(topics_t *self, const void *topic, size_t size);    // to the list; false: was there
bool topics_remove(topics_t *self, const void *topic, size_t size); // false: was not
size_t topics_count(const topics_t *self);                          // of the list

// At most MAX topics of the list, C-escaped, sorted. The caller frees each and the array.
char **topics_list(topics_t *self, size_t *count, size_t max);

// The number of a topic, never 0. Held once more, it is nobody else's until dropped as often.
uint32_t topics_hold(topics_t *self, const void *topic, size_t size);
uint32_t topics_find(topics_t *self, const void *topic, size_t size); // not held; 0: not there
void topics_drop(topics_t *self, uint32_t number);

// How many ask for it: then, after one more, after one less (not below 0).
uint32_t topics_asked(topics_t *self, uint32_t number);
uint32_t topics_ask(topics_t *self, uint32_t number);
uint32_t topics_unask(topics_t *self, uint32_t number);

// Nobody holds or asks for anything any more.
void topics_forget(topics_t *self);

#endif
