// SPDX-License-Identifier: MPL-2.0
// foreign - one publisher and one subscriber of a broker that does not speak
// ZMTP, in the plainest form of its own protocol, for tests/perf/others. Messages
// and measuring are those of zbroker-bench.
//
//     foreign nats|redis|mqtt|jetstream[-ids]|zbroker[-ids] PORT PID SIZE RATE SECONDS
//
// With jetstream the subscriber gets the acknowledgements of a stream on disk instead
// of the messages, and with zbroker those of a route's ack_bind, for tests/perf/acks.
// With "-ids" each message has one, by which it is known when it comes a second time.
//
// prints one line of JSON. These brokers answer a subscriber that is too slow by
// dropping it or its messages, so the publisher never is more than WINDOW ahead.

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "bench/hist.h"
#include "bench/pacer.h"
#include "bench/payload.h"
#include "bench/proc.h"
#include "zmtp/frame.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <unistd.h>

enum { ROOM = 1 << 20, BATCH = 16384, WINDOW = 10000, ACK_WINDOW = 4000, SAMPLE = 16 };

typedef struct {
    atomic_int ready, stop;
    atomic_int measuring;
    atomic_uint_fast64_t sent, received;
    atomic_uint_fast64_t corrupt;
    hist_t latency;
    int64_t sent_ns[2 * ACK_WINDOW]; // of a message that waits for an answer without a name, by its number
} shared_t;

typedef struct {
    int fd;
    size_t size;
    unsigned char data[ROOM]; // input that is not used up yet
} stream_t;

// What a protocol needs: how to greet and subscribe, how a message goes out, and
// how it comes in.
typedef struct {
    const char *name;
    void (*greet)(stream_t *self);
    void (*subscribe)(stream_t *self);
    // Write what goes before the payload; returns its length.
    size_t (*head)(char *to, size_t payload);
    const char *tail;
    // Bytes of the first thing in the input, 0 if it is incomplete; PAYLOAD and SIZE
    // are set if it is a message. May answer (PING).
    size_t (*parse)(stream_t *self, const unsigned char *data, size_t size, const unsigned char **payload, size_t *length);
    bool acks;    // what comes in is an acknowledgement, and the payload of it when its message was sent
    bool answers; // and it comes on the publisher's own connection, in the order of the messages, without a payload
} protocol_t;

static void
die(const char *what)
{
    fprintf(stderr, "foreign: %s: %s\n", what, strerror(errno));
    exit(3);
}

static void
send_all(stream_t *self, const void *data, size_t size)
{
    for (const char *at = data; size;) {
        ssize_t sent = send(self->fd, at, size, MSG_NOSIGNAL);
        if (sent == -1 && errno != EINTR)
            die("send");
        if (sent > 0)
            at += sent, size -= (size_t)sent;
    }
}

// More input, waiting for at most TIMEOUT_MS. False if none came.
static bool
fill(stream_t *self, int timeout_ms)
{
    struct pollfd item = { .fd = self->fd, .events = POLLIN };
    if (poll(&item, 1, timeout_ms) < 1)
        return false;
    ssize_t got = recv(self->fd, self->data + self->size, ROOM - self->size, 0);
    if (got == 0)
        errno = ECONNRESET;
    if (got <= 0)
        die("receive");
    self->size += (size_t)got;
    return true;
}

static void
use_up(stream_t *self, size_t size)
{
    memmove(self->data, self->data + size, self->size - size);
    self->size -= size;
}

// Read until WORD has come, and forget everything up to it.
static void
expect(stream_t *self, const char *word, size_t size)
{
    for (;;) {
        unsigned char *at = memmem(self->data, self->size, word, size);
        if (at) {
            use_up(self, (size_t)(at - self->data) + size);
            return;
        }
        if (!fill(self, 5000))
            die("no answer from the broker");
    }
}

static const unsigned char *
line_end(const unsigned char *data, size_t size)
{
    const unsigned char *at = memmem(data, size, "\r\n", 2);
    return at ? at + 2 : NULL;
}

// --- NATS: https://docs.nats.io/reference/reference-protocols/nats-protocol ----

static void
nats_greet(stream_t *self)
{
    static const char hello[] = "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true}\r\nPING\r\n";
    expect(self, "\r\n", 2);
    send_all(self, hello, sizeof hello - 1);
    expect(self, "PONG\r\n", 6);
}

static void
nats_subscribe(stream_t *self)
{
    send_all(self, "SUB t 1\r\nPING\r\n", 15);
    expect(self, "PONG\r\n", 6);
}

