// SPDX-License-Identifier: MPL-2.0
// passwords.h - checks passwords in a thread of its own: a check takes a tenth of
// a second on purpose, and the guard answers in less than one millisecond. The
// queue is bounded, each origin has only so many tries, whoever has tried least
// goes first, and what was right once is remembered (as a keyed hash) until the
// process ends.

#ifndef ZB_PASSWORDS_H
#define ZB_PASSWORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct passwords passwords_t;

typedef enum {
    PASSWORD_RIGHT,   // remembered: no need to wait
    PASSWORD_QUEUED,  // the answer will be told
    PASSWORD_BUSY,    // too many are waiting
    PASSWORD_LIMITED, // whoever comes from there has tried too often
} password_answer_t;

typedef struct {
    void *ticket; // the asker's
    char *hash;   // what it was checked against, "" for nobody; owned
    bool right;
} password_result_t;

passwords_t *passwords_new(void); // NULL with errno

// Does PASSWORD (SIZE bytes) fit HASH? NULL: there is no such user; it takes as long and the answer is no. Tries are
// counted by ORIGIN, see net/origin.h. In any thread: TOLD is called in a thread of ours, with *RESULT, whose hash is
// its to free, or NULL when SELF is destroyed before the answer is known.
password_answer_t passwords_ask(passwords_t *self, void *ticket, uint64_t origin, const char *hash,
                                const void *password, size_t size,
                                void (*told)(void *ticket, password_result_t *result));

// Milliseconds since the thread last came round, which it does every second and between two checks: for the watchdog.
int64_t passwords_age_ms(const passwords_t *self);

void passwords_destroy(passwords_t **self_p);

#endif
