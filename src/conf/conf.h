// SPDX-License-Identifier: MPL-2.0
// conf.h - the checked configuration: typed routes, and what is asked of them. It comes from
// conf/load.h, and nothing in it changes after that.

#ifndef ZB_CONF_H
#define ZB_CONF_H

#include "base/diag.h"
#include "base/log.h"
#include "conf/endpoint.h"
#include "conf/pattern.h"
#include "conf/sockopt.h"

#include <stdio.h>
#include <sys/types.h>

#define ROUTE_NAME_MAX 40
#define CONF_CONTROL_DEFAULT "/run/zbroker/control.sock"
#define CONF_STATE_DEFAULT "/var/lib/zbroker"

// What a change of a key at reload takes; the man page says the same of each key.
typedef enum { RELOAD_LIVE, RELOAD_ROUTE, RELOAD_RESTART } reload_t;

// One effective key of a section as text, defaults filled in: what -T prints,
// what `show config` shows and what a reload compares. Lists repeat the key.
typedef struct {
    char *key;
    char *value;      // canonical
    reload_t reload;
    bool is_default;
    place_t place;       // of the value, where a line of the file gives it
    const char *written; // the key in that line, which may have no side; NULL: no line
} setting_t;

typedef struct {
    setting_t *at;
    size_t count, room;
} settings_t;

typedef struct {
    endpoint_t at;
    bool connect;
    place_t place;
} endpoint_conf_t;

typedef struct {
    const sockopt_t *option;
    sockopt_value_t value;
    place_t place;    // {0}: a default of ours
} option_conf_t;

typedef enum { SECURITY_UNSET, SECURITY_NONE, SECURITY_PLAIN, SECURITY_CURVE, SECURITY_GSSAPI } security_t;

// Who may come in. Paths are as written, relative ones to the file's folder resolved.
typedef struct {
    security_t mechanism;
    char *server_cert, *client_certs; // client_certs: a folder, or "any"
    char *client_cert, *peer_cert;
    char *users;
    char *allow, *deny;               // comma-separated CIDR, checked (conf/cidr.h)
    char *acl;
    char *gssapi_principal, *gssapi_service_principal;
    bool gssapi_plaintext, gssapi_unsafe_zap;
    char *plain_username, *plain_password; // connecting sides
} security_conf_t;

typedef struct {
    int type;                         // ZMQ_XSUB, …; -1: the route has no such side
    endpoint_conf_t *endpoints;
    size_t endpoint_count;
    option_conf_t *options;           // only what must be set: differs from libzmq's own default
    size_t option_count;
    int64_t linger_ms;                // -1: auto, what is left of drain_timeout
    bool nodrop;                      // xpub_nodrop asked for by the user (flow sets the option by itself)
    bool mandatory;                   // router_mandatory in force
    security_conf_t security;
    mode_t ipc_mode;
    gid_t ipc_group;                  // (gid_t)-1: unchanged
    int64_t max_clients;              // 0: no limit of this side's own
    int64_t max_parts;                // of one message; engine wire
    int64_t max_subscriptions;        // per client
    int64_t max_topic;                // bytes
    int64_t stall_timeout_ms;
} side_conf_t;

// Which of a queue's services, or a streamer's workers, gets the next message; engine wire.
typedef enum { DISPATCH_ROUND_ROBIN, DISPATCH_LEAST, DISPATCH_READY } dispatch_t;

// Which messages of a route go to the disk; SHARED: all, until they are in a stream on a NATS server. Engine wire.
typedef enum { KEEP_NOTHING, KEEP_OVERFLOW, KEEP_ALL, KEEP_SHARED } keep_t;

// The stream on a NATS server that a route shares with those of other machines.
typedef struct {
    char *servers;                    // "nats://a:4222, tls://b:4222", checked
    char *stream, *subject;
    int64_t replicas;
    char *credentials;                // a file, as are ca and cert
    char *user, *password;
    char *ca, *cert;
    bool insecure;
} nats_conf_t;

typedef enum { ENGINE_ZMQ, ENGINE_WIRE, ENGINE_ZMQ_PROXY, ENGINES, ENGINE_AUTO = ENGINES } engine_t;

