// SPDX-License-Identifier: MPL-2.0
// The library is not asked to reconnect: it would try servers that were not named, keep what it could not send without
// telling, and give up when a password is refused twice. Each connection is a new one, to a server of ours.
#include "store/jetstream_internal.h"

#include "base/mem.h"
#include "base/text.h"
#include "base/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PING_MS = 2000, PINGS_OUT = 2, FILES = 3 };

// Files are read through descriptors of what was checked.
typedef struct {
    natsOptions *options;
    int file[FILES];
    unsigned files;
    char *server, *host;
    char *reason; // of 256 bytes
} attempt_t;

// --- the next server ---------------------------------------------------------------------

// The one after the last, of "nats://a:4222, nats://b:4222".
static char *
next_server(jetstream_t *self)
{
    const char *at = self->conf.servers;
    for (unsigned i = self->server++; i > 0; i--) {
        at = strchr(at, ',');
        if (!at)
            break;
        at += strspn(at, ", ");
    }
    if (!at) {
        at = self->conf.servers;
        self->server = 1;
    }
    return xstrndup(at, strcspn(at, ", "));
}

static char *
host_of(const char *server)
{
    const char *host = strstr(server, "://") + 3;
    bool bracketed = *host == '[';
    return bracketed ? xstrndup(host + 1, strcspn(host + 1, "]")) : xstrndup(host, strcspn(host, ":"));
}

// --- options -----------------------------------------------------------------------------

// Without the place in the library that it begins with.
static const char *
words_of(const jetstream_t *self, natsStatus status)
{
    natsStatus last;
    const char *text = self->nats->nats_GetLastError(&last);
    if (last != status || !text_given(text))
        return self->nats->natsStatus_GetText(status);
    const char *behind = *text == '(' ? strstr(text, "): ") : NULL;
    return behind ? behind + 3 : text;
}

// Its path by a descriptor: NULL with the reason, nobody may have changed it since it was looked at.
static bool
open_file(attempt_t *attempt, const char *path, trust_kind_t kind, char opened[32])
{
    char words[TRUST_WORDS];
    int fd = trust_open(path, kind, words);
    if (fd == -1) {
        snprintf(attempt->reason, 256, "%.100s: %.150s", path, words);
        return false;
    }
    attempt->file[attempt->files++] = fd;
    snprintf(opened, 32, "/proc/self/fd/%d", fd);
    return true;
}

static bool
takes(const jetstream_t *self, const attempt_t *attempt, const char *what, natsStatus status)
{
    if (status == NATS_OK)
        return true;
    snprintf(attempt->reason, 256, "%.100s: %.150s", what, words_of(self, status));
    return false;
}

static bool
set_credentials(const jetstream_t *self, attempt_t *attempt)
{
    char opened[32];
    const nats_conf_t *conf = &self->conf;
    if (conf->credentials)
        return open_file(attempt, conf->credentials, TRUST_SECRET, opened) &&
               takes(self, attempt, conf->credentials,
                     self->nats->natsOptions_SetUserCredentialsFromFiles(attempt->options, opened, NULL));
    if (conf->user)
        return takes(
            self, attempt, "nats_user",
            self->nats->natsOptions_SetUserInfo(attempt->options, conf->user, conf->password ? conf->password : ""));
    return true;
}

// The name is that of the server we want, also where the library would not look.
static bool
set_tls(const jetstream_t *self, attempt_t *attempt)
{
    char opened[32];
    const libnats_t *nats = self->nats;
    const nats_conf_t *conf = &self->conf;
    if (strncmp(attempt->server, "tls://", 6) != 0)
        return true;
    if (!takes(self, attempt, "tls", nats->natsOptions_SetSecure(attempt->options, true)) ||
        !takes(self, attempt, "tls", nats->natsOptions_SetExpectedHostname(attempt->options, attempt->host)))
        return false;
    if (conf->ca &&
        !(open_file(attempt, conf->ca, TRUST_RIGHTS, opened) &&
          takes(self, attempt, conf->ca, nats->natsOptions_LoadCATrustedCertificates(attempt->options, opened))))
        return false;
    return !conf->cert || (open_file(attempt, conf->cert, TRUST_SECRET, opened) &&
                           takes(self, attempt, conf->cert,
                                 nats->natsOptions_LoadCertificatesChain(attempt->options, opened, opened)));
}

