// SPDX-License-Identifier: MPL-2.0
//
// Properties of a handshake: what is kept lies in what was read, within its bounds.
#include "zmtp/metadata.h"
#include "zmtp/peertype.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_value(metadata_value_t value, size_t max, const uint8_t *data, size_t size)
{
    if (value.at && (value.at < data || value.size > max || value.at + value.size > data + size))
        abort();
    if (!value.at && value.size)
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    metadata_t metadata;
    const char *fault = metadata_read(&metadata, data, size);
    if (fault && !*fault)
        abort();
    check_value(metadata.socket_type, 255, data, size);
    check_value(metadata.identity, METADATA_IDENTITY_MAX, data, size);
    check_value(metadata.durable, METADATA_DURABLE_MAX, data, size);
    if (!fault && metadata.socket_type.at &&
        peertype_find(metadata.socket_type.at, metadata.socket_type.size) >= PEERTYPES)
        abort();
    return 0;
}
