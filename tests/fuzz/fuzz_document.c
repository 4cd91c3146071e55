// SPDX-License-Identifier: MPL-2.0
// libFuzzer: any bytes as a JSON document. What is read has a text in every
// string and number, and a key in every member.

#include "base/document.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
walk(const document_value_t *list)
{
    for (const document_value_t *value = list->first; value; value = value->next) {
        if ((value->kind == VALUE_STRING || value->kind == VALUE_NUMBER) && (!value->text || strlen(value->text) == SIZE_MAX))
            abort();
        if (!value->key != (list->kind == VALUE_ARRAY))
            abort();
        walk(value);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    document_t *document = document_read((const char *)data, size);
    if (document)
        walk(document_root(document));
    document_free(&document);
    return 0;
}