static size_t
nats_head(char *to, size_t payload)
{
    return (size_t)sprintf(to, "PUB t %zu\r\n", payload);
}

static size_t
nats_parse(stream_t *self, const unsigned char *data, size_t size, const unsigned char **payload, size_t *length)
{
    const unsigned char *end = line_end(data, size);
    if (!end)
        return 0;
    size_t line = (size_t)(end - data);
    if (memcmp(data, "PING", 4) == 0)
        send_all(self, "PONG\r\n", 6);
    if (memcmp(data, "MSG ", 4) != 0)
        return line;
    const unsigned char *number = memrchr(data, ' ', line);
    *length = strtoul((const char *)number, NULL, 10);
    *payload = end;
    return size < line + *length + 2 ? 0 : line + *length + 2;
}

// --- JetStream: https://docs.nats.io/reference/reference-protocols/nats_api_reference -----
//
// The subject for the acknowledgement of a message says when it was sent.

static void
jetstream_greet(stream_t *self)
{
    static const char stream[] = "{\"name\":\"bench\",\"subjects\":[\"t\"],\"storage\":\"file\",\"num_replicas\":1}";
    char request[256];
    nats_greet(self);
    int size = sprintf(request, "SUB made 2\r\nPUB $JS.API.STREAM.CREATE.bench made %zu\r\n%s\r\n", sizeof stream - 1, stream);
    send_all(self, request, (size_t)size);
    expect(self, "\"config\"", 8);
    expect(self, "\r\n", 2);
}

static void
jetstream_subscribe(stream_t *self)
{
    send_all(self, "SUB a.* 1\r\nPING\r\n", 17);
    expect(self, "PONG\r\n", 6);
}

static size_t
jetstream_head(char *to, size_t payload)
{
    return (size_t)sprintf(to, "PUB t a.%lld %zu\r\n", (long long)clock_mono_ns(), payload);
}

// By this id a message is known if it comes again within the stream's "duplicate_window", 2 minutes.
static size_t
jetstream_ids_head(char *to, size_t payload)
{
    char id[64];
    long long now = (long long)clock_mono_ns();
    size_t head = (size_t)sprintf(id, "NATS/1.0\r\nNats-Msg-Id: %lld\r\n\r\n", now);
    return (size_t)sprintf(to, "HPUB t a.%lld %zu %zu\r\n%s", now, head, head + payload, id);
}

static size_t
jetstream_parse(stream_t *self, const unsigned char *data, size_t size, const unsigned char **payload, size_t *length)
{
    size_t used = nats_parse(self, data, size, payload, length);
    if (used == 0 || size < 6 || memcmp(data, "MSG a.", 6) != 0) {
        *payload = NULL;
        return used;
    }
    bool is_good = memmem(*payload, *length, "\"seq\"", 5) != NULL;
    *payload = data + 6;
    *length = is_good ? 1 : 0;
    return used;
}

// --- zbroker: zbroker-protocols(7), https://rfc.zeromq.org/spec/23/ --------------------------
//
// A DEALER at the ack_bind of a route. Answers come in the order of the messages.

enum { GREETING = 64 };

static void
need(stream_t *self, size_t size)
{
    while (self->size < size)
        if (!fill(self, 5000))
            die("no answer from the broker");
}

static void
zbroker_greet(stream_t *self)
{
    static const char greeting[GREETING] = "\xff\0\0\0\0\0\0\0\0\x7f\x03\0NULL";
    static const char ready[] = "\x04\x1c\x05READY\x0bSocket-Type\0\0\0\x06" "DEALER";
    frame_head_t head = { 0 };
    send_all(self, greeting, sizeof greeting);
    need(self, GREETING);
    use_up(self, GREETING);
    send_all(self, ready, sizeof ready - 1);
    need(self, FRAME_SHORT_HEAD);
    frame_read(self->data, self->size, &head); // its READY
    need(self, head.head + head.body);
    use_up(self, head.head + head.body);
}

static void
zbroker_subscribe(stream_t *self)
{
    (void)self;
}

// The empty frame, an ID, and the head of the body.
static size_t
zbroker_head(char *to, const void *id, size_t id_size, size_t payload)
{
    uint8_t *at = (uint8_t *)to;
    at += frame_write_head(at, FRAME_MORE, 0);
    at += frame_write_head(at, FRAME_MORE, id_size);
    memcpy(at, id, id_size);
    at += id_size;
    at += frame_write_head(at, 0, payload);
    return (size_t)((char *)at - to);
}

