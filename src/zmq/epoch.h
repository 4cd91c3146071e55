// SPDX-License-Identifier: MPL-2.0
// epoch.h - routing ids of a queue.
//
// libzmq numbers its clients from the same start in every process, so a worker
// that still holds a request from before a restart would answer a stranger. The
// id that goes down carries this process's epoch; what comes up without is dropped.

#ifndef ZB_EPOCH_H
#define ZB_EPOCH_H

#include "zmq/forward.h"

#include <string.h>

#define EPOCH_SIZE 8

// MARKED is initialised here.
static inline void
add_epoch(const forward_t *self, zmq_msg_t *id, zmq_msg_t *marked)
{
    size_t size = zmq_msg_size(id);
    zmq_msg_init_size(marked, size + EPOCH_SIZE);
    char *data = zmq_msg_data(marked);
    memcpy(data, zmq_msg_data(id), size);
    memcpy(data + size, self->epoch, EPOCH_SIZE);
}

// PLAIN is initialised here if the epoch is ours; else false.
static inline bool
remove_epoch(const forward_t *self, zmq_msg_t *id, zmq_msg_t *plain)
{
    size_t size = zmq_msg_size(id);
    const char *data = zmq_msg_data(id);
    if (size <= EPOCH_SIZE || memcmp(data + size - EPOCH_SIZE, self->epoch, EPOCH_SIZE) != 0)
        return false;
    zmq_msg_init_size(plain, size - EPOCH_SIZE);
    memcpy(zmq_msg_data(plain), data, size - EPOCH_SIZE);
    return true;
}

static inline bool
exchange_id(const forward_t *self, lane_kind_t kind, zmq_msg_t *id)
{
    zmq_msg_t other;
    if (kind == LANE_REQUEST)
        add_epoch(self, id, &other);
    else if (!remove_epoch(self, id, &other))
        return false;
    zmq_msg_move(id, &other);
    zmq_msg_close(&other);
    return true;
}

#endif
