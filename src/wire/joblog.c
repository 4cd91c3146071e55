// SPDX-License-Identifier: MPL-2.0
#include "wire/joblog.h"

#include "store/store.h"
#include "wire/cluster.h"
#include "wire/deadletters.h"
#include "wire/stored.h"

// What is said goes to the disk, or to the stream, in this round.
void
joblog_done(wire_t *wire, uint64_t number)
{
    wire->made_room = true;
    if (wire->cluster)
        cluster_done(wire, number, true);
    else
        store_done(stored_store(wire), number);
}

void
joblog_try(wire_t *wire, uint64_t number, uint32_t tries)
{
    wire->made_room = true;
    if (!wire->cluster)
        store_try(stored_store(wire), number, tries);
}

uint64_t
joblog_said(const wire_t *wire)
{
    return wire->cluster ? 0 : store_said(stored_store(wire));
}

uint64_t
joblog_reached(const wire_t *wire)
{
    return wire->cluster ? 0 : store_reached(stored_store(wire));
}

bool
joblog_gives_again(wire_t *wire, uint64_t number)
{
    if (wire->cluster)
        cluster_done(wire, number, false);
    return wire->cluster != NULL;
}

void
joblog_untry(wire_t *wire, uint64_t number, uint32_t tries)
{
    if (!wire->cluster)
        store_try(stored_store(wire), number, tries);
    else
        cluster_done(wire, number, false);
}

void
joblog_undo(wire_t *wire, uint64_t number)
{
    if (!wire->cluster)
        store_undo(stored_store(wire), number);
}

letterbox_t *
joblog_letters(const wire_t *wire)
{
    deadletters_t *letters = stored_deadletters(wire);
    return wire->cluster ? cluster_letters(wire) : letters ? deadletters_box(letters) : NULL;
}
