// SPDX-License-Identifier: MPL-2.0
#include "zmq/proxy.h"

#include <errno.h>
#include <zmq.h>

void *
proxy_context(int io_threads)
{
    void *ctx = zmq_ctx_new();
    if (ctx) {
        zmq_ctx_set(ctx, ZMQ_IO_THREADS, io_threads);
        // Else the linger of a socket could not be set after the shutdown.
        zmq_ctx_set(ctx, ZMQ_BLOCKY, 0);
    }
    return ctx;
}

int
proxy_run(void *frontend, void *backend, void *capture)
{
    while (zmq_proxy(frontend, backend, capture) == -1 && zmq_errno() == EINTR) {
    }
    return zmq_errno();
}

void
proxy_stop(void *ctx)
{
    zmq_ctx_shutdown(ctx);
}
