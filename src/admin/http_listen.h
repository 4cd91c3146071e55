// SPDX-License-Identifier: MPL-2.0
// http_listen.h - the socket that the HTTP server listens on.

#ifndef ZB_HTTP_LISTEN_H
#define ZB_HTTP_LISTEN_H

// HOST is a name, an address or "*", which is all addresses of both families; PORT 0: any. A descriptor, or -1 with errno
// and the reason in words, borrowed.
int http_listen(const char *host, int port, const char **reason);

#endif