static size_t
zbroker_plain_head(char *to, size_t payload)
{
    return zbroker_head(to, "", 0, payload);
}

static size_t
zbroker_ids_head(char *to, size_t payload)
{
    int64_t now = clock_mono_ns();
    return zbroker_head(to, &now, sizeof now, payload);
}

// The last frame of an answer is a message, "ok".
static size_t
zbroker_parse(stream_t *self, const unsigned char *data, size_t size, const unsigned char **payload, size_t *length)
{
    (void)self;
    frame_head_t head;
    if (frame_read(data, size, &head) != 1 || size - head.head < head.body)
        return 0;
    if (!(head.flags & (FRAME_MORE | FRAME_COMMAND))) {
        *payload = data + head.head;
        *length = head.body == 2 && memcmp(*payload, "ok", 2) == 0 ? 1 : 0;
    }
    return head.head + head.body;
}

// --- Redis: https://redis.io/docs/latest/develop/reference/protocol-spec/ ------

static void
redis_greet(stream_t *self)
{
    send_all(self, "*1\r\n$4\r\nPING\r\n", 14);
    expect(self, "+PONG\r\n", 7);
}

static void
redis_subscribe(stream_t *self)
{
    send_all(self, "*2\r\n$9\r\nSUBSCRIBE\r\n$1\r\nt\r\n", 26);
    expect(self, ":1\r\n", 4);
}

static size_t
redis_head(char *to, size_t payload)
{
    return (size_t)sprintf(to, "*3\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n$%zu\r\n", payload);
}

static size_t
redis_parse(stream_t *self, const unsigned char *data, size_t size, const unsigned char **payload, size_t *length)
{
    (void)self;
    static const char head[] = "*3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$";
    if (data[0] == ':') { // how many got what was published
        const unsigned char *end = line_end(data, size);
        return end ? (size_t)(end - data) : 0;
    }
    size_t before = sizeof head - 1;
    const unsigned char *end = size > before ? line_end(data + before, size - before) : NULL;
    if (!end)
        return 0;
    *length = strtoul((const char *)data + before, NULL, 10);
    *payload = end;
    size_t whole = (size_t)(end - data) + *length + 2;
    return size < whole ? 0 : whole;
}

// --- MQTT 3.1.1: https://docs.oasis-open.org/mqtt/mqtt/v3.1.1/ -------------------

static void
mqtt_greet(stream_t *self)
{
    static const char hello[] = "\x10\x0e\x00\x04MQTT\x04\x02\x00\x00\x00\x02zp";
    char packet[sizeof hello - 1];
    memcpy(packet, hello, sizeof packet);
    packet[sizeof packet - 1] = (char)('a' + getpid() % 26);
    packet[sizeof packet - 2] = (char)('a' + getpid() / 26 % 26);
    send_all(self, packet, sizeof packet);
    expect(self, "\x20\x02\x00\x00", 4);
}

static void
mqtt_subscribe(stream_t *self)
{
    send_all(self, "\x82\x06\x00\x01\x00\x01t\x00", 8);
    expect(self, "\x90\x03\x00\x01\x00", 5);
}

static size_t
mqtt_head(char *to, size_t payload)
{
    size_t left = payload + 3, at = 0;
    to[at++] = 0x30;
    do {
        to[at++] = (char)(left % 128 | (left >= 128 ? 128 : 0));
        left /= 128;
    } while (left);
    memcpy(to + at, "\x00\x01t", 3);
    return at + 3;
}

static size_t
mqtt_parse(stream_t *self, const unsigned char *data, size_t size, const unsigned char **payload, size_t *length)
{
    (void)self;
    size_t left = 0, at = 1;
    for (unsigned shift = 0;; shift += 7) {
        if (at >= size)
            return 0;
        left |= (size_t)(data[at] & 127) << shift;
        if (!(data[at++] & 128))
            break;
    }
    if (size < at + left)
        return 0;
    if (data[0] >> 4 == 3) {
        *payload = data + at + 3;
        *length = left - 3;
    }
    return at + left;
}

static const protocol_t protocols[] = {
    { "nats", nats_greet, nats_subscribe, nats_head, "\r\n", nats_parse, false, false },
    { "redis", redis_greet, redis_subscribe, redis_head, "\r\n", redis_parse, false, false },
    { "mqtt", mqtt_greet, mqtt_subscribe, mqtt_head, "", mqtt_parse, false, false },
    { "jetstream", jetstream_greet, jetstream_subscribe, jetstream_head, "\r\n", jetstream_parse, true, false },
    { "jetstream-ids", jetstream_greet, jetstream_subscribe, jetstream_ids_head, "\r\n", jetstream_parse, true, false },
    { "zbroker", zbroker_greet, zbroker_subscribe, zbroker_plain_head, "", zbroker_parse, true, true },
    { "zbroker-ids", zbroker_greet, zbroker_subscribe, zbroker_ids_head, "", zbroker_parse, true, true },
};

