// SPDX-License-Identifier: MPL-2.0
// mem.c - see mem.h.

#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// write(2), because stdio may want memory of its own.
static _Noreturn void
out_of_memory(void)
{
    static const char text[] = "zbroker: out of memory\n";
    if (write(STDERR_FILENO, text, sizeof text - 1) == -1)
        abort();
    abort();
}

static void *
checked(void *memory)
{
    if (!memory)
        out_of_memory();
    return memory;
}

void *
xcalloc(size_t count, size_t size)
{
    return checked(calloc(count ? count : 1, size ? size : 1));
}

void *
xrealloc(void *memory, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        out_of_memory();
    return checked(realloc(memory, count && size ? count * size : 1));
}

void
mem_spread(void *memory, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)memory + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)memory + size) / page * page;
    if (end > from)
        madvise((void *)from, end - from, MADV_HUGEPAGE); // or it stays as it is
}

char *
xstrdup(const char *text)
{
    return checked(strdup(text));
}

char *
xstrndup(const char *text, size_t length)
{
    return checked(strndup(text, length));
}

char *
xasprintf(const char *format, ...)
{
    va_list args;
    char *text = NULL;
    va_start(args, format);
    int size = vasprintf(&text, format, args);
    va_end(args);
    return checked(size < 0 ? NULL : text);
}
