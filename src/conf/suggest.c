// SPDX-License-Identifier: MPL-2.0
#include "conf/suggest.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORD_MAX 64

static const struct {
    const char *of, *word, *ours;
} foreign[] = {
    { "key", "addr", "bind" },
    { "key", "address", "bind" },
    { "key", "allow_from", "allow" },
    { "key", "allowlist", "allow" },
    { "key", "auth", "security" },
    { "key", "authentication", "security" },
    { "key", "backend", "backend_bind" },
    { "key", "blacklist", "deny" },
    { "key", "capture", "capture_bind" },
    { "key", "cert", "server_cert" },
    { "key", "certificate", "server_cert" },
    { "key", "connect_to", "connect" },
    { "key", "deny_from", "deny" },
    { "key", "denylist", "deny" },
    { "key", "device", "type" },
    { "key", "dial", "connect" },
    { "key", "endpoint", "bind" },
    { "key", "frontend", "frontend_bind" },
    { "key", "heartbeat_interval", "heartbeat_ivl" },
    { "key", "high_water_mark", "sndhwm" },
    { "key", "ingress", "ingress_bind" },
    { "key", "listen", "bind" },
    { "key", "log_file", "log_target" },
    { "key", "logfile", "log_target" },
    { "key", "max_connections", "max_clients" },
    { "key", "max_message_size", "maxmsgsize" },
    { "key", "maxconn", "max_clients" },
    { "key", "mechanism", "security" },
    { "key", "mode", "type" },
    { "key", "passwd", "users" },
    { "key", "password_file", "users" },
    { "key", "pattern", "type" },
    { "key", "prometheus", "http" },
    { "key", "recv_hwm", "rcvhwm" },
    { "key", "send_hwm", "sndhwm" },
    { "key", "socket", "control" },
    { "key", "ssl", "security" },
    { "key", "stats", "http" },
    { "key", "tls", "security" },
    { "key", "topic", "subscribe" },
    { "key", "url", "bind" },
    { "key", "verbosity", "log_level" },
    { "key", "whitelist", "allow" },
    { "log_level", "critical", "error" },
    { "log_level", "err", "error" },
    { "log_level", "verbose", "debug" },
    { "log_level", "warn", "warning" },
    { "log_target", "file", "stderr" },
    { "log_target", "journal", "stderr" },
    { "log_target", "journald", "stderr" },
    { "log_target", "stdout", "stderr" },
    { "section", "backend", "route" },
    { "section", "broker", "zbroker" },
    { "section", "daemon", "zbroker" },
    { "section", "forwarder", "route" },
    { "section", "frontend", "route" },
    { "section", "general", "zbroker" },
    { "section", "global", "zbroker" },
    { "section", "listen", "route" },
    { "section", "main", "zbroker" },
    { "section", "proxy", "route" },
    { "section", "queue", "route" },
    { "section", "server", "zbroker" },
    { "section", "streamer", "route" },
    { "security", "cert", "curve" },
    { "security", "kerberos", "gssapi" },
    { "security", "no", "none" },
    { "security", "null", "none" },
    { "security", "off", "none" },
    { "security", "password", "plain" },
    { "security", "ssl", "curve" },
    { "security", "tls", "curve" },
    { "type", "broker", "queue" },
    { "type", "dealer", "queue" },
    { "type", "proxy", "forwarder, queue or streamer" },
    { "type", "pub", "forwarder" },
    { "type", "pubsub", "forwarder" },
    { "type", "pull", "streamer" },
    { "type", "push", "streamer" },
    { "type", "pushpull", "streamer" },
    { "type", "rep", "queue" },
    { "type", "req", "queue" },
    { "type", "reqrep", "queue" },
    { "type", "router", "queue" },
    { "type", "rpc", "queue" },
    { "type", "sub", "forwarder" },
    { "type", "xpub", "forwarder" },
    { "type", "xsub", "forwarder" },
};

const char *
suggest_foreign(const char *of, const char *word)
{
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        if (strcmp(foreign[i].of, of) == 0 && strcasecmp(foreign[i].word, word) == 0)
            return foreign[i].ours;
    return NULL;
}

static unsigned
smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

// Optimal string alignment: Levenshtein's table with swaps, three rows of it at a time.
unsigned
suggest_distance(const char *a, const char *b)
{
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size > WORD_MAX || b_size > WORD_MAX)
        return UINT_MAX;
    unsigned rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && y == tolower((unsigned char)a[i - 2]))
                row[j] = smaller(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

suggest_t
suggest_for(const char *wrong)
{
    return (suggest_t){ .wrong = wrong, .distance = UINT_MAX };
}

void
suggest_offer(suggest_t *self, const char *word)
{
    // A third of the letters wrong is a typing error, more is another word. Most words differ by more in length alone.
    size_t size = strlen(self->wrong), word_size = strlen(word);
    unsigned limit = size < 4 ? 1 : size < 9 ? 2 : size < 15 ? 3 : 4;
    if (word_size > size + limit || size > word_size + limit || word_size >= sizeof self->best)
        return;
    unsigned distance = suggest_distance(self->wrong, word);
    if (distance > limit || distance >= self->distance)
        return;
    self->distance = distance;
    snprintf(self->best, sizeof self->best, "%s", word);
}
