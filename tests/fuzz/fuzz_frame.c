// SPDX-License-Identifier: MPL-2.0
//
// Heads of frames and commands: what is read is inside what is there, says the same
// when it is written and read again, and a piece of it says nothing but "more".
#include "zmtp/frame.h"
#include "zmtp/traffic.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(bool claim)
{
    if (!claim)
        abort();
}

static void
check_written(const frame_head_t *head)
{
    uint8_t bytes[FRAME_HEAD_MAX];
    frame_head_t again;
    size_t size = frame_write_head(bytes, head->flags, head->body);
    if (head->body == 0 && (head->flags & FRAME_COMMAND))
        return; // there is none
    check(size <= head->head && size == frame_head_size(head->body));
    check(frame_read(bytes, size, &again) == 1);
    check(again.body == head->body && ((again.flags ^ head->flags) & ~FRAME_LARGE) == 0);
}

static void
check_command(const uint8_t *body, size_t size)
{
    traffic_t command;
    if (traffic_read(&command, body, size) == -1)
        return;
    check(command.data > body && command.data + command.size <= body + size);
    check(command.kind == TRAFFIC_ERROR || command.data + command.size == body + size);
    uint8_t pong[TRAFFIC_PONG_MAX];
    check(traffic_pong(pong, command.data, command.size) <= sizeof pong);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    frame_head_t head, piece;
    while (size) {
        int rc = frame_read(data, size, &head);
        if (rc == 1) {
            check(head.head <= size && head.body <= FRAME_BODY_MAX);
            for (size_t have = 0; have < head.head; have++)
                check(frame_read(data, have, &piece) == 0);
            check_written(&head);
        }
        if (frame_read_old(data, size, &piece) == 1)
            check(piece.head <= size && piece.body < FRAME_BODY_MAX && !(piece.flags & ~FRAME_MORE));
        if (rc != 1 || head.body > size - head.head)
            return 0;
        if (head.flags & FRAME_COMMAND)
            check_command(data + head.head, head.body);
        data += head.head + head.body;
        size -= head.head + head.body;
    }
    return 0;
}
