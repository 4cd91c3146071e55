// SPDX-License-Identifier: MPL-2.0
// verify.h - checks passwords in a thread of its own: a check takes a tenth of
// a second on purpose, and the guard answers in less than one millisecond. The
// queue is bounded, each address has only so many tries, and what was right
// once is remembered (as a keyed hash) until the process ends.

#ifndef ZB_VERIFY_H
#define ZB_VERIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct verify verify_t;

typedef enum {
    VERIFY_RIGHT,   // remembered: no need to wait
    VERIFY_QUEUED,  // the answer will be told
    VERIFY_BUSY,    // too many are waiting
    VERIFY_LIMITED, // this address has tried too often
} verify_answer_t;

typedef struct {
    void *ticket; // the asker's
    char *hash;   // what it was checked against, "" for nobody; owned
    bool right;
} verify_result_t;

verify_t *verify_new(void); // NULL with errno

// Does PASSWORD (SIZE bytes) fit HASH? NULL: there is no such user; it takes as long and the answer is no. In any
// thread: TOLD is called in the verify's own thread, with *RESULT, whose hash is its to free, or NULL when the verify is
// destroyed before the answer is known.
verify_answer_t verify_ask(verify_t *self, void *ticket, const char *address, const char *hash, const void *password,
                           size_t size, void (*told)(void *ticket, verify_result_t *result));

// Milliseconds since the thread last came round, which it does every second and between two checks: for the watchdog.
int64_t verify_age_ms(const verify_t *self);

void verify_destroy(verify_t **self_p);

#endif
