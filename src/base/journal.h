// SPDX-License-Identifier: MPL-2.0
// journal.h - systemd's journal in its own protocol: one datagram an entry, of
// fields with names.
//
// Each value goes out with its length, so a newline in it begins no field. No
// call waits: where the journal has no room, journal_send says so.

#ifndef ZB_JOURNAL_H
#define ZB_JOURNAL_H

#include "base/text.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

// A descriptor for journal_send. -1: nobody listens at PATH.
int journal_connect(const char *path);

// Add a field to ENTRY. NAME is of ours: A to Z, digits, and _ but not as the first one.
void journal_field(text_t *entry, const char *name, const void *value, size_t size);

// The fields of LINE, a line of the log (event.h): MESSAGE is its words; each key
// of its tail becomes ZBROKER_KEY, with the value as it was before it was quoted.
void journal_line(text_t *entry, const char *line);

// 0, or -1 with errno: EAGAIN while the journal has no room, else nobody reads there.
int journal_send(int fd, const text_t *entry);

#endif
