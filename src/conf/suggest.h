// SPDX-License-Identifier: MPL-2.0
// suggest.h - "did you mean": the known word nearest to a wrong one.

#ifndef ZB_SUGGEST_H
#define ZB_SUGGEST_H

#include <stddef.h>

// Edits (insert, delete, replace, swap of neighbours) from A to B, letter case
// ignored; words over 64 bytes are as far away as anything can be.
unsigned suggest_distance(const char *a, const char *b);

typedef struct {
    const char *wrong;
    char best[80]; // "": nothing near enough yet
    unsigned distance;
} suggest_t;

// Ask for WRONG, offer every known word, then read BEST. The first of two equally near words wins.
suggest_t suggest_for(const char *wrong);
void suggest_offer(suggest_t *self, const char *word);

// What is called WORD by other programs or by their users, in our words; NULL: nobody calls anything so. OF is "key",
// "section", "type", or the key whose value it is. Letter case is ignored.
const char *suggest_foreign(const char *of, const char *word);

#endif