static bool
set_options(const jetstream_t *self, attempt_t *attempt)
{
    const libnats_t *nats = self->nats;
    char name[64];
    snprintf(name, sizeof name, "zbroker %s", self->route);
    natsStatus status = nats->natsOptions_Create(&attempt->options);
    if (status == NATS_OK)
        status = nats->natsOptions_SetURL(attempt->options, attempt->server);
    if (status == NATS_OK)
        status = nats->natsOptions_SetName(attempt->options, name);
    if (status == NATS_OK)
        status = nats->natsOptions_SetAllowReconnect(attempt->options, false);
    if (status == NATS_OK)
        status = nats->natsOptions_SetTimeout(attempt->options, CONNECT_MS);
    if (status == NATS_OK)
        status = nats->natsOptions_SetWriteDeadline(attempt->options, ACK_MS);
    if (status == NATS_OK)
        status = nats->natsOptions_SetPingInterval(attempt->options, PING_MS);
    if (status == NATS_OK)
        status = nats->natsOptions_SetMaxPingsOut(attempt->options, PINGS_OUT);
    return takes(self, attempt, "libnats", status) && set_credentials(self, attempt) && set_tls(self, attempt);
}

static void
end_attempt(const jetstream_t *self, attempt_t *attempt)
{
    for (unsigned i = 0; i < attempt->files; i++)
        close(attempt->file[i]);
    self->nats->natsOptions_Destroy(attempt->options);
    free(attempt->server);
    free(attempt->host);
}

// --- inboxes -------------------------------------------------------------------------------

// The library calls back for this subscription no more: if nobody has ended it, the connection has.
static void
subscription_over(void *closure)
{
    link_t *link = closure;
    jetstream_t *self = link->jetstream;
    jetstream_lock(self);
    if (link->parting > 0)
        link->parting--;
    else
        link->lost = true;
    jetstream_wake(self);
    jetstream_unlock(self);
    link_drop(&link);
}

// On a new subscription.
static bool
subscribe(jetstream_t *self, const char *inbox, natsMsgHandler heard, natsSubscription **to)
{
    link_t *link = self->link;
    const libnats_t *nats = self->nats;
    if (nats->natsConnection_Subscribe(to, link->connection, inbox, heard, link) != NATS_OK)
        return false;
    jetstream_lock(self);
    link->holders++;
    jetstream_unlock(self);
    nats->natsSubscription_SetPendingLimits(*to, -1, -1); // what comes was asked for
    if (nats->natsSubscription_SetOnCompleteCB(*to, subscription_over, link) == NATS_OK)
        return true;
    link_t *again = link; // it is over already
    link_drop(&again);
    return false;
}

static bool
new_inbox(const jetstream_t *self, char inbox[INBOX])
{
    natsInbox *made = NULL;
    if (self->nats->natsInbox_Create(&made) != NATS_OK)
        return false;
    snprintf(inbox, INBOX, "%s", made);
    self->nats->natsInbox_Destroy(made);
    return true;
}

static bool
open_inboxes(jetstream_t *self)
{
    link_t *link = self->link;
    char every[INBOX + 2];
    if (!new_inbox(self, link->ack_inbox) || !new_inbox(self, link->message_inbox))
        return false;
    snprintf(every, sizeof every, "%s.*", link->ack_inbox);
    return subscribe(self, every, publish_heard, &link->acks) &&
           subscribe(self, link->message_inbox, pull_heard, &link->messages);
}

