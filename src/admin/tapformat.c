// SPDX-License-Identifier: MPL-2.0
#include "admin/tapformat.h"

#include "base/clock.h"
#include "base/json.h"

#include <inttypes.h>
#include <string.h>

enum { FRAME_MAX = 1024 * 1024 }; // bytes of a frame that are shown, but in JSON

int
tapformat_find(const char *name)
{
    static const char *const names[] = { [TAP_LINE] = "line", [TAP_HEX] = "hex", [TAP_JSON] = "json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i], name) == 0)
            return (int)i;
    return -1;
}

void
tap_request_free(tap_request_t *conf)
{
    text_free(&conf->prefix);
}

// --- one message as text -------------------------------------------------------

static void
put_line(text_t *out, const char *bytes, size_t size)
{
    text_char(out, '"');
    while (size) {
        size_t plain = 0; // up to what text_shown would leave alone but a reader could not tell apart
        while (plain < size && bytes[plain] != '"' && bytes[plain] != '\\')
            plain++;
        text_shown(out, bytes, plain);
        if (plain < size)
            text_add(out, "\\%c", bytes[plain++]);
        bytes += plain;
        size -= plain;
    }
    text_char(out, '"');
}

static void
put_hex(text_t *out, const char *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    if (!size)
        text_char(out, '-');
    while (size) {
        char some[256];
        size_t count = size < sizeof some / 2 ? size : sizeof some / 2;
        for (size_t i = 0; i < count; i++) {
            some[2 * i] = digits[(unsigned char)bytes[i] >> 4];
            some[2 * i + 1] = digits[bytes[i] & 15];
        }
        text_bytes(out, some, 2 * count);
        bytes += count;
        size -= count;
    }
}

static bool
is_text(const char *bytes, size_t size)
{
    while (size) {
        size_t length = text_utf8(bytes, size);
        if (!length)
            return false;
        bytes += length;
        size -= length;
    }
    return true;
}

// A frame that is not text would not survive as a JSON string: {"hex": "..."}.
static void
put_json(json_t *json, const char *bytes, size_t size)
{
    if (is_text(bytes, size)) {
        json_bytes(json, NULL, bytes, size);
        return;
    }
    text_t hex = { 0 };
    put_hex(&hex, bytes, size);
    json_object(json, NULL);
    json_string(json, "hex", hex.data);
    json_object_end(json);
    text_free(&hex);
}

static void
print_json(const tap_message_t *message, uint64_t seq, text_t *out)
{
    char time[32];
    json_t json = json_on(out);
    clock_rfc3339_us(message->wall_ns, time);
    json_object(&json, NULL);
    json_uint(&json, "seq", seq);
    json_string(&json, "time", time);
    json_string(&json, "side", side_name(message->side));
    json_array(&json, "frames");
    for (size_t i = 0; i < message->frames; i++)
        put_json(&json, message->frame[i].data, message->frame[i].size);
    json_array_end(&json);
    json_object_end(&json);
}

bool
tapformat_can_print(const tap_message_t *message, tapformat_t format)
{
    size_t left = TAP_JSON_MAX;
    for (size_t i = 0; i < message->frames && format == TAP_JSON; i++) {
        if (message->frame[i].size > left)
            return false;
        left -= message->frame[i].size;
    }
    return true;
}

void
tapformat_print(const tap_message_t *message, uint64_t seq, tapformat_t format, text_t *out)
{
    if (format == TAP_JSON) {
        print_json(message, seq, out);
    } else {
        text_add(out, "%" PRIu64 " %s", seq, side_name(message->side));
        for (size_t i = 0; i < message->frames; i++) {
            const char *bytes = message->frame[i].data;
            size_t size = message->frame[i].size;
            text_char(out, ' ');
            (format == TAP_HEX ? put_hex : put_line)(out, bytes, size < FRAME_MAX ? size : FRAME_MAX);
            if (size > FRAME_MAX)
                text_add(out, "...");
        }
    }
    text_char(out, '\n');
}

void
tapformat_print_missed(uint64_t missed, bool json, text_t *out)
{
    text_add(out, json ? "{\"missed\":%" PRIu64 "}\n" : "missed %" PRIu64 "\n", missed);
}
