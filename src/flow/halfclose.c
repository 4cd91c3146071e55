// SPDX-License-Identifier: MPL-2.0
// halfclose.c - watch_half_close of watch.h: which connections can be closed
// without cutting a message in two.

#include "base/clock.h"
#include "flow/peers.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#define STILL_LOOKS 2 // without another byte: libzmq's clients write 8 KiB after 8 KiB, some 20 us apart
#define SILENT_MS 40  // a client that is not scheduled looks silent too
#define SILENT_SENDER_MS 250
#define MISSES 16     // then something comes in that is no message: the least is looked for anew

// False: there is something to read.
static bool
look_at_input(const watch_t *self, peer_t *peer)
{
    int waiting = 0;
    uint32_t bytes = peer_bytes(self, peer->fd);
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
    watch_read_events(side); // who came before this moment is no newcomer, however late the watch thread hears of it
    side->half_closed = true;
    for (size_t i = 0; i < side->count; i++) {
        peer_t *peer = &side->peers[i];
        if (peer->half_closed || !peer_is_still(peer))
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
