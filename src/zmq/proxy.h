// SPDX-License-Identifier: MPL-2.0
// proxy.h - the second engine: libzmq's own loop, zmq_proxy(3), as the reference
// to measure and compare with. It has no counters, no pause and no drain, and
// only the shutdown of its context stops it, so it has a context of its own.

#ifndef ZB_PROXY_H
#define ZB_PROXY_H

// Runs in the calling thread until the context is shut down (ETERM), or until a send or
// receive fails: zmq_proxy ends at the first that does. Returns the error.
int proxy_run(void *frontend, void *backend, void *capture);

// A context for one such route, and its end: sockets must be closed in between.
void *proxy_context(int io_threads);
void proxy_stop(void *ctx);

#endif
