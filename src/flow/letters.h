// SPDX-License-Identifier: MPL-2.0
// letters.h - messages that one route gives to another inside the process: dead letters.
// Each route that may send or take some has a box, of which its own thread is the
// reader; any thread may call. Nobody waits, and every box is bounded.
//
// A letter is its sender's until a receipt says that it is kept elsewhere.

#ifndef ZB_LETTERS_H
#define ZB_LETTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LETTER_ID = 16, LETTERS_MOST = 1000 }; // in one box

typedef struct letters letters_t; // of the process
typedef struct letterbox letterbox_t;

typedef struct letter {
    struct letter *next;
    uint64_t sender; // its box, which never has the number of another
    uint64_t number; // the sender's own
    uint8_t id[LETTER_ID];
    uint64_t payload;
    size_t size;
    uint8_t data[]; // frames of ZMTP 2.0
} letter_t;

letters_t *letters_new(void);
void letters_free(letters_t **self_p); // every box is closed

// BELL is rung when something is in it. The last one that was opened for a route gets its letters.
letterbox_t *letterbox_open(letters_t *letters, const char *route, int bell);
void letterbox_close(letterbox_t **self_p); // may be NULL

// A copy of it, to the box of ROUTE. False: there is none, or it is full.
bool letterbox_post(letterbox_t *self, const char *route, const letter_t *letter, const uint8_t *data);
letter_t *letterbox_take(letterbox_t *self); // to be freed; NULL: there is none

// What became of a letter: it is kept, or has to be posted again. A box that is closed says the latter of what is in it.
typedef struct {
    uint64_t number;
    bool kept;
} receipt_t;

void letterbox_answer(letterbox_t *self, const letter_t *letter, bool kept);
bool letterbox_hear(letterbox_t *self, receipt_t *receipt); // of one that was sent from here; false: no more

#endif
