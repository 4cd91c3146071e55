// SPDX-License-Identifier: MPL-2.0
// mem.h - allocation that cannot fail: out of memory ends the process at once,
// with one line, and systemd starts it again. Nobody checks the results.

#ifndef ZB_MEM_H
#define ZB_MEM_H

#include <stddef.h>

void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *memory, size_t count, size_t size) __attribute__((returns_nonnull)); // count * size, checked for overflow
char *xstrdup(const char *text) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull));
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2), malloc, returns_nonnull));

// MEMORY will be looked at here and there all the time: the system may give it large pages.
void mem_spread(void *memory, size_t size);

#define COUNT(array) (sizeof(array) / sizeof *(array)) // of its elements

// Make room for one more element in an array that grows by doubling: ARRAY is
// the lvalue of a pointer, COUNT its used length, ROOM its allocated length.
#define mem_grow(array, count, room)                                                                                   \
    do {                                                                                                               \
        if ((count) == (room)) {                                                                                       \
            (room) = (room) ? (room) * 2 : 8;                                                                          \
            (array) = xrealloc((array), (room), sizeof *(array));                                                      \
        }                                                                                                              \
    } while (0)

#endif
