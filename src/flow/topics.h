// SPDX-License-Identifier: MPL-2.0
// topics.h - what the subscribers of a forwarder ask for now: a set of byte
// strings with one writer (the route's thread, on subscriptions only) and
// readers in the main thread.

#ifndef ZB_TOPICS_H
#define ZB_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct topics topics_t;

topics_t *topics_new(void);
bool topics_add(topics_t *self, const void *topic, size_t size);    // false: was there
bool topics_remove(topics_t *self, const void *topic, size_t size); // false: was not
size_t topics_count(const topics_t *self);

// At most MAX topics, C-escaped, sorted. The caller frees each and the array.
char **topics_list(topics_t *self, size_t *count, size_t max);
void topics_free(topics_t **self_p);

#endif
