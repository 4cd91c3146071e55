// SPDX-License-Identifier: MPL-2.0
// waiting.h - a PLAIN request that waits until its password was checked (verify.h). In the handler's thread, but for the next two.

#ifndef ZB_WAITING_H
#define ZB_WAITING_H

#include "guard/admit.h"
#include "guard/verify.h"

typedef struct {
    verdict_t verdict;    // set by waiting_decide
    zap_frame_t peer, id; // whom to answer
    unsigned char bytes[3 * 256]; // theirs, and the domain's
    zap_frame_t domain;
    bool right;
    char *hash; // that it was right for, or not
} waiting_t;

// For those who ask in other threads: what is kept of REQUEST, and what an answer of the verify means: true as below.
waiting_t *waiting_new(const verdict_t *verdict, const zap_request_t *request, const zap_frame_t *peer);
bool waiting_goes_on(verify_answer_t answer, verdict_t *verdict);

// Is the password of REQUEST, which came from PEER (at most 255 bytes, as all that zap_parse takes), right?
// True: that is being found out, waiting_take will tell. False: VERDICT says it now.
bool waiting_ask(verify_t *verify, verdict_t *verdict, const zap_request_t *request, const zap_frame_t *peer);

// One that was checked, NULL: none. The caller asks for its verdict, by the POLICY
// that is in force now (NULL: none), and frees it.
waiting_t *waiting_take(verify_t *verify);
void waiting_decide(waiting_t *self, const policy_t *policy);
void waiting_free(void *self);

#endif
