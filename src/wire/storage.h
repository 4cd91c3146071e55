// SPDX-License-Identifier: MPL-2.0
// storage.h - a route's store, for those who have one: how it is opened, where its
// messages lie in memory, and what log and counters hear of it.

#ifndef ZB_WIRE_STORAGE_H
#define ZB_WIRE_STORAGE_H

#include "store/store.h"
#include "wire/internal.h"

store_conf_t storage_conf(const wire_t *wire);
store_memory_t storage_memory(wire_t *wire); // a block is a chunk of the route

// What has changed since *TOLD, which says so far.
void storage_tell(const wire_t *wire, const store_t *store, store_figures_t *told);

#endif
