// SPDX-License-Identifier: MPL-2.0
//
// A ZAP request is a list of frames, each after a byte of its length. Whatever
// comes, the verdict is a verdict, and only who is known is welcome.
#include "base/diag.h"
#include "conf/load.h"
#include "guard/authenticate.h"
#include "guard/policy.h"
#include "zmq/zap.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] = "[route n]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:*\nbackend_bind = tcp://127.0.0.1:*\n"
                           "security = none\nallow = 10.0.0.0/8, fd00::/8\ndeny = 10.1.0.0/16\n"
                           "[route p]\ntype = streamer\nfrontend_bind = tcp://127.0.0.1:*\nbackend_bind = tcp://127.0.0.1:*\n"
                           "security = plain\nusers = %s\n";

static const char users[] = "alice:$argon2id$v=19$m=65536,t=2,p=1$3qc1XAkw6nbsQsizcHGujw$9UUcr6mQ5//zKTAxRrnCo6UOTzc66H7+Fh9D8EV2A2w\n";

static policy_t *
make_policy(void)
{
    char path[] = "/tmp/fuzz-zap-XXXXXX", conf_text[1024];
    int fd = mkstemp(path);
    if (fd == -1 || write(fd, users, sizeof users - 1) == -1)
        abort();
    close(fd);
    diag_t *diag = diag_new();
    snprintf(conf_text, sizeof conf_text, text, path);
    static conf_t *conf; // stays for as long as the process
    conf = conf_load_text("fuzz", conf_text, strlen(conf_text), diag);
    diag_print(diag, stderr);
    guard_route_t routes[] = {{conf->routes[0], NULL}, {conf->routes[1], NULL}};
    policy_t *policy = policy_load(routes, 2, NULL, diag, NULL, NULL);
    if (!policy)
        abort();
    unlink(path);
    diag_destroy(&diag);
    return policy;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static policy_t *policy;
    if (!policy)
        policy = make_policy();
    zap_frame_t frames[ZAP_FRAMES_MAX + 4];
    size_t count = 0;
    while (size > 0 && count < sizeof frames / sizeof *frames) {
        size_t length = data[0] < size ? data[0] : size - 1;
        frames[count++] = (zap_frame_t){data + 1, length};
        data += length + 1;
        size -= length + 1;
    }
    zap_request_t request;
    if (zap_parse(&request, frames, count) == -1)
        return 0;
    verdict_t verdict;
    char route[256], address[256];
    bool is_key = request.mechanism == SECURITY_CURVE;
    const zap_frame_t *first = &request.credentials[0], *second = &request.credentials[1];
    snprintf(route, sizeof route, "%.*s", (int)request.domain.size, (const char *)request.domain.data);
    route[strcspn(route, ".")] = '\0';
    snprintf(address, sizeof address, "%.*s", (int)request.address.size, (const char *)request.address.data);
    authenticate(&verdict, policy, &(admission_claim_t){ .route = route, .side = SIDE_FRONTEND, .address = zap_address(address),
                 .mechanism = request.mechanism, .key = is_key ? first->data : NULL, .name = is_key ? NULL : first->data,
                 .name_size = is_key ? 0 : first->size, .password = second->data, .password_size = second->size });
    if (verdict.status == ADMISSION_WELCOME && (!verdict.entry || verdict.entry->mechanism != request.mechanism))
        abort();
    if (verdict.status == ADMISSION_WELCOME && request.mechanism == SECURITY_PLAIN)
        abort();
    if (verdict.status != ADMISSION_WELCOME && verdict.status != ADMISSION_WAITS && !verdict.reason)
        abort();
    zap_reply_t reply;
    zap_reply(&reply, request.id, verdict.status ? (int)verdict.status : (int)ADMISSION_LATER, verdict.user);
    if (reply.frames[2].size != 3)
        abort();
    return 0;
}
