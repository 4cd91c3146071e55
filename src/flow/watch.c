// SPDX-License-Identifier: MPL-2.0
#include "flow/watch.h"

#include "base/clock.h"
#include "base/event.h"
#include "base/mem.h"
#include "flow/peername.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#define STILL_LOOKS 2         // without another byte: libzmq's clients write 8 KiB after 8 KiB, some 20 us apart
#define SILENT_MS 40          // a client that is not scheduled looks silent too
#define SILENT_SENDER_MS 250
#define HELLO_BYTES 512       // of a handshake, or a heartbeat
#define MISSES 16             // then something comes in that is no message: the least is looked for anew
#define ROUND_MS 1000 // the loop comes round at least this often
#define LOOKS 1000    // peers of a side that are looked at a round

#define EVENTS                                                                                                         \
    (ZMQ_EVENT_CONNECTED | ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_MONITOR_STOPPED                     \
     | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH    \
     | ZMQ_EVENT_ACCEPT_FAILED)

// One connection. The inode tells whether a descriptor number is still the
// connection it was: libzmq may have closed it and the next one got its number.
typedef struct {
    uint64_t id;
    int fd;
    ino_t inode;
    bool outgoing;
    bool half_closed;
    uint32_t noted;        // bytes that had come in at the last round
    bool sends;            // more came in since
    bool looked_at;        // by the drain
    uint32_t bytes;        // that had come in when it was looked at
    unsigned still;        // looks since the last one of them
    int64_t moved_ms;
    bool rest_known;
    uint32_t rest;         // the least that came in and was no message yet…
    uint32_t rest_at;      // …when so much had come in
    unsigned misses;
    int64_t since_wall_ns;
    char peer[128];
    char *user;
} peer_t;

// A login whose connection's event is not there yet: with several I/O threads it
// may be late. Who left before its login was answered stays until it is overwritten.
typedef struct {
    ino_t inode;
    char *user; // NULL: to be cut
} expected_t;

#define EXPECTED 64

struct watch_side {
    watch_t *watch;
    watch_side_t *next;
    void *monitor;      // our end of the PAIR
    int monitor_fd;
    char *route;
    side_t side;
    side_counters_t *counters;
    peer_t *peers;
    size_t count, room;
    size_t in_total;    // of the count
    size_t looked;      // the next one to look at
    bool nameless;      // somebody was let in of whom we do not know which one it is
    bool half_closed;
    bool turned_away;   // newcomers are
    bool removed;       // its socket is closed
    bool over;          // the last event was read: the watch thread frees it after its round
    size_t limit;
    bool full;
    void (*on_full)(bool full, void *arg);
    void *arg;
};

// A listening descriptor behind which nobody listens yet.
typedef struct door {
    struct door *next;
    int fd;
    void (*knock)(void *arg);
    void *arg;
} door_t;

struct watch {
    void *ctx;
    pthread_t thread;
    pthread_mutex_t lock; // over all sides and peers
    watch_side_t *sides;
    uint64_t last_id;
    unsigned last_name;
    expected_t expected[EXPECTED];
    unsigned last_expected;
    size_t total, total_limit; // connections of all sides
    bool total_full;
    void (*on_total_full)(bool full, void *arg);
    void *total_arg;
    int epoll, wake;
    int doors_epoll;
    door_t *doors;
    int64_t looked_ms;
    uint64_t (*counted)(int fd);
    _Atomic bool stopping;
    _Atomic int64_t round_ms;
};

// --- peers -------------------------------------------------------------------

static bool
is_still(const peer_t *peer)
{
    return peer->inode != 0 && peername_inode(peer->fd) == peer->inode;
}

static void
name_inet(const struct sockaddr_storage *address, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "?";
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const struct sockaddr_in *)address;
        inet_ntop(AF_INET, &in->sin_addr, host, sizeof host);
        snprintf(text, size, "%s:%u", host, ntohs(in->sin_port));
        return;
    }
    const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)address;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        inet_ntop(AF_INET, &in6->sin6_addr.s6_addr[12], host, sizeof host);
        snprintf(text, size, "%s:%u", host, ntohs(in6->sin6_port));
        return;
    }
    inet_ntop(AF_INET6, &in6->sin6_addr, host, sizeof host);
    snprintf(text, size, "[%s]:%u", host, ntohs(in6->sin6_port));
}

