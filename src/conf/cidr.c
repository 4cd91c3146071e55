// SPDX-License-Identifier: MPL-2.0
#include "conf/cidr.h"
#include "base/mem.h"
#include "conf/units.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static bool
is_mapped(const uint8_t address[16])
{
    return memcmp(address, mapped, sizeof mapped) == 0;
}

// TEXT without brackets and zone into 16 bytes. Returns 4, 6, or 0 for no address.
static int
read_address(const char *text, uint8_t address[16])
{
    char host[INET6_ADDRSTRLEN + 1];
    size_t length = strcspn(text, "%");
    if (*text == '[') {
        length = strcspn(++text, "]%");
        if (!strchr(text, ']') || strchr(text, ']')[1] != '\0')
            return 0;
    }
    if (length >= sizeof host)
        return 0;
    memcpy(host, text, length);
    host[length] = '\0';
    if (inet_pton(AF_INET6, host, address) == 1)
        return 6;
    memcpy(address, mapped, sizeof mapped);
    return inet_pton(AF_INET, host, address + 12) == 1 ? 4 : 0;
}

static void
clear_host_bits(cidr_t *net)
{
    for (unsigned bit = net->bits; bit < 128; bit++)
        net->address[bit / 8] &= (uint8_t)~(0x80u >> bit % 8);
}

static int
read_one(const char *word, cidr_t *net, char *reason, size_t size)
{
    char text[80];
    if (strlen(word) >= sizeof text) {
        snprintf(reason, size, "\"%.60s...\" is not an address or network", word);
        return -1;
    }
    snprintf(text, sizeof text, "%s", word);
    char *slash = strchr(text, '/');
    if (slash)
        *slash++ = '\0';
    int family = strchr(text, '%') ? 0 : read_address(text, net->address);
    if (!family) {
        snprintf(reason, size, "\"%s\" is not an address or network, such as 10.0.0.0/8 or fd00::1", word);
        return -1;
    }
    int64_t most = family == 4 ? 32 : 128, bits = most;
    if (slash && (!*slash || slash[strspn(slash, "0123456789")] || units_number(slash, &bits) != 0 || bits > most)) {
        snprintf(reason, size, "\"%s\": the prefix length is 0 to %d", word, (int)most);
        return -1;
    }
    net->bits = (unsigned)(family == 4 ? bits + 96 : bits);
    clear_host_bits(net);
    return 0;
}

// Is there a network and a blank before the end of WORD? Where the blank is, else 0.
static size_t
lone_network(const char *word, size_t size)
{
    char reason[120];
    cidr_t net;
    size_t blank = strcspn(word, " \t,");
    char *first = xstrndup(word, blank);
    bool is_network = blank < size && read_one(first, &net, reason, sizeof reason) == 0;
    free(first);
    return is_network ? blank : 0;
}

int
cidr_parse(cidrs_t *self, const char *text, char *reason, size_t size, size_t *offset)
{
    const char *at = text;
    for (;;) {
        at += strspn(at, " \t");
        size_t length = strcspn(at, ",");
        size_t used = length;
        while (used > 0 && (at[used - 1] == ' ' || at[used - 1] == '\t'))
            used--;
        *offset = (size_t)(at - text);
        if (used == 0) {
            snprintf(reason, size, "an address is missing");
            return -1;
        }
        char *word = xstrndup(at, used);
        cidr_t net;
        int result = read_one(word, &net, reason, size);
        free(word);
        if (result == -1) {
            size_t blank = lone_network(at, used);
            if (blank)
                snprintf(reason, size, "a comma is missing, as in 10.0.0.0/8, fd00::1");
            *offset += blank;
            return -1;
        }
        mem_grow(self->at, self->count, self->room);
        self->at[self->count++] = net;
        if (!at[length])
            return 0;
        at += length + 1;
    }
}

static bool
contains(const cidr_t *net, const uint8_t address[16])
{
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(net->address, address, whole) != 0)
        return false;
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return rest == 0 || (net->address[whole] & mask) == (address[whole] & mask);
}

bool
cidr_is_address(const char *text)
{
    uint8_t bytes[16];
    return read_address(text, bytes);
}

bool
cidr_match(const cidrs_t *self, const char *address)
{
    uint8_t bytes[16];
    if (!read_address(address, bytes))
        return false;
    for (size_t i = 0; i < self->count; i++) {
        // ::/0 means IPv6: it does not let IPv4 in by way of the mapping.
        if (self->at[i].bits < 96 && is_mapped(bytes))
            continue;
        if (contains(&self->at[i], bytes))
            return true;
    }
    return false;
}

void
cidr_print(const cidrs_t *self, text_t *out)
{
    for (size_t i = 0; i < self->count; i++) {
        const cidr_t *net = &self->at[i];
        bool four = is_mapped(net->address) && net->bits >= 96;
        char text[INET6_ADDRSTRLEN];
        inet_ntop(four ? AF_INET : AF_INET6, four ? net->address + 12 : net->address, text, sizeof text);
        text_add(out, "%s%s", i ? ", " : "", text);
        if (net->bits < 128)
            text_add(out, "/%u", four ? net->bits - 96 : net->bits);
    }
}

void
cidr_free(cidrs_t *self)
{
    free(self->at);
    *self = (cidrs_t){ 0 };
}
