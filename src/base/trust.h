// SPDX-License-Identifier: MPL-2.0
// trust.h - files that say who may do what, or hold a secret: has nobody but root
// and our own user a hand in them? Not by writing to the file; not by writing to one
// of the folders up to /, and so putting another file in its place (where the sticky
// bit is set, as on /tmp, everybody's files are safe from others); not by a symbolic
// link that is theirs.
//
// Root checks what the service will read, whose user it does not know: to it the files
// of any user are no error, but a warning. What the mode lets others do is an error.

#ifndef ZB_TRUST_H
#define ZB_TRUST_H

#define TRUST_WORDS 300

typedef enum {
    TRUST_RIGHTS, // says who may do what: others may read it
    TRUST_HASHES, // of passwords: a warning where everybody may
    TRUST_SECRET, // nobody else may; but of what nobody may write to, as orchestrators mount it, our group: a warning
} trust_kind_t;

// May the file or folder at PATH be relied on? 0, or -1 with the reason in WORDS. Words
// with 0 are a warning. Nothing is opened.
int trust_check(const char *path, trust_kind_t kind, char words[TRUST_WORDS]);

// The same for a regular file, and opens it: a descriptor to read from, or -1.
int trust_open(const char *path, trust_kind_t kind, char words[TRUST_WORDS]);

// The same for a file in FOLDER, a descriptor of what has been checked already: only a link is walked from / on.
int trust_open_in(int folder, const char *path, trust_kind_t kind, char words[TRUST_WORDS]);

#endif