static void
name_peer(int fd, char *text, size_t size)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;
    snprintf(text, size, "unknown");
    if (getpeername(fd, (struct sockaddr *)&address, &length) == -1)
        return;
    if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
        name_inet(&address, text, size);
        return;
    }
    struct ucred who;
    socklen_t who_size = sizeof who;
    if (address.ss_family == AF_UNIX && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_size) == 0)
        snprintf(text, size, "ipc uid %u pid %d", who.uid, who.pid);
}

static void
check_total(watch_t *self)
{
    bool full = self->total_limit && self->total >= self->total_limit;
    if (full == self->total_full)
        return;
    self->total_full = full;
    self->on_total_full(full, self->total_arg);
}

static void
count_connections(watch_side_t *side)
{
    side->watch->total += side->count - side->in_total;
    side->in_total = side->count;
    check_total(side->watch);
    counter_set(&side->counters->connections, side->count);
    bool full = side->limit && side->count >= side->limit;
    if (full == side->full)
        return;
    side->full = full;
    if (side->on_full)
        side->on_full(full, side->arg);
}

static uint32_t
bytes_received(const watch_t *self, int fd)
{
    if (self->counted)
        return (uint32_t)self->counted(fd);
    struct tcp_info info = { 0 };
    socklen_t size = sizeof info;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) == 0 ? (uint32_t)info.tcpi_bytes_received : 0;
}

// False: it may not stay.
static bool
take_expected(const watch_t *self, peer_t *peer)
{
    for (unsigned i = 0; i < EXPECTED && peer->inode; i++) {
        if (self->expected[i].inode != peer->inode)
            continue;
        if (!self->expected[i].user)
            return false;
        free(peer->user);
        peer->user = xstrdup(self->expected[i].user);
    }
    return true;
}

static void
expect(watch_t *self, ino_t inode, const char *user)
{
    expected_t *expected = &self->expected[self->last_expected++ % EXPECTED];
    free(expected->user);
    *expected = (expected_t){ inode, xstrdup(user) };
}

static void
remove_at(watch_side_t *side, size_t i)
{
    log_event(EVENT_CLIENT_GONE, EVENT_TEXT("route", side->route), EVENT_TEXT("side", side_name(side->side)),
              EVENT_NUMBER("client", side->peers[i].id), EVENT_TEXT("peer", side->peers[i].peer),
              EVENT_TEXT("user", side->peers[i].user));
    free(side->peers[i].user);
    memmove(&side->peers[i], &side->peers[i + 1], (side->count - i - 1) * sizeof side->peers[i]);
    side->count--;
    counter_add(&side->counters->disconnections, 1);
    count_connections(side);
}

static void
remove_peer(watch_side_t *side, int fd)
{
    for (size_t i = 0; i < side->count; i++)
        if (side->peers[i].fd == fd) {
            remove_at(side, i);
            return;
        }
}

// With several I/O threads a connection may end before the event that it was
// accepted, and is then taken for who has its descriptor now. What that one was
// named is returned.
static char *
remove_phantom(watch_side_t *side, int fd, ino_t inode)
{
    char *user = NULL;
    for (size_t i = side->count; i-- > 0;) {
        peer_t *peer = &side->peers[i];
        if (peer->fd != fd)
            continue;
        if (peer->inode == inode && !user) {
            user = peer->user;
            peer->user = NULL;
        }
        remove_at(side, i);
    }
    return user;
}