typedef struct {
    char name[ROUTE_NAME_MAX + 1];
    place_t place;
    const pattern_t *pattern;
    flow_t flow;                      // resolved, also for custom
    engine_t engine_asked;            // what the file says, ENGINE_AUTO included
    engine_t engine;                  // what that comes to
    side_conf_t sides[SIDES];         // capture: type ZMQ_PUB or ZMQ_PUSH, -1 without endpoints
    bool capture_envelope;
    int64_t batch_us, batch_min;      // 0: off
    int64_t queue_bytes, message_size; // 0: not given; else they make the high-water marks
    int64_t max_subscriptions_total;  // engine wire
    dispatch_t dispatch;              // engine wire, as are the next three
    int64_t backend_window;           // unanswered requests at each service; 0: no limit
    int64_t backend_retries;          // of a request that its service did not answer
    int64_t reply_timeout_ms;         // 0: none
    int64_t last_value, topic_end;    // topics whose last message it keeps, 0: none; the byte where a topic ends, -1: none
    bool durable;                     // subscribers with a name: what is kept of them while they are away, and how much
    int64_t durable_messages, durable_bytes, durable_time_ms;
    int64_t replay_messages, replay_bytes, replay_time_ms; // what it keeps of all messages, 0: no limit; all of them: nothing
    keep_t store;                     // engine wire, as are the next four
    char *store_dir;
    int64_t store_max;                // bytes
    bool store_drops_oldest;
    int64_t store_commit_ms;
    nats_conf_t nats;
    int64_t ack_timeout_ms, max_tries; // of what an acknowledged worker has
    char *dead_letter;                // the streamer that gets what nobody could do; NULL: none
    place_t dead_letter_place;
    int64_t dedupe_ms;                // how long the ID of a message is known
    int64_t cpu;                      // pin the route's thread; -1: not
    settings_t settings;
} route_conf_t;

static inline bool
route_conf_remembers(const route_conf_t *route)
{
    return route->last_value > 0 || route->replay_messages > 0 || route->replay_bytes > 0 || route->replay_time_ms > 0;
}

// It is one with those of other machines.
static inline bool
route_conf_is_shared(const route_conf_t *route)
{
    return route->store == KEEP_SHARED;
}

typedef struct {
    char *file;                       // as given
    log_level_t log_level;
    log_target_t log_target;
    int syslog_facility;
    int io_threads;
    int max_sockets;
    char *control;                    // path, NULL: off
    mode_t control_mode;
    gid_t control_group;              // (gid_t)-1: unchanged
    char *http;                       // "127.0.0.1:9640", NULL: off
    char http_host[256];
    int http_port;
    int64_t drain_timeout_ms;
    int64_t max_clients;              // of the process; 0: what the descriptor limit allows
    int64_t max_memory;               // bytes; 0: half of what the process may have
    route_conf_t **routes;
    size_t route_count;
    settings_t settings;              // of [zbroker]
} conf_t;

// The effective configuration as a valid INI file; the dump of a dump is identical.
void conf_dump(const conf_t *self, FILE *out);
void conf_dump_route(const route_conf_t *route, FILE *out);

bool settings_have(const settings_t *settings, const setting_t *wanted); // this key with this value
size_t side_multicasts(const side_conf_t *side); // its multicast endpoints: a group neither connects nor subscribes
bool side_has_endpoint(const side_conf_t *side, const char *text, bool connect);
int64_t side_option(const side_conf_t *side, const char *key, int64_t otherwise); // the number that a socket option is set to
const setting_t *side_setting(const route_conf_t *route, side_t side, const char *key); // NULL: the side does not have it
const route_conf_t *conf_route(const conf_t *self, const char *name); // NULL: none
size_t conf_endpoints(const conf_t *self);                            // of all routes, capture included

// Take a route out: it is the caller's from now on.
route_conf_t *conf_take(conf_t *self, const char *name);

void route_conf_destroy(route_conf_t **self_p);
void conf_destroy(conf_t **self_p);

// Has a side a bound endpoint: do they come to us? Has it one where we go to them?
bool side_is_server(const side_conf_t *side);
bool side_is_client(const side_conf_t *side);

// Does every peer of a side have a user, whom we have verified? Only then is the User-Id of a message
// ours: libzmq puts there what our handler answered. Elsewhere it is what the peer says of itself.
bool side_verifies_users(const side_conf_t *side);

// Where the security of a side is said, or at least the route.
place_t side_place(const route_conf_t *route, side_t side);

// Does a side want to know who comes: by its mechanism, by addresses, or by rights?
bool side_asks(const side_conf_t *side);

#endif
