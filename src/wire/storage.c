// SPDX-License-Identifier: MPL-2.0
#include "wire/storage.h"

#include "base/log.h"

_Static_assert(STORE_BUCKETS == COMMIT_BUCKETS, "commits are counted as the store counts them");

// --- opening ---------------------------------------------------------------------------

store_conf_t
storage_conf(const wire_t *wire)
{
    const route_conf_t *conf = wire->conf;
    return (store_conf_t){ .folder = conf->store_dir,
                           .max_bytes = (uint64_t)conf->store_max,
                           .drop_oldest = conf->store_drops_oldest,
                           .commit_ms = conf->store_commit_ms,
                           .dedupe_ms = conf->dedupe_ms };
}

static void *
take_block(void *arg, size_t size, uint8_t **data)
{
    chunk_t *chunk = chunk_new(arg, size);
    *data = chunk->data;
    return chunk;
}

static void
drop_block(void *block)
{
    chunk_drop(block);
}

store_memory_t
storage_memory(wire_t *wire)
{
    return (store_memory_t){ &wire->pool, take_block, drop_block };
}

// --- log and counters --------------------------------------------------------------------

static void
say_state(const wire_t *wire, const store_figures_t *told, const store_figures_t *now)
{
    const char *const reasons[] = { [STORE_FULL] = "store_max is reached",
                                    [STORE_NO_DISK] = "its file system is full",
                                    [STORE_FAILED] = store_error(now->error) };
    if (told->state == STORE_OPENING && now->state != STORE_OPENING)
        log_event(EVENT_STORE_OPENED, EVENT_TEXT("route", wire->name), EVENT_TEXT("folder", wire->conf->store_dir),
                  EVENT_NUMBER("messages", now->messages), EVENT_NUMBER("bytes", now->bytes));
    if (now->state >= STORE_FULL)
        log_event(EVENT_STORE_STOPPED, EVENT_TEXT("route", wire->name), EVENT_PROSE("reason", reasons[now->state]));
    else if (told->state >= STORE_FULL)
        log_event(EVENT_STORE_ROOM, EVENT_TEXT("route", wire->name));
}

static void
say(const wire_t *wire, const store_figures_t *told, const store_figures_t *now)
{
    if (now->state != told->state)
        say_state(wire, told, now);
    if (now->corrupt > told->corrupt)
        log_event(EVENT_STORE_DAMAGED, EVENT_TEXT("route", wire->name),
                  EVENT_NUMBER("messages", now->corrupt - told->corrupt));
}

void
storage_tell(const wire_t *wire, const store_t *store, store_figures_t *told)
{
    store_figures_t now;
    store_counters_t *counters = &wire->counters->store;
    store_figures(store, &now);
    say(wire, told, &now);
    counter_set(&counters->state, now.state);
    counter_set(&counters->messages, now.messages);
    counter_set(&counters->bytes, now.bytes);
    counter_set(&counters->files, now.files);
    counter_set(&counters->oldest_ns, (uint64_t)now.oldest_ns);
    counter_add(&counters->corrupt, now.corrupt - told->corrupt);
    counter_add(&counters->commit_ns, now.commit_ns - told->commit_ns);
    counter_add(&wire->counters->dropped[DROP_EXPIRED], now.expired - told->expired);
    for (unsigned i = 0; i < STORE_BUCKETS; i++)
        counter_add(&counters->commits[i], now.commits[i] - told->commits[i]);
    *told = now;
}
