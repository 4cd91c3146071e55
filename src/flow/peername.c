// SPDX-License-Identifier: MPL-2.0
#include "flow/peername.h"

#include <string.h>
#include <sys/stat.h>

static size_t
append(char *to, size_t used, size_t room, const char *from, size_t size)
{
    size_t fits = size < room - 1 - used ? size : room - 1 - used;
    if (fits)
        memcpy(to + used, from, fits);
    return used + fits;
}

ino_t
peername_split(const char *text, size_t size, char *host, size_t room)
{
    ino_t inode = 0;
    const char *mark = size ? memchr(text, '#', size) : NULL;
    size_t end = mark ? (size_t)(mark - text) : size;
    size_t used = append(host, 0, room, text, end);
    if (mark)
        for (end++; end < size && text[end] >= '0' && text[end] <= '9'; end++)
            inode = inode * 10 + (ino_t)(text[end] - '0');
    used = append(host, used, room, text + end, size - end);
    host[used] = '\0';
    return inode;
}

bool
peername_is_ipc(const char *host)
{
    return strncmp(host, "localhost:", 10) == 0;
}

const char *
peername_shown(const char *host, const char *none)
{
    static const char mapped[] = "::ffff:";
    if (strncmp(host, mapped, sizeof mapped - 1) == 0 && strchr(host, '.'))
        return host + sizeof mapped - 1;
    return !*host ? none : peername_is_ipc(host) ? "ipc" : host;
}

ino_t
peername_inode(int fd)
{
    struct stat there;
    return fd != -1 && fstat(fd, &there) == 0 && S_ISSOCK(there.st_mode) ? there.st_ino : 0;
}
