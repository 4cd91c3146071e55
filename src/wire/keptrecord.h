// SPDX-License-Identifier: MPL-2.0
// keptrecord.h - messages that are kept, written down for another route, and read again.

#ifndef ZB_WIRE_KEPTRECORD_H
#define ZB_WIRE_KEPTRECORD_H

#include "base/record.h"
#include "wire/kept.h"

enum { TAG_KEPT = 1000 }; // in whatever record. Never used for anything else

bool keptrecord_save(void *to, const kept_t *kept); // a kept_fn: TO is a record_t
// The same; SHIFT_MS is added to its time, for a record that outlives the clock.
void keptrecord_write(record_t *to, const kept_t *kept, int64_t shift_ms);

// Each message of FROM goes to FN, with its whole first frame as its topic; it lies in the record. One that is wrong is
// skipped. SHIFT_MS is what was added to their times; NOW_MS: none is younger.
typedef void keptrecord_fn(void *arg, const kept_t *kept);
void keptrecord_read(const record_field_t *field, int64_t shift_ms, int64_t now_ms, keptrecord_fn *fn, void *arg);
void keptrecord_restore(record_fields_t from, int64_t shift_ms, int64_t now_ms, keptrecord_fn *fn, void *arg);

#endif
