// SPDX-License-Identifier: MPL-2.0
// log.h - one event, one line, subject first: to standard error, the journal or
// syslog(3).
//
// On standard error a line carries a time only on a terminal or a plain file.
// When standard error is the journal (JOURNAL_STREAM names its device), a line
// goes to the journal's own socket, in fields (journal.h); while nobody listens
// there, to standard error, with the <N> priority prefix of sd-daemon(3). May be
// called from any thread. Control characters in a line are escaped, so that nobody on the
// network can write a second line or a terminal sequence. A line that repeats
// at once is held back and summed up ("repeated 412 times").

#ifndef ZB_LOG_H
#define ZB_LOG_H

#include "base/diag.h"
#include "base/event.h"

#include <stdbool.h>

typedef enum { LOG_TARGET_AUTO, LOG_TARGET_STDERR, LOG_TARGET_SYSLOG } log_target_t;

// Until it is called, notice and above go to standard error. FACILITY is
// syslog(3)'s number (LOG_DAEMON). May be called again at run time.
void log_open(log_target_t target, int facility, log_level_t level);
void log_journal_at(const char *path); // instead of JOURNAL_SOCKET, before log_open; borrowed: for tests
void log_set_level(log_level_t level);
log_level_t log_level(void);

// "info" to LOG_LEVEL_INFO and back; find says -1 for a word that is none.
int log_level_find(const char *name);
const char *log_level_name(log_level_t level);

// Everything that happens has its row in event.h. Log it, unless nobody wants its level. One without
// fields: log_fields (ID, NULL).
#define log_event(id, ...) log_fields((id), EVENT_FIELDS(__VA_ARGS__))
void log_fields(event_id_t id, const event_field_t *fields);

// One that is about a problem of the configuration. ROUTE may be NULL.
void log_problem(event_id_t id, const char *route, const diag_item_t *problem);

// One line, of whatever words.
void log_line(log_level_t level, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Of lines that come with the same LIKE, however they differ, ten are written at once,
// then the last one now and then, with the number of the others. NULL: it is like none but itself.
void log_alike(log_level_t level, const char *like, const char *text);
bool log_wants(log_level_t level); // somebody reads lines of this level

// FN sees every line of info and above, also those that the level keeps out of
// the log, as they are written (repeats summed up). It is called under the
// log's lock, in any thread, and must not log. NULL: nobody.
void log_observe(void (*fn)(log_level_t level, const char *text, void *arg), void *arg);

// Write the sums that are due. The main loop calls it about once a second, or
// the last "repeated" of a storm waits for the next line of the log.
void log_tick(void);

// Write what is held back now: before the process ends.
void log_flush(void);

#endif
