// SPDX-License-Identifier: MPL-2.0
#include "store/libnats.h"

#include "base/mem.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

static libnats_t library;
static const char *reason;
static pthread_once_t once = PTHREAD_ONCE_INIT;

typedef struct {
    const char *name;
    size_t offset;
} symbol_t;

#define LIBNATS_SYMBOL(name) { #name, offsetof(libnats_t, name) },

static const symbol_t symbols[] = { LIBNATS(LIBNATS_SYMBOL) };

static void
load(void)
{
    void *handle = dlopen(ZB_LIBNATS, RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        reason = xstrdup(dlerror());
        return;
    }
    for (size_t i = 0; i < COUNT(symbols); i++) {
        void *at = dlsym(handle, symbols[i].name);
        if (!at) {
            reason = xstrdup(dlerror());
            return;
        }
        memcpy((char *)&library + symbols[i].offset, &at, sizeof at);
    }
    natsStatus status = library.nats_Open(-1);
    if (status != NATS_OK)
        reason = library.natsStatus_GetText(status);
}

const libnats_t *
libnats_load(const char **why)
{
    pthread_once(&once, load);
    *why = reason;
    return reason ? NULL : &library;
}
