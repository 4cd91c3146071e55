// SPDX-License-Identifier: MPL-2.0
// systemd.h - what systemd wants to hear from a service, sd_notify(3), by hand:
// one datagram each to the socket that NOTIFY_SOCKET names, a path or, with
// '@', an abstract name. Without NOTIFY_SOCKET every call does nothing.

#ifndef ZB_SYSTEMD_H
#define ZB_SYSTEMD_H

#include <stdbool.h>
#include <stdint.h>

// Read NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, and take them out of the
// environment. Call once, first.
void systemd_open(void);
bool systemd_is_watched(void); // somebody listens

void systemd_ready(void);
void systemd_reloading(void);  // with MONOTONIC_USEC, as Type=notify-reload wants it; systemd_ready follows
void systemd_stopping(void);
void systemd_status(const char *format, ...) __attribute__((format(printf, 1, 2)));
void systemd_extend(int64_t usec); // EXTEND_TIMEOUT_USEC: this long from now

// How often systemd wants to hear of us, 0: never. Half of WATCHDOG_USEC is when to call systemd_alive.
int64_t systemd_watchdog_usec(void);
void systemd_alive(void);

// The descriptor store: FD stays with systemd, under NAME, while the process is
// exchanged. NAME: no ':' and no control character, at most 255 bytes. 0, or -1
// with errno.
int systemd_store(int fd, const char *name);
int systemd_unstore(const char *name);

// Wait, five seconds at most, until systemd has seen all that it was told.
void systemd_barrier(void);

void systemd_close(void);

#endif