static void
add_peer(watch_side_t *side, int fd, bool outgoing)
{
    ino_t inode = peername_inode(fd);
    char *user = remove_phantom(side, fd, inode);
    mem_grow(side->peers, side->count, side->room);
    peer_t *peer = &side->peers[side->count++];
    *peer = (peer_t){ .id = ++side->watch->last_id, .fd = fd, .outgoing = outgoing, .since_wall_ns = clock_wall_ns() };
    peer->inode = inode;
    peer->user = user;
    peer->noted = bytes_received(side->watch, fd);
    name_peer(fd, peer->peer, sizeof peer->peer);
    counter_add(&side->counters->accepted, 1);
    count_connections(side);
    if (!take_expected(side->watch, peer) || (side->turned_away && peer->inode))
        shutdown(fd, SHUT_RDWR);
    else if (side->half_closed && peer->inode) {
        peer->half_closed = true;
        shutdown(fd, SHUT_WR);
    }
    log_event(outgoing ? EVENT_CLIENT_REACHED : EVENT_CLIENT_CONNECTED, EVENT_TEXT("route", side->route),
              EVENT_TEXT("side", side_name(side->side)), EVENT_NUMBER("client", peer->id), EVENT_TEXT("peer", peer->peer));
}

// Does it send? Asked once a round, so that a drain knows who did in the last seconds: whoever is not scheduled looks silent.
static void
note_activity(const watch_t *self, peer_t *peer)
{
    uint32_t bytes = bytes_received(self, peer->fd);
    peer->sends = bytes - peer->noted > HELLO_BYTES;
    peer->noted = bytes;
}

// zmq_unbind and zmq_disconnect end connections without an event: a few of the
// peers are looked at every round, so that nobody stays in the list for ever.
static void
look_at_some(watch_side_t *side)
{
    for (size_t n = side->count < LOOKS ? side->count : LOOKS; n > 0 && side->count > 0; n--) {
        if (side->looked >= side->count)
            side->looked = 0;
        if (is_still(&side->peers[side->looked]))
            note_activity(side->watch, &side->peers[side->looked++]);
        else
            remove_at(side, side->looked);
    }
}

// --- events ------------------------------------------------------------------

static void
handshake_failed(watch_side_t *side, handshake_reason_t reason, uint32_t value)
{
    log_event(EVENT_HANDSHAKE_FAILED, EVENT_TEXT("route", side->route), EVENT_TEXT("side", side_name(side->side)),
              EVENT_TEXT("reason", handshake_reason_name(reason)), EVENT_NUMBER("code", value));
    counter_add(&side->counters->handshake_failures[reason], 1); // who sees the number finds the line
}

static void
on_event(watch_side_t *side, uint16_t event, uint32_t value)
{
    switch (event) {
    case ZMQ_EVENT_ACCEPTED:
        add_peer(side, (int)value, false);
        break;
    case ZMQ_EVENT_CONNECTED:
        add_peer(side, (int)value, true);
        break;
    case ZMQ_EVENT_DISCONNECTED:
        remove_peer(side, (int)value);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH:
        handshake_failed(side, HANDSHAKE_AUTH, value);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
        handshake_failed(side, HANDSHAKE_PROTOCOL, value);
        break;
    case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
        handshake_failed(side, HANDSHAKE_OTHER, value);
        break;
    case ZMQ_EVENT_ACCEPT_FAILED:
        // Where two routes share a listener, while one takes over, the other was faster.
        if (value == EAGAIN)
            break;
        log_event(EVENT_ACCEPT_FAILED, EVENT_TEXT("route", side->route), EVENT_TEXT("side", side_name(side->side)),
                  EVENT_PROSE("reason", zmq_strerror((int)value)));
        break;
    default:
        break;
    }
}

// One event is two frames, zmq_socket_monitor(3): 16 bit event, 32 bit value; endpoint. False: no more now.
static bool
read_event(watch_side_t *side, uint16_t *event)
{
    zmq_msg_t frame;
    zmq_msg_init(&frame);
    bool got = zmq_msg_recv(&frame, side->monitor, ZMQ_DONTWAIT) != -1;
    if (got && zmq_msg_size(&frame) >= 6) {
        uint32_t value;
        const char *data = zmq_msg_data(&frame);
        memcpy(event, data, sizeof *event);
        memcpy(&value, data + sizeof *event, sizeof value);
        on_event(side, *event, value);
    }
    while (got && zmq_msg_more(&frame) && zmq_msg_recv(&frame, side->monitor, ZMQ_DONTWAIT) != -1) {
    }
    zmq_msg_close(&frame);
    return got;
}

