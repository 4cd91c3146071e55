// SPDX-License-Identifier: MPL-2.0
// ledger.h - where the messages of acknowledged producers and workers are, and what is
// said of them: the route's store, or its outbox and its stream on a NATS server. One
// record each. A message has the number under which it came.
//
// A store counts a try when it is told of it, and the try may begin when that is on the
// disk. A stream has counted it before it gave the message out, and gives it out for the
// next one itself, to any machine.

#ifndef ZB_WIRE_LEDGER_H
#define ZB_WIRE_LEDGER_H

#include "flow/letters.h"
#include "store/store.h"
#include "wire/internal.h"

struct ledger {
    store_t *(*store)(const wire_t *wire); // into which goes what comes in
    store_put_t (*put)(wire_t *wire, const store_put_in_t *message, uint64_t *sequence);
    // Many of one owner at once: see store_put_each. NULL: only one by one.
    uint32_t (*put_each)(wire_t *wire, const void *who, size_t who_size, const store_put_in_t *messages, uint32_t count,
                         store_was_put_t *put);
    uint64_t (*safe)(
        const wire_t *wire); // what is below this sequence is where it has to be: on the disk, or in the stream

    void (*done)(wire_t *wire, uint64_t number);
    void (*try)(wire_t *wire, uint64_t number, uint32_t tries); // it is given out so often
    // How much was said so far, and how much of that holds whatever happens.
    uint64_t (*said)(const wire_t *wire);
    uint64_t (*reached)(const wire_t *wire);
    bool (*gives_again)(wire_t *wire, uint64_t number); // for the next try; false: whoever asks does so himself
    // At the end, of a message that nobody got: it was not tried, and is not done.
    void (*untry)(wire_t *wire, uint64_t number, uint32_t tries);
    void (*undo)(wire_t *wire, uint64_t number);

    // Handing over a message that a worker has: what the ledger of the next route needs of it, and the number that it has
    // there, 0 if it cannot go on. NULL: the store shows it again, under the same number.
    void (*save)(wire_t *wire, uint64_t number, record_t *to);
    uint64_t (*restore)(wire_t *wire, record_fields_t from);

    letterbox_t *(*letters)(const wire_t *wire); // from which dead letters are sent; NULL: there is none
};

#endif
