// SPDX-License-Identifier: MPL-2.0
// ready.h - what is known of the descriptors that libzmq's threads wait for.
//
// libzmq asks the kernel more than it has to. For a message that wakes it, an I/O
// thread wants to be told of room in the connection (epoll_ctl), writes without
// waiting for that (send), hears that there is room (epoll_wait), has nothing more
// to write and wants to hear no more (epoll_ctl). Before and after each read of a
// mailbox it asks whether there is something to read (poll), which epoll_wait has
// just told it. It reads and writes 8 KiB at a time.
//
// And for each message that comes alone it wakes a route's thread, and that one it.
//
// So the executable has its own epoll_ctl, epoll_wait, recv, send, poll, read and
// write, which go before the C library's, and share what they know here:
//
//   epoll.c    a connection that took all of the last write has room until a write
//              says otherwise: the kernel is not asked. And the end of a connection
//              that is held back waits to be read.
//   recv.c     a busy connection is read 128 KiB at a time.
//   send.c     8 KiB of a longer burst wait in the kernel for what follows.
//   mailbox.c  what the kernel has told of a mailbox need not be asked again.
//   signal.c   who has news for a route that sleeps does its work (turn.h), or wakes it
//              once for all that was read ahead.
//
// Each descriptor belongs to one thread at a time: who polls it also reads and
// writes there; a route's goes with its turn. So nothing here is locked.

#ifndef ZB_READY_H
#define ZB_READY_H

#include "flow/turn.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#define READY_BATCH 8192 // what libzmq reads and writes at once, unless told otherwise (in_batch_size, out_batch_size)
#define READY_SIGNAL 8   // and of a mailbox, which is an eventfd(2)

typedef struct ahead ahead_t;

typedef enum {
    MAILBOX_UNKNOWN,
    MAILBOX_SIGNALLED,
    MAILBOX_KEPT, // signalled by the thread that listens, and the kernel does not know
    MAILBOX_EMPTY,
} mailbox_state_t;

typedef struct ready ready_t;

struct ready {
    // Of a descriptor in an epoll set.
    const void *thread; // that added it; NULL: the first
    epoll_data_t data;  // its owner's; the kernel has a tag and the descriptor instead
    uint32_t wanted;    // by its owner
    uint32_t asked;     // of the kernel
    int epoll;
    bool known;
    bool reads;  // it was wanted for reading once: its end is there to be read
    bool parked; // not in the kernel's set

    // Of a connection.
    bool stream;    // something was sent
    bool cut;       // the last send was cut short
    bool blocked;   // it was, and the kernel has not told of room since
    bool corked;    // the last send waits for more
    bool drained;   // the last send was all that there was
    bool full;      // the last receive filled the buffer
    ahead_t *ahead; // what was received and not yet asked for

    // In its thread's list of what may be told without the kernel.
    bool due;
    ready_t *due_next, *due_before;
    uint32_t telling; // the events of that
    uint32_t wait; // the last epoll_wait of which it was an event
    int place;     // and which one

    // Of a mailbox.
    const void *listener; // the thread that knows
    mailbox_state_t mailbox;
    int answers;   // that may still be given of it
    bool slept_on; // nothing is missed by one more: its thread looks again before it sleeps
    _Atomic(turn_t *) turn; // of the route whose socket it belongs to
    _Atomic(void *) what;
};

#define READY_CHUNK 1024u
#define READY_CHUNKS 4096u // descriptors beyond READY_CHUNK * READY_CHUNKS go the kernel's way

extern _Atomic(ready_t *) ready_chunks[READY_CHUNKS];
extern _Thread_local char ready_mark;

// NULL where nothing can be known of it, or is: it then goes the kernel's way.
static inline ready_t *
ready_find(int fd)
{
    unsigned number = (unsigned)fd;
    if (number >= READY_CHUNK * READY_CHUNKS)
        return NULL;
    ready_t *chunk = atomic_load_explicit(&ready_chunks[number / READY_CHUNK], memory_order_acquire);
    return chunk ? &chunk[number % READY_CHUNK] : NULL;
}

// The same, with room made for it. NULL: far beyond what the table holds, or no memory.
ready_t *ready_make(int fd);

// The calling thread's mark. Never read through.
static inline const void *
ready_thread(void)
{
    return &ready_mark;
}

bool ready_is_first_thread(void);

static inline bool
ready_is_mine(const ready_t *self)
{
    return self->known && self->thread == ready_thread();
}

// This thread's descriptor in an epoll set. NULL: not one, or this is the first thread.
static inline ready_t *
ready_mine(int fd)
{
    ready_t *self = ready_find(fd);
    return self && ready_is_mine(self) ? self : NULL;
}

// What is wanted or blocked has changed: tell the kernel what it does not know,
// and remember what can be told without it. As epoll_ctl(2).
int ready_update(ready_t *self, int fd);

// Is this an I/O thread, and not busy? A receive that filled libzmq's batch is work
// enough, until the next epoll_wait.
bool ready_has_time(void);
void ready_note_burst(void);

// The next epoll_wait is to tell of it, without the kernel.
void ready_make_due(ready_t *self);

// Is there something that this thread has received ahead, and will read next?
bool ready_reads_ahead(void);

// Of the signals that this thread keeps (signal.c): is FD's the one that is being
// served, it has been read, and settle them all before the thread sleeps.
bool signal_is_served(int fd);
void signal_is_read(int fd);
void signal_settle(void);

// Forget what was received ahead.
void ready_drop_ahead(ready_t *self);

// What this thread has just learned of a mailbox.
static inline void
ready_note_mailbox(ready_t *self, mailbox_state_t state)
{
    self->listener = ready_thread();
    self->mailbox = state;
    self->answers = self->slept_on ? 2 : 1;
}

#endif
