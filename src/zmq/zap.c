// SPDX-License-Identifier: MPL-2.0
#include "zmq/zap.h"

#include "base/mem.h"
#include "flow/admission.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *word;
    security_t mechanism;
    size_t credentials;
} mechanisms[] = {
    { "NULL", SECURITY_NONE, 0 },
    { "PLAIN", SECURITY_PLAIN, 2 },
    { "CURVE", SECURITY_CURVE, 1 },
    { "GSSAPI", SECURITY_GSSAPI, 1 },
};

enum { VERSION, ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, CREDENTIALS };

static bool
is_word(zap_frame_t frame, const char *word)
{
    return frame.size == strlen(word) && memcmp(frame.data, word, frame.size) == 0;
}

static bool
is_text(zap_frame_t frame)
{
    return frame.size < 256 && !memchr(frame.data, '\0', frame.size);
}

int
zap_parse(zap_request_t *self, const zap_frame_t *frames, size_t count)
{
    *self = (zap_request_t){ 0 };
    if (count <= ID || frames[ID].size > 255)
        return -1;
    self->id = frames[ID];
    if (!is_word(frames[VERSION], "1.0") || count < CREDENTIALS || count > ZAP_FRAMES_MAX)
        return -1;
    if (frames[DOMAIN].size > 255 || !is_text(frames[ADDRESS]) || frames[ROUTING_ID].size > 255)
        return -1;
    self->domain = frames[DOMAIN];
    self->address = frames[ADDRESS];
    self->routing_id = frames[ROUTING_ID];
    size_t row = 0;
    while (row < COUNT(mechanisms) && !is_word(frames[MECHANISM], mechanisms[row].word))
        row++;
    if (row == COUNT(mechanisms) || count != CREDENTIALS + mechanisms[row].credentials)
        return -1;
    self->mechanism = mechanisms[row].mechanism;
    for (size_t i = CREDENTIALS; i < count; i++)
        self->credentials[i - CREDENTIALS] = frames[i];
    return self->mechanism == SECURITY_CURVE && self->credentials[0].size != 32 ? -1 : 0;
}

void
zap_reply(zap_reply_t *self, zap_frame_t id, int status, const char *user)
{
    const char *text = status == ADMISSION_WELCOME ? "OK" : status == ADMISSION_LATER ? "try again later" : "no access";
    snprintf(self->status, sizeof self->status, "%d", status);
    zap_frame_t frames[ZAP_REPLY_FRAMES] = {
        {"1.0", 3}, id, {self->status, strlen(self->status)}, {text, strlen(text)}, {user, strlen(user)}, {"", 0}};
    memcpy(self->frames, frames, sizeof frames);
}

// libzmq asks for numbers, so that only a transport without them has a name.
const char *
zap_address(const char *text)
{
    static const char mapped[] = "::ffff:";
    if (!text || !*text)
        return "unknown";
    if (strncmp(text, "localhost:", 10) == 0)
        return "";
    bool is_mapped = strncmp(text, mapped, sizeof mapped - 1) == 0 && strchr(text, '.');
    return is_mapped ? text + sizeof mapped - 1 : text;
}
