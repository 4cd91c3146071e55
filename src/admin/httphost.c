// SPDX-License-Identifier: MPL-2.0
#include "admin/httphost.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>
#include <strings.h>

static bool
is_address(const char *name)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1;
}

// The name in "name:port", "[v6]:port" or either without a port. False: it is none of these.
static bool
host_name(const char *header, char *name, size_t size)
{
    const char *end;
    if (*header == '[') {
        header++;
        end = strchr(header, ']');
        if (!end)
            return false;
    } else {
        end = header + strcspn(header, ":");
    }
    size_t length = (size_t)(end - header);
    end += *end == ']';
    if (*end && *end != ':')
        return false;
    for (const char *digit = *end ? end + 1 : end; *digit; digit++)
        if (!isdigit((unsigned char)*digit))
            return false;
    if (!length || length >= size)
        return false;
    memcpy(name, header, length);
    name[length] = '\0';
    return true;
}

bool
httphost_is_ours(const char *header, const char *configured, const char *machine)
{
    char name[256];
    if (!host_name(header, name, sizeof name))
        return false;
    size_t length = strlen(name);
    if (length > 1 && name[length - 1] == '.')
        name[length - 1] = '\0';
    return is_address(name) || strcasecmp(name, "localhost") == 0 || strcasecmp(name, configured) == 0 ||
           strcasecmp(name, machine) == 0;
}