static void
free_side(watch_t *self, watch_side_t *side)
{
    for (watch_side_t **at = &self->sides; *at; at = &(*at)->next)
        if (*at == side) {
            *at = side->next;
            break;
        }
    epoll_ctl(self->epoll, EPOLL_CTL_DEL, side->monitor_fd, NULL);
    zmq_close(side->monitor);
    while (side->count > 0)
        remove_peer(side, side->peers[side->count - 1].fd);
    free(side->peers);
    free(side->route);
    free(side);
}

// Edge-triggered: read until there is nothing, as zmq_getsockopt(3) asks of ZMQ_FD.
static void
read_events(watch_side_t *side)
{
    uint16_t event = 0;
    while (!side->over && read_event(side, &event))
        side->over = event == ZMQ_EVENT_MONITOR_STOPPED;
}

static void
read_all(watch_t *self)
{
    uint64_t ignored;
    ssize_t rc = read(self->wake, &ignored, sizeof ignored);
    (void)rc;
    for (watch_side_t *side = self->sides; side; side = side->next)
        read_events(side);
}

static void
sweep(watch_t *self)
{
    for (watch_side_t *side = self->sides, *next; side; side = next) {
        next = side->next;
        if (side->over && side->removed)
            free_side(self, side);
    }
}

// --- doors -------------------------------------------------------------------

// Once only, until the next round: whoever is slow to open is not asked without end.
static int
listen_at(watch_t *self, door_t *door, int operation)
{
    struct epoll_event on_knock = { .events = EPOLLIN | EPOLLONESHOT, .data.ptr = door };
    return epoll_ctl(self->doors_epoll, operation, door->fd, &on_knock);
}

static void
answer_doors(watch_t *self)
{
    struct epoll_event knocks[64];
    int n = epoll_wait(self->doors_epoll, knocks, 64, 0);
    for (int i = 0; i < n; i++) {
        const door_t *door = knocks[i].data.ptr;
        door->knock(door->arg);
    }
}

int
watch_door(watch_t *self, int fd, void (*knock)(void *arg), void *arg)
{
    door_t *door = xcalloc(1, sizeof *door);
    *door = (door_t){ .fd = fd, .knock = knock, .arg = arg };
    pthread_mutex_lock(&self->lock);
    int rc = listen_at(self, door, EPOLL_CTL_ADD), error = errno;
    if (rc == 0) {
        door->next = self->doors;
        self->doors = door;
    } else
        free(door);
    pthread_mutex_unlock(&self->lock);
    errno = error;
    return rc;
}

void
watch_door_gone(watch_t *self, int fd)
{
    pthread_mutex_lock(&self->lock);
    for (door_t **at = &self->doors; *at; at = &(*at)->next)
        if ((*at)->fd == fd) {
            door_t *door = *at;
            *at = door->next;
            epoll_ctl(self->doors_epoll, EPOLL_CTL_DEL, fd, NULL);
            free(door);
            break;
        }
    pthread_mutex_unlock(&self->lock);
}

// --- the thread --------------------------------------------------------------

// Once a round, however often events wake the thread.
static void
look(watch_t *self)
{
    int64_t now = clock_mono_ms();
    if (now - self->looked_ms < ROUND_MS)
        return;
    self->looked_ms = now;
    for (watch_side_t *side = self->sides; side; side = side->next)
        look_at_some(side);
    for (door_t *door = self->doors; door; door = door->next)
        listen_at(self, door, EPOLL_CTL_MOD);
}

static void *
watch_thread(void *arg)
{
    watch_t *self = arg;
    struct epoll_event ready[64];
    pthread_setname_np(pthread_self(), "zb:watch");
    while (!atomic_load(&self->stopping)) {
        int n = epoll_wait(self->epoll, ready, 64, ROUND_MS);
        atomic_store(&self->round_ms, clock_mono_ms());
        pthread_mutex_lock(&self->lock);
        for (int i = 0; i < n; i++) {
            if (ready[i].data.ptr == self)
                answer_doors(self);
            else if (ready[i].data.ptr)
                read_events(ready[i].data.ptr);
            else
                read_all(self);
        }
        look(self);
        sweep(self);
        pthread_mutex_unlock(&self->lock);
    }
    return NULL;
}