// What has come is heard.
static natsSubscription *
drain_messages(jetstream_t *self)
{
    link_t *link = self->link;
    natsSubscription *old = link->messages;
    link->messages = NULL;
    jetstream_lock(self);
    link->parting++;
    jetstream_unlock(self);
    self->nats->natsSubscription_Drain(old);
    return old;
}

void
link_hush(jetstream_t *self)
{
    natsSubscription *old = drain_messages(self);
    self->nats->natsSubscription_WaitForDrainCompletion(old, HUSH_MS);
    self->nats->natsSubscription_Destroy(old);
}

bool
link_renew(jetstream_t *self)
{
    link_t *link = self->link;
    if (!new_inbox(self, link->message_inbox))
        return false;
    self->nats->natsSubscription_Destroy(drain_messages(self));
    return subscribe(self, link->message_inbox, pull_heard, &link->messages);
}

// --- the connection --------------------------------------------------------------------------

const char *
link_last_error(const jetstream_t *self, natsStatus status)
{
    const char *text = NULL;
    const link_t *link = self->link;
    if (link && link->connection && self->nats->natsConnection_GetLastError(link->connection, &text) != NATS_OK &&
        text_given(text))
        return text;
    return status == NATS_OK ? "the connection was closed" : words_of(self, status);
}

bool
link_said(const libnats_t *nats, natsMsg *answer, const char *text)
{
    return memmem(nats->natsMsg_GetData(answer), (size_t)nats->natsMsg_GetDataLength(answer), text, strlen(text)) !=
           NULL;
}

static void
set_server(jetstream_t *self, const char *server)
{
    jetstream_lock(self);
    snprintf(self->state.server, sizeof self->state.server, "%s", server);
    jetstream_unlock(self);
}

static link_result_t
connect_to(jetstream_t *self, const attempt_t *attempt)
{
    link_t *link = self->link;
    const libnats_t *nats = self->nats;
    natsStatus status = nats->natsConnection_Connect(&link->connection, attempt->options);
    if (status != NATS_OK) {
        snprintf(attempt->reason, 256, "%.100s: %.150s", attempt->server, words_of(self, status));
        return status == NATS_CONNECTION_AUTH_FAILED ? LINK_NEVER : LINK_LATER;
    }
    jsOptions options;
    nats->jsOptions_Init(&options);
    options.Wait = REQUEST_MS;
    status = nats->natsConnection_JetStream(&link->context, link->connection, &options);
    if (status == NATS_OK && open_inboxes(self)) {
        link->max_payload = (size_t)nats->natsConnection_GetMaxPayload(link->connection);
        set_server(self, attempt->server);
        return LINK_UP;
    }
    snprintf(attempt->reason, 256, "%.100s: %.150s", attempt->server, link_last_error(self, status));
    return LINK_LATER;
}

static link_t *
new_link(jetstream_t *self)
{
    link_t *link = xcalloc(1, sizeof *link);
    link->jetstream = self;
    link->holders = 1;
    jetstream_lock(self);
    self->holders++;
    jetstream_unlock(self);
    return link;
}

link_result_t
link_open(jetstream_t *self, char reason[256])
{
    attempt_t attempt = { .reason = reason, .server = next_server(self) };
    attempt.host = host_of(attempt.server);
    self->link = new_link(self);
    // What is wrong with a file may be mended while we go on, as a server may come up.
    link_result_t result = set_options(self, &attempt) ? connect_to(self, &attempt) : LINK_NEVER;
    end_attempt(self, &attempt);
    return result;
}

void
link_close(jetstream_t *self)
{
    link_t *link = self->link;
    const libnats_t *nats = self->nats;
    nats->jsCtx_Destroy(link->context);
    if (link->connection)
        nats->natsConnection_Close(link->connection);
    nats->natsSubscription_Destroy(link->acks);
    nats->natsSubscription_Destroy(link->messages);
    nats->natsConnection_Destroy(link->connection);
    link->connection = NULL;
    link->acks = link->messages = NULL;
    link->context = NULL;
    set_server(self, "");
    link_drop(&self->link);
}
