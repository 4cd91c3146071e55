// SPDX-License-Identifier: MPL-2.0
#include "store/node.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIGITS "0123456789abcdef"

bool
node_gave_id(const char *id)
{
    return strspn(id, DIGITS) == NODE_DIGITS && id[NODE_DIGITS] == '-' && id[NODE_DIGITS + 1] != '\0' &&
           id[NODE_DIGITS + 1 + strspn(id + NODE_DIGITS + 1, "0123456789")] == '\0';
}

// 1: read; 0: there is none, or it is cut off; -1: errno.
static int
read_node(int folder, char node[NODE_DIGITS + 1])
{
    int fd = openat(folder, "node", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd == -1)
        return errno == ENOENT ? 0 : -1;
    ssize_t size = read(fd, node, NODE_DIGITS);
    close(fd);
    node[NODE_DIGITS] = '\0';
    return size == -1 ? -1 : size == NODE_DIGITS && strspn(node, DIGITS) == NODE_DIGITS;
}

static int
write_node(int folder, char node[NODE_DIGITS + 1])
{
    uint8_t random[NODE_DIGITS / 2];
    randombytes_buf(random, sizeof random);
    sodium_bin2hex(node, NODE_DIGITS + 1, random, sizeof random);
    int fd = openat(folder, "node", O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd == -1)
        return -1;
    bool written = write(fd, node, NODE_DIGITS) == NODE_DIGITS && fsync(fd) == 0;
    close(fd);
    return written && fsync(folder) == 0 ? 0 : -1;
}

int
node_of(const char *path, char node[NODE_DIGITS + 1], diag_t *diag, place_t place)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int found = folder == -1 ? -1 : read_node(folder, node);
    if (found == 0)
        found = write_node(folder, node) == 0 ? 1 : -1;
    if (found == -1)
        diag_error(diag, place, "the store %s has no name: %s", path, strerror(errno));
    if (folder != -1)
        close(folder);
    return found == 1 ? 0 : -1;
}