// --- The two clients --------------------------------------------------------------

typedef struct {
    const protocol_t *protocol;
    int port;
    pid_t broker;
    size_t size;
    int64_t rate;
    double seconds;
    shared_t *shared;
    stream_t *both; // of publisher and subscriber, where answers come; NULL: each has its own
} run_t;

static stream_t *
dial(const run_t *run)
{
    if (run->both)
        return run->both;
    stream_t *self = calloc(1, sizeof *self);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)run->port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int on = 1;
    if (!self)
        die("memory");
    self->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(self->fd, (struct sockaddr *)&address, sizeof address) == -1)
        die("connect");
    setsockopt(self->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); // as libzmq does
    run->protocol->greet(self);
    return self;
}

static void
take(const run_t *run, const payload_t *payload, const unsigned char *data, size_t size)
{
    stamp_t stamp = { 0 };
    shared_t *shared = run->shared;
    if (run->protocol->answers && size > 0)
        stamp.time_ns = shared->sent_ns[atomic_load_explicit(&shared->received, memory_order_relaxed) % COUNT(shared->sent_ns)];
    else if (run->protocol->acks && size > 0)
        stamp.time_ns = strtoll((const char *)data, NULL, 10);
    if (run->protocol->acks ? size == 0 : !payload_read(payload, data, size, &stamp) || !payload_check(payload, 0, &stamp, data, size)) {
        atomic_fetch_add(&shared->corrupt, 1);
        return;
    }
    atomic_store_explicit(&shared->received, atomic_load_explicit(&shared->received, memory_order_relaxed) + 1, memory_order_release);
    if (stamp.time_ns && atomic_load_explicit(&shared->measuring, memory_order_relaxed))
        hist_add(&shared->latency, clock_mono_ns() - stamp.time_ns);
}

static void
subscriber(const run_t *run)
{
    stream_t *stream = dial(run);
    payload_t *payload = payload_new(run->size, 1, false, "");
    run->protocol->subscribe(stream);
    atomic_store(&run->shared->ready, 1);
    while (!atomic_load(&run->shared->stop)) {
        if (!fill(stream, 50))
            continue;
        size_t used = 0;
        for (size_t got = 1; got && used < stream->size; used += got) {
            const unsigned char *data = NULL;
            size_t size = 0;
            got = run->protocol->parse(stream, stream->data + used, stream->size - used, &data, &size);
            if (got && data)
                take(run, payload, data, size);
        }
        use_up(stream, used);
    }
}

// Read what the broker says to a publisher, and answer its PINGs.
static void
listen_to(const run_t *run, stream_t *stream)
{
    while (fill(stream, 0)) {
        size_t used = 0;
        for (size_t got = 1; got && used < stream->size; used += got) {
            const unsigned char *data = NULL;
            size_t size = 0;
            got = run->protocol->parse(stream, stream->data + used, stream->size - used, &data, &size);
        }
        use_up(stream, used);
    }
}

static bool
is_ahead(const run_t *run, uint64_t sent)
{
    const shared_t *shared = run->shared;
    uint64_t most = run->protocol->acks ? ACK_WINDOW : WINDOW;
    return most <= sent - atomic_load_explicit(&shared->received, memory_order_acquire) - atomic_load(&shared->corrupt);
}

static void
publisher(const run_t *run)
{
    stream_t *stream = dial(run);
    payload_t *payload = payload_new(run->size, 1, false, "");
    size_t room = BATCH + run->size + 256, used = 0;
    char *batch = malloc(room);
    pacer_t pacer = pacer_new(run->rate, 1, 0);
    uint64_t number = 0;
    while (batch && !atomic_load_explicit(&run->shared->stop, memory_order_relaxed)) {
        bool due = run->rate == 0 || pacer_due(&pacer) <= clock_mono_ns();
        bool full = used >= BATCH || is_ahead(run, number);
        if (used && (full || !due)) {
            send_all(stream, batch, used);
            used = 0;
            atomic_store(&run->shared->sent, number);
            if (!run->both)
                listen_to(run, stream);
        }
        if (!due)
            pacer_wait(&pacer, 50);
        else if (is_ahead(run, number))
            usleep(50);
        else {
            stamp_t stamp = { .kind = PAYLOAD_DATA, .number = (uint32_t)number };
            stamp.time_ns = run->rate ? pacer_due(&pacer) : number % SAMPLE ? 0 : clock_mono_ns();
            used += run->protocol->head(batch + used, run->size);
            payload_write(payload, 0, &stamp, batch + used);
            used += run->size;
            memcpy(batch + used, run->protocol->tail, strlen(run->protocol->tail));
            used += strlen(run->protocol->tail);
            run->shared->sent_ns[number % COUNT(run->shared->sent_ns)] = stamp.time_ns;
            number++;
            pacer_next(&pacer);
        }
    }
    free(batch);
}

