// SPDX-License-Identifier: MPL-2.0
// nojetstream.c - jetstream.h where there is no libnats: no route with a stream passes the check of its configuration.
#include "store/jetstream.h"

#include <errno.h>
#include <stdlib.h>

jetstream_t *
jetstream_open(const jetstream_setup_t *setup)
{
    (void)setup;
    errno = ENOSYS;
    return NULL;
}

void
jetstream_begin(jetstream_t *self, const jetstream_place_t *place)
{
    (void)self;
    (void)place;
}

void
jetstream_place(jetstream_t *self, jetstream_place_t *place)
{
    (void)self;
    *place = (jetstream_place_t){ 0 };
}

void
jetstream_hush(jetstream_t *self, int64_t wait_ms)
{
    (void)self;
    (void)wait_ms;
}

void
jetstream_end(jetstream_t *self, int64_t wait_ms)
{
    (void)self;
    (void)wait_ms;
}

void
jetstream_close(jetstream_t **self_p)
{
    (void)self_p;
}

size_t
jetstream_most(jetstream_t *self)
{
    (void)self;
    return 0;
}

bool
jetstream_has_room(jetstream_t *self, size_t size)
{
    (void)self;
    (void)size;
    return false;
}

void
jetstream_publish(jetstream_t *self, const jetstream_piece_t *piece)
{
    (void)self;
    (void)piece;
    abort();
}

bool
jetstream_settled(jetstream_t *self, uint64_t *sequence, jetstream_outcome_t *outcome)
{
    (void)self;
    (void)sequence;
    (void)outcome;
    return false;
}

void
jetstream_want(jetstream_t *self, uint32_t wanted)
{
    (void)self;
    (void)wanted;
}

jetstream_message_t *
jetstream_take(jetstream_t *self)
{
    (void)self;
    return NULL;
}

void
jetstream_look(const jetstream_t *self, const jetstream_message_t *message, jetstream_arrival_t *arrival)
{
    (void)self;
    (void)message;
    (void)arrival;
    abort();
}

void
jetstream_hold(jetstream_t *self, jetstream_message_t *message)
{
    (void)self;
    (void)message;
}

void
jetstream_keep(jetstream_t *self, const jetstream_message_t *message)
{
    (void)self;
    (void)message;
}

void
jetstream_save(const jetstream_t *self, const jetstream_message_t *message, bool whole, record_t *to)
{
    (void)self;
    (void)message;
    (void)whole;
    (void)to;
    abort();
}

jetstream_message_t *
jetstream_restore(jetstream_t *self, record_fields_t from, bool held)
{
    (void)self;
    (void)from;
    (void)held;
    return NULL;
}

void
jetstream_forget(jetstream_t *self, jetstream_message_t **message_p)
{
    (void)self;
    *message_p = NULL;
}

void
jetstream_done(jetstream_t *self, jetstream_message_t **message_p, bool done)
{
    (void)self;
    (void)done;
    *message_p = NULL;
}

void
jetstream_state(jetstream_t *self, jetstream_state_t *state)
{
    (void)self;
    *state = (jetstream_state_t){ .failed = true };
}
