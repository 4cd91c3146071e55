// SPDX-License-Identifier: MPL-2.0
// keptrecord.h - messages that are kept, written down for another route, and read again.

#ifndef ZB_WIRE_KEPTRECORD_H
#define ZB_WIRE_KEPTRECORD_H

#include "base/record.h"
#include "wire/kept.h"

enum { TAG_KEPT = 1000 }; // in whatever record. Never used for anything else

bool keptrecord_save(void *to, const kept_t *kept); // a kept_fn: TO is a record_t

// Each message of FROM goes to FN, with its whole first frame as its topic; it lies in the record. One that is wrong is
// skipped. NOW_MS: none is younger.
typedef void keptrecord_fn(void *arg, const kept_t *kept);
void keptrecord_restore(record_fields_t from, int64_t now_ms, keptrecord_fn *fn, void *arg);

#endif
