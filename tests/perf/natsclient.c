// SPDX-License-Identifier: MPL-2.0
// natsclient - a producer of a JetStream stream as a user would write it, with the client
// library of NATS, for tests/perf/acks. What zbroker-bench --ack is with libzmq.
//
//     natsclient PORT SIZE SECONDS [ids]
//
// prints one line of JSON. With "ids" each message has one, by which it is known when it
// comes a second time.

#include "base/clock.h"
#include "bench/hist.h"
#include "bench/payload.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <nats/nats.h>

enum { WINDOW = 4000, SAMPLE = 16 };
#define WARM_UP_NS INT64_C(500000000)

typedef struct {
    payload_t *payload;
    atomic_uint_fast64_t acked, failed;
    atomic_bool measuring;
    hist_t latency; // of the thread that hears
} client_t;

static void
check(natsStatus status, const char *what)
{
    if (status == NATS_OK)
        return;
    fprintf(stderr, "natsclient: %s: %s\n", what, natsStatus_GetText(status));
    exit(3);
}

static void
hear(jsCtx *stream, natsMsg *message, jsPubAck *ack, jsPubAckErr *error, void *arg)
{
    client_t *self = arg;
    stamp_t stamp = { 0 };
    (void)stream;
    (void)error;
    atomic_fetch_add_explicit(ack ? &self->acked : &self->failed, 1, memory_order_relaxed);
    payload_read(self->payload, natsMsg_GetData(message), (size_t)natsMsg_GetDataLength(message), &stamp);
    if (stamp.time_ns && atomic_load_explicit(&self->measuring, memory_order_relaxed))
        hist_add(&self->latency, clock_mono_ns() - stamp.time_ns);
    natsMsg_Destroy(message);
}

static jsCtx *
open_stream(client_t *self, natsConnection **connection, int port)
{
    char url[64];
    jsCtx *stream;
    jsOptions options;
    jsStreamConfig conf;
    snprintf(url, sizeof url, "nats://127.0.0.1:%d", port);
    check(natsConnection_ConnectTo(connection, url), "connect");
    jsOptions_Init(&options);
    options.PublishAsync.MaxPending = WINDOW;
    options.PublishAsync.StallWait = 5000; // ms: what waits for room for longer has failed
    options.PublishAsync.AckHandler = hear;
    options.PublishAsync.AckHandlerClosure = self;
    check(natsConnection_JetStream(&stream, *connection, &options), "JetStream");
    jsStreamConfig_Init(&conf);
    conf.Name = "bench";
    conf.Subjects = (const char *[]){ "t" };
    conf.SubjectsLen = 1;
    conf.Storage = js_FileStorage;
    conf.Replicas = 1;
    check(js_AddStream(NULL, stream, &conf, NULL, NULL), "stream");
    return stream;
}

// Until END_NS; returns when that was.
static int64_t
publish(client_t *self, jsCtx *stream, size_t size, bool ids, int64_t end_ns)
{
    static uint32_t number;
    char *data = calloc(1, size), id[24];
    jsPubOptions options;
    jsPubOptions_Init(&options);
    options.MsgId = ids ? id : NULL;
    int64_t now = clock_mono_ns();
    for (; data && now < end_ns; number++) {
        now = number % SAMPLE ? now : clock_mono_ns();
        stamp_t stamp = { .kind = PAYLOAD_DATA, .number = number, .time_ns = number % SAMPLE ? 0 : now };
        payload_write(self->payload, 0, &stamp, data);
        if (ids)
            snprintf(id, sizeof id, "%u", number);
        check(js_PublishAsync(stream, "t", data, (int)size, ids ? &options : NULL), "publish");
    }
    free(data);
    return now;
}

int
main(int argc, char **argv)
{
    static client_t self;
    natsConnection *connection;
    if (argc < 4) {
        fprintf(stderr, "usage: natsclient PORT SIZE SECONDS [ids]\n");
        return 2;
    }
    size_t size = strtoul(argv[2], NULL, 10);
    bool ids = argc > 4;
    self.payload = payload_new(size, 1, false, "");
    jsCtx *stream = open_stream(&self, &connection, atoi(argv[1]));
    int64_t begin = publish(&self, stream, size, ids, clock_mono_ns() + WARM_UP_NS);
    uint64_t before = atomic_load(&self.acked);
    atomic_store(&self.measuring, true);
    int64_t end = publish(&self, stream, size, ids, begin + (int64_t)(atof(argv[3]) * 1e9));
    uint64_t acked = atomic_load(&self.acked) - before;
    js_PublishAsyncComplete(stream, NULL);
    printf("{\"messages_per_second\":%.1f,\"failed\":%llu,\"latency_ns\":{\"p50\":%llu}}\n", (double)acked * 1e9 / (double)(end - begin),
           (unsigned long long)atomic_load(&self.failed), (unsigned long long)hist_percentile(&self.latency, 50));
    jsCtx_Destroy(stream);
    natsConnection_Destroy(connection);
    nats_Close();
    payload_destroy(&self.payload);
    return 0;
}