static pid_t
start(void (*work)(const run_t *run), const run_t *run)
{
    pid_t pid = fork();
    if (pid == -1)
        die("fork");
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_TIMERSLACK, 1UL);
    work(run);
    _exit(0);
}

static void
sleep_for(double seconds)
{
    usleep((useconds_t)(seconds * 1e6));
}

static void
report(const run_t *run, double seconds, uint64_t delivered, const proc_t *used)
{
    text_t line = { 0 };
    json_t json = json_on(&line);
    const hist_t *latency = &run->shared->latency;
    json_object(&json, NULL);
    json_string(&json, "subject", run->protocol->name);
    json_real(&json, "messages_per_second", (double)delivered / seconds);
    json_uint(&json, "delivered", delivered);
    json_uint(&json, "corrupt", atomic_load(&run->shared->corrupt));
    json_object(&json, "latency_ns");
    json_uint(&json, "count", latency->count);
    json_uint(&json, "p50", hist_percentile(latency, 50));
    json_uint(&json, "p99", hist_percentile(latency, 99));
    json_uint(&json, "max", latency->max);
    json_object_end(&json);
    json_object(&json, "broker");
    json_real(&json, "cpu_ns_per_message", delivered ? (double)used->cpu_ns / (double)delivered : 0);
    json_uint(&json, "rss_bytes", used->rss_bytes);
    json_object_end(&json);
    json_object_end(&json);
    puts(line.data);
    text_free(&line);
}

int
main(int argc, char **argv)
{
    run_t run = { 0 };
    for (size_t i = 0; argc == 7 && i < sizeof protocols / sizeof *protocols; i++)
        if (strcmp(argv[1], protocols[i].name) == 0)
            run.protocol = &protocols[i];
    if (!run.protocol) {
        fprintf(stderr, "usage: foreign nats|redis|mqtt|jetstream[-ids]|zbroker[-ids] PORT PID SIZE RATE SECONDS\n");
        return 2;
    }
    run.port = atoi(argv[2]);
    run.broker = (pid_t)atoi(argv[3]);
    run.size = strtoul(argv[4], NULL, 10);
    run.rate = atoll(argv[5]);
    run.seconds = atof(argv[6]);
    if (run.size < PAYLOAD_STAMP || run.size > ROOM / 4) {
        fprintf(stderr, "foreign: SIZE is 16 to %d\n", ROOM / 4);
        return 2;
    }
    run.shared = mmap(NULL, sizeof *run.shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (run.shared == MAP_FAILED)
        die("memory");
    if (run.protocol->answers)
        run.both = dial(&run);

    pid_t client[2] = { start(subscriber, &run) };
    for (int64_t limit = clock_mono_ms() + 10000; !atomic_load(&run.shared->ready);) {
        if (clock_mono_ms() > limit || waitpid(client[0], NULL, WNOHANG) == client[0])
            return 3;
        usleep(1000);
    }
    client[1] = start(publisher, &run);
    sleep_for(0.5); // warm-up
    static proc_t before, after, used;
    proc_read(run.broker, &before);
    uint64_t received = atomic_load(&run.shared->received);
    int64_t begin = clock_mono_ns();
    atomic_store(&run.shared->measuring, 1);
    sleep_for(run.seconds);
    uint64_t delivered = atomic_load(&run.shared->received) - received;
    double seconds = (double)(clock_mono_ns() - begin) / 1e9;
    proc_read(run.broker, &after);
    proc_since(&before, &after, &used);
    atomic_store(&run.shared->stop, 1);
    for (int i = 0; i < 2; i++) {
        int status;
        waitpid(client[i], &status, 0);
        if (status != 0)
            return 3;
    }
    report(&run, seconds, delivered, &used);
    return 0;
}
