// SPDX-License-Identifier: MPL-2.0
#include "wire/terms.h"

#include "base/hash.h"
#include "base/mem.h"

#include <string.h>

static void
mix(uint64_t *terms, const void *bytes, size_t size)
{
    uint64_t both[] = { *terms, hash_bytes(bytes, size) };
    *terms = hash_bytes(both, sizeof both);
}

static void
mix_word(uint64_t *terms, const char *word)
{
    mix(terms, word, word ? strlen(word) + 1 : 0);
}

// What peers are told when they come.
static void
mix_told(uint64_t *terms, const side_conf_t *side)
{
    static const char *const told[] = { "routing_id", "connect_routing_id", "subscribe", "xpub_welcome_msg" };
    for (size_t i = 0; i < side->option_count; i++)
        for (size_t j = 0; j < COUNT(told); j++)
            if (strcmp(side->options[i].option->key, told[j]) == 0)
                mix_word(terms, side->options[i].value.text);
}

// Who may come in, with which keys, and what they are told, as one number: it holds secrets. The certificate of a server
// is for those who come: who is there has proven that it knows the one before.
static uint64_t
terms_of(const side_conf_t *side, const admission_secrets_t *secrets)
{
    const security_conf_t *security = &side->security;
    const char *const words[] = { security->client_cert, security->peer_cert, security->plain_username,
                                  security->plain_password };
    uint64_t terms = 0;
    mix(&terms, &side->type, sizeof side->type);
    mix(&terms, &security->mechanism, sizeof security->mechanism);
    for (size_t i = 0; i < COUNT(words); i++)
        mix_word(&terms, words[i]);
    mix_told(&terms, side);
    if (secrets && side_is_client(side)) {
        mix(&terms, secrets->public_key, sizeof secrets->public_key);
        mix(&terms, secrets->peer_key, sizeof secrets->peer_key);
    }
    return terms;
}

void
terms_note(wport_t *port)
{
    if (port->terms == 0)
        port->terms = terms_of(port->conf, port->secrets);
}

// Those of the policy in force.
uint64_t
terms_wanted(const wport_t *port, const side_conf_t *wanted)
{
    const admission_t *guard = port->wire->resources->admission;
    const admission_secrets_t *secrets = guard ? guard->secrets(guard->arg, port->wire->name, port->side) : NULL;
    uint64_t terms = terms_of(wanted, secrets);
    if (secrets)
        guard->secrets_free(&secrets);
    return terms;
}
