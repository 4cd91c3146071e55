// SPDX-License-Identifier: MPL-2.0
#include "guard/zap.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const char *word, *name;
    size_t credentials;
} mechanisms[ZAP_MECHANISMS] = {
    [ZAP_NULL] = {"NULL", "null", 0},
    [ZAP_PLAIN] = {"PLAIN", "plain", 2},
    [ZAP_CURVE] = {"CURVE", "curve", 1},
    [ZAP_GSSAPI] = {"GSSAPI", "gssapi", 1},
};

enum { VERSION, ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, CREDENTIALS };

const char *
zap_mechanism_name(zap_mechanism_t mechanism)
{
    return mechanisms[mechanism].name;
}

static bool
is_word(zap_frame_t frame, const char *word)
{
    return frame.size == strlen(word) && memcmp(frame.data, word, frame.size) == 0;
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
    if (frames[DOMAIN].size > 255 || frames[ADDRESS].size > 255 || frames[ROUTING_ID].size > 255)
        return -1;
    self->domain = frames[DOMAIN];
    self->address = frames[ADDRESS];
    self->routing_id = frames[ROUTING_ID];
    while (self->mechanism < ZAP_MECHANISMS && !is_word(frames[MECHANISM], mechanisms[self->mechanism].word))
        self->mechanism++;
    if (self->mechanism == ZAP_MECHANISMS || count != CREDENTIALS + mechanisms[self->mechanism].credentials)
        return -1;
    for (size_t i = CREDENTIALS; i < count; i++)
        self->credentials[i - CREDENTIALS] = frames[i];
    return self->mechanism == ZAP_CURVE && self->credentials[0].size != 32 ? -1 : 0;
}

void
zap_reply(zap_reply_t *self, zap_frame_t id, int status, const char *user)
{
    const char *text = status == ZAP_WELCOME ? "OK" : status == ZAP_LATER ? "try again later" : "no access";
    snprintf(self->status, sizeof self->status, "%d", status);
    zap_frame_t frames[ZAP_REPLY_FRAMES] = {
        {"1.0", 3}, id, {self->status, strlen(self->status)}, {text, strlen(text)}, {user, strlen(user)}, {"", 0}};
    memcpy(self->frames, frames, sizeof frames);
}
