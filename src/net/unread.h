// SPDX-License-Identifier: MPL-2.0
// unread.h - what the peer of a UNIX socket has not read. Our end of it tells that by the memory
// which it takes, not in bytes; the peer's end does, to whoever asks the kernel (sock_diag(7)).

#ifndef ZB_UNREAD_H
#define ZB_UNREAD_H

#include <stdint.h>

// How many bytes that were written to FD its peer has not read. 0 also where the kernel does not tell. Does not block.
uint32_t unread_by_peer(int fd);

#endif