static void
wake(watch_t *self)
{
    ssize_t rc = write(self->wake, &(uint64_t){ 1 }, sizeof(uint64_t));
    (void)rc;
}

// --- for the others -----------------------------------------------------------

watch_t *
watch_new(void *ctx)
{
    watch_t *self = xcalloc(1, sizeof *self);
    self->ctx = ctx;
    self->round_ms = clock_mono_ms();
    pthread_mutex_init(&self->lock, NULL);
    self->epoll = epoll_create1(EPOLL_CLOEXEC);
    self->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    self->doors_epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event on_wake = { .events = EPOLLIN, .data.ptr = NULL };
    struct epoll_event on_door = { .events = EPOLLIN, .data.ptr = self };
    if (self->epoll == -1 || self->wake == -1 || self->doors_epoll == -1
        || epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->wake, &on_wake) == -1
        || epoll_ctl(self->epoll, EPOLL_CTL_ADD, self->doors_epoll, &on_door) == -1)
        goto failed;
    errno = pthread_create(&self->thread, NULL, watch_thread, self);
    if (errno == 0)
        return self;
failed:
    if (self->epoll != -1)
        close(self->epoll);
    if (self->wake != -1)
        close(self->wake);
    if (self->doors_epoll != -1)
        close(self->doors_epoll);
    free(self);
    return NULL;
}

static void *
open_monitor(watch_t *self, void *socket)
{
    char name[64];
    snprintf(name, sizeof name, "inproc://watch-%u", ++self->last_name);
    if (zmq_socket_monitor(socket, name, EVENTS) == -1)
        return NULL;
    int zero = 0;
    void *monitor = zmq_socket(self->ctx, ZMQ_PAIR);
    if (!monitor)
        return NULL;
    zmq_setsockopt(monitor, ZMQ_LINGER, &zero, sizeof zero);
    zmq_setsockopt(monitor, ZMQ_RCVHWM, &zero, sizeof zero);
    if (zmq_connect(monitor, name) == 0)
        return monitor;
    zmq_close(monitor);
    return NULL;
}

watch_side_t *
watch_add(watch_t *self, void *socket, const char *route, side_t which, side_counters_t *counters)
{
    pthread_mutex_lock(&self->lock);
    void *monitor = open_monitor(self, socket);
    watch_side_t *side = NULL;
    if (monitor) {
        side = xcalloc(1, sizeof *side);
        *side = (watch_side_t){ .watch = self, .monitor = monitor, .side = which, .counters = counters };
        side->route = xstrdup(route);
        size_t size = sizeof side->monitor_fd;
        zmq_getsockopt(monitor, ZMQ_FD, &side->monitor_fd, &size);
        side->next = self->sides;
        self->sides = side;
        struct epoll_event on_event_ready = { .events = EPOLLIN, .data.ptr = side };
        epoll_ctl(self->epoll, EPOLL_CTL_ADD, side->monitor_fd, &on_event_ready);
    }
    pthread_mutex_unlock(&self->lock);
    if (side)
        wake(self); // what came before the descriptor was watched
    return side;
}

void
watch_remove(watch_t *self, watch_side_t **side_p)
{
    static side_counters_t nobodys; // whoever is still connected has been counted as gone
    watch_side_t *side = *side_p;
    if (!side)
        return;
    pthread_mutex_lock(&self->lock);
    side->removed = true;
    if (side->full && side->on_full) // whoever takes over accepts
        side->on_full(false, side->arg);
    side->on_full = NULL;
    counter_set(&side->counters->connections, 0);
    counter_add(&side->counters->disconnections, side->count);
    side->counters = &nobodys;
    pthread_mutex_unlock(&self->lock);
    wake(self);
    *side_p = NULL;
}

void
watch_count_with(watch_t *self, uint64_t (*counted)(int fd))
{
    self->counted = counted;
}

