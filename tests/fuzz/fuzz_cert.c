// SPDX-License-Identifier: MPL-2.0
//
// A certificate is any bytes; what is read of it is written and read again.
#include "guard/cert.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    cert_t cert, again;
    cert_fault_t fault;
    if (cert_parse(&cert, (const char *)data, size, &fault) == -1) {
        if (!*fault.text || cert.has_public || cert.has_secret)
            abort();
        return 0;
    }
    char user[CERT_NAME_MAX + 1];
    cert_user(&cert, "/x/y.cert", user);
    text_t text = { 0 };
    cert_print(&cert, cert.has_secret, NULL, 0, &text);
    if (cert_parse(&again, text.data, text.size, &fault) == -1 || strcmp(again.public_text, cert.public_text) != 0
        || again.has_secret != cert.has_secret)
        abort();
    text_free(&text);
    return 0;
}
