// SPDX-License-Identifier: MPL-2.0
#include "guard/waiting.h"

#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

// FRAME, whose copy is at AT.
static zap_frame_t
keep_frame(unsigned char *at, zap_frame_t frame)
{
    if (frame.size)
        memcpy(at, frame.data, frame.size);
    return (zap_frame_t){ at, frame.size };
}

waiting_t *
waiting_new(const verdict_t *verdict, const zap_request_t *request, const zap_frame_t *peer)
{
    waiting_t *self = xcalloc(1, sizeof *self);
    self->verdict = *verdict;
    self->peer = keep_frame(self->bytes, *peer);
    self->id = keep_frame(self->bytes + 256, request->id);
    self->domain = keep_frame(self->bytes + 512, request->domain);
    return self;
}

static void
set_verdict(verdict_t *verdict, int status, const char *reason)
{
    verdict->status = status;
    verdict->reason = reason;
}

bool
waiting_goes_on(verify_answer_t answer, verdict_t *verdict)
{
    static const struct {
        int status;
        const char *reason;
    } verdicts[] = {
        [VERIFY_RIGHT] = { ZAP_WELCOME, NULL },
        [VERIFY_BUSY] = { ZAP_LATER, "busy" },
        [VERIFY_LIMITED] = { ZAP_LATER, "too-many-tries" },
    };
    if (answer == VERIFY_QUEUED)
        return true;
    set_verdict(verdict, verdicts[answer].status, verdicts[answer].reason);
    return false;
}

bool
waiting_ask(verify_t *verify, verdict_t *verdict, const zap_request_t *request, const zap_frame_t *peer)
{
    const zap_frame_t *password = &request->credentials[1];
    waiting_t *self = waiting_new(verdict, request, peer);
    if (waiting_goes_on(verify_ask(verify, self, verdict->address, verdict->hash, password->data, password->size), verdict))
        return true;
    waiting_free(self);
    return false;
}

waiting_t *
waiting_take(verify_t *verify)
{
    verify_result_t result;
    if (!verify_take(verify, &result))
        return NULL;
    waiting_t *self = result.ticket;
    self->right = result.right;
    self->hash = result.hash;
    return self;
}

// The file it was checked against may be another by now.
void
waiting_decide(waiting_t *self, const policy_t *policy)
{
    verdict_t *verdict = &self->verdict;
    verdict->entry = policy ? policy_find(policy, self->domain.data, self->domain.size) : NULL;
    const users_t *users = verdict->entry ? verdict->entry->users : NULL;
    const char *hash = users ? users_hash(users, verdict->user, strlen(verdict->user)) : NULL;
    if (self->right && hash && strcmp(hash, self->hash) == 0)
        set_verdict(verdict, ZAP_WELCOME, NULL);
    else
        set_verdict(verdict, ZAP_REFUSED, *self->hash ? "bad-password" : "unknown-user");
}

void
waiting_free(void *self)
{
    waiting_t *waiting = self;
    free(waiting->hash);
    free(waiting);
}