// False: there is something to read.
static bool
look_at_input(const watch_t *self, peer_t *peer)
{
    int waiting = 0;
    uint32_t bytes = bytes_received(self, peer->fd);
    bool nothing = ioctl(peer->fd, SIOCINQ, &waiting) == -1 || waiting == 0;
    if (nothing && peer->looked_at && bytes == peer->bytes) {
        peer->still++;
        return true;
    }
    peer->sends |= peer->looked_at || bytes - peer->noted > HELLO_BYTES;
    peer->looked_at = true;
    peer->bytes = bytes;
    peer->still = 0;
    peer->moved_ms = clock_mono_ms();
    return nothing;
}

// What came in and was not taken is the same after each whole message, and more in the middle of one: the least of it
// that was ever seen. True if it is that now, and was so before; when more had come in since, if that has to be.
static bool
is_whole(peer_t *peer, uint32_t taken, bool since)
{
    uint32_t rest = peer->bytes - taken;
    if (peer->rest_known && rest == peer->rest)
        return !since || peer->bytes != peer->rest_at;
    peer->misses += peer->still == STILL_LOOKS;
    if (!peer->rest_known || (int32_t)(rest - peer->rest) < 0 || peer->misses > MISSES) {
        peer->rest_known = true;
        peer->rest = rest;
        peer->rest_at = peer->bytes;
        peer->misses = 0;
    }
    return false;
}

static bool
may_go(peer_t *peer, close_care_t care, uint32_t taken)
{
    if (care == CLOSE_IDLE)
        return peer->still >= STILL_LOOKS;
    int64_t silent_ms = clock_mono_ms() - peer->moved_ms;
    if (peer->bytes == 0) // nobody counts there
        return silent_ms >= SILENT_MS;
    // Just after a burst the next one is furthest away. Who has sent nothing for a while may go at any time.
    if (peer->still <= STILL_LOOKS)
        return is_whole(peer, taken, true);
    return silent_ms >= (peer->sends ? SILENT_SENDER_MS : SILENT_MS) && is_whole(peer, taken, false);
}

size_t
watch_half_close(watch_side_t *side, close_care_t care, const uint32_t *taken, size_t taken_count)
{
    size_t left = 0;
    pthread_mutex_lock(&side->watch->lock);
    read_events(side); // who came before this moment is no newcomer, however late the watch thread hears of it
    side->half_closed = true;
    for (size_t i = 0; i < side->count; i++) {
        peer_t *peer = &side->peers[i];
        if (peer->half_closed || !is_still(peer))
            continue;
        bool read = look_at_input(side->watch, peer);
        uint32_t messages = (size_t)peer->fd < taken_count ? taken[peer->fd] : 0;
        if (care == CLOSE_ALL || (read && may_go(peer, care, messages))) {
            peer->half_closed = true;
            shutdown(peer->fd, SHUT_WR);
        } else
            left++;
    }
    pthread_mutex_unlock(&side->watch->lock);
    return left;
}

void
watch_turn_away(watch_side_t *side)
{
    pthread_mutex_lock(&side->watch->lock);
    read_events(side);
    side->turned_away = true;
    pthread_mutex_unlock(&side->watch->lock);
}

size_t
watch_connections(watch_side_t *side)
{
    pthread_mutex_lock(&side->watch->lock);
    read_events(side);
    size_t count = side->count;
    pthread_mutex_unlock(&side->watch->lock);
    return count;
}

void
watch_limit(watch_side_t *side, size_t limit, void (*on_full)(bool full, void *arg), void *arg)
{
    pthread_mutex_lock(&side->watch->lock);
    side->limit = limit;
    side->on_full = on_full;
    side->arg = arg;
    count_connections(side);
    pthread_mutex_unlock(&side->watch->lock);
}

void
watch_limit_all(watch_t *self, size_t limit, void (*on_full)(bool full, void *arg), void *arg)
{
    pthread_mutex_lock(&self->lock);
    self->total_limit = limit;
    self->on_total_full = on_full;
    self->total_arg = arg;
    check_total(self);
    pthread_mutex_unlock(&self->lock);
}

static int
by_id(const void *a, const void *b)
{
    const client_t *left = a, *right = b;
    return left->id < right->id ? -1 : left->id > right->id;
}

