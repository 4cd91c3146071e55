// SPDX-License-Identifier: MPL-2.0
// subject.h - topics as subjects of NATS, one to one: no two topics have the same
// subject, and the topic can be read from the subject.
//
// The levels of a topic, between its dots, are those of the subject. In a level,
// what is not printable ASCII, and each of % ~ * > is written as %XX; a level
// without a byte is written as %. So "prices.EUR" stays as it is, "a b" is a%20b,
// and the empty topic %.
//
// A subject that would become too long is ~ and the topic's BLAKE2b-256 in
// hexadecimal digits: it still stands for one topic only, which cannot be read
// from it.

#ifndef ZB_SUBJECT_H
#define ZB_SUBJECT_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>

enum { SUBJECT_TOPIC_MAX = 512 }; // bytes of a topic as it is written in a subject

// PREFIX, a dot and TOPIC; PREFIX is one already.
void subject_of(text_t *self, const char *prefix, const void *topic, size_t size);

// The topic of a SUBJECT below PREFIX. False: subject_of has not made it, or it cannot be read from it.
bool subject_topic(text_t *topic, const char *prefix, const char *subject);

// May TEXT stand before a topic: levels that are neither empty nor wildcards?
bool subject_is_prefix(const char *text);

#endif
