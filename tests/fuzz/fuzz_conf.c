// SPDX-License-Identifier: MPL-2.0
// libFuzzer: any bytes as a configuration. It must not crash, an error must
// name a line, and what is accepted must dump to something that is accepted
// and dumps to itself. Files are never included: see the first lines.

#include "base/mem.h"
#include "conf/load.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *
dump(const conf_t *conf, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);
    conf_dump(conf, out);
    fclose(out);
    return text;
}

static void
check_dump(const conf_t *conf, diag_t *diag)
{
    size_t once_size, twice_size;
    char *once = dump(conf, &once_size);
    conf_t *again = conf_load_text("dump", once, once_size, diag);
    if (!again) {
        diag_print(diag, stderr);
        fprintf(stderr, "%s", once);
        abort();
    }
    char *twice = dump(again, &twice_size);
    if (once_size != twice_size || memcmp(once, twice, once_size) != 0)
        abort();
    free(once);
    free(twice);
    conf_destroy(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    // What other files say is not the fuzzer's, and it should read none.
    if (memmem(data, size, "include", 7) || memmem(data, size, "password_file", 13))
        return -1;
    // On the heap and not terminated, so that a byte too far is found.
    char *text = xcalloc(size + (size == 0), 1);
    if (size)
        memcpy(text, data, size);
    diag_t *diag = diag_new();
    conf_t *conf = conf_load_text("fuzz", text, size, diag);
    if (!conf == (diag_errors(diag) == 0))
        abort();
    for (size_t i = 0; diag_text(diag, i, NULL); i++)
        if (strncmp(diag_text(diag, i, NULL), "fuzz:", 5) != 0 || atoi(diag_text(diag, i, NULL) + 5) < 1)
            abort();
    if (conf)
        check_dump(conf, diag);
    conf_destroy(&conf);
    diag_destroy(&diag);
    free(text);
    return 0;
}
