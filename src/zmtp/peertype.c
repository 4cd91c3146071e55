// SPDX-License-Identifier: MPL-2.0
#include "zmtp/peertype.h"

#include "base/mem.h"

#include <string.h>

#define TO(type) (1U << PEERTYPE_##type)

static const peertype_t types[PEERTYPES] = {
    // number = name, talks to, sends an identity, keeps it
    [PEERTYPE_PAIR] = { "PAIR", TO(PAIR), false, false },
    [PEERTYPE_PUB] = { "PUB", TO(SUB) | TO(XSUB), false, false },
    [PEERTYPE_SUB] = { "SUB", TO(PUB) | TO(XPUB), false, false },
    [PEERTYPE_REQ] = { "REQ", TO(REP) | TO(ROUTER), true, false },
    [PEERTYPE_REP] = { "REP", TO(REQ) | TO(DEALER), false, false },
    [PEERTYPE_DEALER] = { "DEALER", TO(REP) | TO(DEALER) | TO(ROUTER), true, false },
    [PEERTYPE_ROUTER] = { "ROUTER", TO(REQ) | TO(DEALER) | TO(ROUTER), true, true },
    [PEERTYPE_PULL] = { "PULL", TO(PUSH), false, false },
    [PEERTYPE_PUSH] = { "PUSH", TO(PULL), false, false },
    [PEERTYPE_XPUB] = { "XPUB", TO(SUB) | TO(XSUB), false, false },
    [PEERTYPE_XSUB] = { "XSUB", TO(PUB) | TO(XPUB), false, false },
    [PEERTYPE_STREAM] = { "STREAM", 0, false, false },
    [PEERTYPE_SERVER] = { "SERVER", TO(CLIENT), false, false },
    [PEERTYPE_CLIENT] = { "CLIENT", TO(SERVER), false, false },
    [PEERTYPE_RADIO] = { "RADIO", TO(DISH), false, false },
    [PEERTYPE_DISH] = { "DISH", TO(RADIO), false, false },
    [PEERTYPE_GATHER] = { "GATHER", TO(SCATTER), false, false },
    [PEERTYPE_SCATTER] = { "SCATTER", TO(GATHER), false, false },
    [PEERTYPE_DGRAM] = { "DGRAM", TO(DGRAM), false, false },
    [PEERTYPE_PEER] = { "PEER", TO(PEER), false, false },
    [PEERTYPE_CHANNEL] = { "CHANNEL", TO(CHANNEL), false, false },
};

const peertype_t *
peertype_at(int type)
{
    return type >= 0 && type < PEERTYPES ? &types[type] : NULL;
}

int
peertype_find(const void *name, size_t size)
{
    for (int type = 0; type < PEERTYPES; type++)
        if (strlen(types[type].name) == size && memcmp(types[type].name, name, size) == 0)
            return type;
    return -1;
}

bool
peertype_talks(int type, int other)
{
    return peertype_at(type) && peertype_at(other) && (types[type].talks_to >> other & 1);
}
