// SPDX-License-Identifier: MPL-2.0
// libFuzzer: any bytes as a line of a recording. A message has frames, which lie in its bytes.

#include "bench/recorded.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static recorded_t message;
    if (recorded_parse(&message, (const char *)data, size) != RECORDED_MESSAGE)
        return 0;
    if (message.count == 0 || message.wall_ns < 0)
        abort();
    for (size_t i = 0; i < message.count; i++)
        if (message.frames[i].at + message.frames[i].size > message.bytes.size)
            abort();
    return 0;
}
