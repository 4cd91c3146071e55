// SPDX-License-Identifier: MPL-2.0
// topics.h - what the subscribers of a forwarder over libzmq's sockets ask for now: what
// went up to the publishers, each topic once. The route's thread writes, on subscriptions
// only; the main thread reads the list.

#ifndef ZB_TOPICS_H
#define ZB_TOPICS_H

#include <stdbool.h>
#include <stddef.h>

typedef struct topics topics_t;

topics_t *topics_new(void);
void topics_free(topics_t **self_p);

bool topics_add(topics_t *self, const void *topic, size_t size);    // false: was there
bool topics_remove(topics_t *self, const void *topic, size_t size); // false: was not
size_t topics_count(const topics_t *self);

// The first MAX topics, C-escaped, in the order of their bytes. The caller frees each and the array.
char **topics_list(topics_t *self, size_t *count, size_t max);

#endif