static void
fill_client(client_t *client, const watch_side_t *side, const peer_t *peer)
{
    *client = (client_t){ .id = peer->id, .side = side->side, .outgoing = peer->outgoing, .fd = peer->fd };
    client->route = xstrdup(side->route);
    client->since_wall_ns = peer->since_wall_ns;
    snprintf(client->peer, sizeof client->peer, "%s", peer->peer);
    snprintf(client->user, sizeof client->user, "%s", peer->user ? peer->user : "");
    client->unsure = side->nameless && !peer->user;
    int waiting = 0;
    client->backlog_bytes = is_still(peer) && ioctl(peer->fd, SIOCOUTQ, &waiting) == 0 ? waiting : -1;
}

void
watch_each(watch_t *self, const char *route, void (*fn)(const client_t *client, void *arg), void *arg)
{
    client_t *clients = NULL;
    size_t count = 0, room = 0;
    pthread_mutex_lock(&self->lock);
    for (watch_side_t *side = self->sides; side; side = side->next) {
        if (side->removed || (route && strcmp(route, side->route) != 0))
            continue;
        for (size_t i = 0; i < side->count; i++) {
            mem_grow(clients, count, room);
            fill_client(&clients[count++], side, &side->peers[i]);
        }
    }
    pthread_mutex_unlock(&self->lock);
    if (count)
        qsort(clients, count, sizeof *clients, by_id);
    for (size_t i = 0; i < count; i++) {
        fn(&clients[i], arg);
        free((char *)clients[i].route);
    }
    free(clients);
}

static bool
cut(const peer_t *peer)
{
    return is_still(peer) && shutdown(peer->fd, SHUT_RDWR) == 0;
}

int
watch_kick(watch_t *self, const char *route, uint64_t id)
{
    int rc = -1;
    pthread_mutex_lock(&self->lock);
    for (watch_side_t *side = self->sides; side; side = side->next) {
        if (strcmp(route, side->route) != 0)
            continue;
        for (size_t i = 0; i < side->count; i++)
            if (side->peers[i].id == id && cut(&side->peers[i]))
                rc = 0;
    }
    pthread_mutex_unlock(&self->lock);
    return rc;
}

static peer_t *
find_peer(watch_side_t *side, ino_t inode)
{
    for (size_t i = side->count; i-- > 0;) // the newest comes last
        if (side->peers[i].inode == inode)
            return &side->peers[i];
    return NULL;
}

// A route that is re-created has an old and a new side of the same name for a while.
void
watch_user(watch_t *self, const char *route, side_t which, ino_t inode, const char *user)
{
    peer_t *peer = NULL;
    pthread_mutex_lock(&self->lock);
    for (watch_side_t *side = self->sides; side && !peer; side = side->next) {
        if (side->removed || side->side != which || strcmp(route, side->route) != 0)
            continue;
        side->nameless |= !inode;
        read_events(side); // the newcomer itself may still be in the queue
        peer = inode ? find_peer(side, inode) : NULL;
    }
    if (peer) {
        free(peer->user);
        peer->user = xstrdup(user);
    } else if (inode)
        expect(self, inode, user);
    pthread_mutex_unlock(&self->lock);
}

void
watch_forget_expected(watch_t *self)
{
    pthread_mutex_lock(&self->lock);
    for (unsigned i = 0; i < EXPECTED; i++) {
        free(self->expected[i].user);
        self->expected[i].user = NULL;
    }
    pthread_mutex_unlock(&self->lock);
}

int64_t
watch_age_ms(const watch_t *self)
{
    return clock_mono_ms() - atomic_load(&((watch_t *)self)->round_ms);
}

void
watch_destroy(watch_t **self_p)
{
    watch_t *self = *self_p;
    if (!self)
        return;
    atomic_store(&self->stopping, true);
    wake(self);
    pthread_join(self->thread, NULL);
    while (self->sides)
        free_side(self, self->sides);
    for (unsigned i = 0; i < EXPECTED; i++)
        free(self->expected[i].user);
    close(self->epoll);
    close(self->wake);
    close(self->doors_epoll);
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}
