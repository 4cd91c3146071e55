// SPDX-License-Identifier: MPL-2.0
// journal.c - see journal.h.

#include "base/journal.h"
#include "base/event.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int
journal_connect(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd == -1)
        return -1;
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

void
journal_field(text_t *entry, const char *name, const void *value, size_t size)
{
    text_add(entry, "%s\n", name);
    for (int shift = 0; shift < 64; shift += 8) // little endian, on every machine
        text_char(entry, (char)((uint64_t)size >> shift & 0xff));
    text_bytes(entry, value, size);
    text_char(entry, '\n');
}

static void
add_pair(const char *key, size_t key_size, const char *value, size_t size, void *entry)
{
    char name[64] = "ZBROKER_";
    size_t used = strlen(name);
    for (size_t i = 0; i < key_size && used + 1 < sizeof name; i++)
        name[used++] = (char)toupper((unsigned char)key[i]);
    text_t plain = { 0 };
    event_unquote(&plain, value, size);
    journal_field(entry, name, plain.data, plain.size);
    text_free(&plain);
}

void
journal_line(text_t *entry, const char *line)
{
    const char *tail = event_tail(line), *after = tail ? event_pairs(tail, add_pair, entry) : "";
    text_t words = { 0 };
    text_bytes(&words, line, tail ? (size_t)(tail - line) : strlen(line));
    text_add(&words, "%s", after); // how often it came
    journal_field(entry, "MESSAGE", words.data, words.size);
    text_free(&words);
}

int
journal_send(int fd, const text_t *entry)
{
    return send(fd, entry->data, entry->size, MSG_NOSIGNAL) == -1 ? -1 : 0;
}
