// SPDX-License-Identifier: MPL-2.0
//
// For each connection libzmq asks getpeername(2) and turns the answer, in the
// very place where it got it, into the text by which ZAP and Peer-Address know
// the peer. These two definitions in the executable go before the C library's:
// the text gets the connection's inode too (peername.h says why). Whoever
// passes a copy of the address, as libzmq does for its endpoints, gets the
// plain text.
#include "flow/peername.h"

#include <dlfcn.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

typedef int getnameinfo_fn(const struct sockaddr *address, socklen_t length, char *host, socklen_t host_size, char *service,
                           socklen_t service_size, int flags);

static _Thread_local struct {
    const void *place; // NULL: nothing was asked since the last name
    int fd;
    socklen_t length;
    struct sockaddr_storage address;
} asked;

int
getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict length)
{
    int rc = (int)syscall(SYS_getpeername, fd, address, length);
    asked.place = NULL;
    if (rc == 0 && *length <= sizeof asked.address) {
        asked.place = address;
        asked.fd = fd;
        asked.length = *length;
        memcpy(&asked.address, address, *length);
    }
    return rc;
}

static getnameinfo_fn *
of_the_c_library(void)
{
    static getnameinfo_fn *_Atomic found; // whoever comes first looks for it; two find the same
    if (!found) {
        void *symbol = dlsym(RTLD_NEXT, "getnameinfo");
        getnameinfo_fn *function;
        memcpy(&function, &symbol, sizeof function);
        found = function;
    }
    return found;
}

int
getnameinfo(const struct sockaddr *restrict address, socklen_t length, char *restrict host, socklen_t host_size,
            char *restrict service, socklen_t service_size, int flags)
{
    getnameinfo_fn *function = of_the_c_library();
    if (!function)
        return EAI_SYSTEM;
    int rc = function(address, length, host, host_size, service, service_size, flags);
    bool is_peer = asked.place == address && asked.length == length && memcmp(&asked.address, address, length) == 0;
    asked.place = NULL;
    if (rc != 0 || !is_peer || flags != NI_NUMERICHOST || service || !host)
        return rc;
    size_t size = strlen(host);
    ino_t inode = peername_inode(asked.fd);
    if (inode && size + 24 < host_size)
        snprintf(host + size, host_size - size, "#%llu", (unsigned long long)inode);
    return 0;
}
