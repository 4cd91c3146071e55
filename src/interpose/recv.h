// SPDX-License-Identifier: MPL-2.0
// recv.h - how much has come in on each descriptor.
//
// Whoever stops must not send a client away between two of its writes (watch.h),
// and only tcp connections know how many bytes came in. So the executable has its
// own recv(2), which counts: one addition beside a system call.
//
// Linked into the executable only, for its definition goes before the C library's.

#ifndef ZB_RECV_H
#define ZB_RECV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Count on the descriptors below LIMIT. Before any other thread.
void recv_count(size_t limit);

// On FD so far, whoever had that number; it wraps around.
uint64_t recv_counted(int fd);

// Was the last that came in on FD more than a handshake has, not its end or an error? If libzmq closes it then, it is
// because of that.
bool recv_brought_frames(int fd);

#endif
