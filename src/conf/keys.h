// SPDX-License-Identifier: MPL-2.0
// keys.h - the table of configuration keys that are ours, beside the socket
// options of sockopt.h: what each one takes, its default, where it is stored and
// what a change of it costs at reload.

#ifndef ZB_KEYS_H
#define ZB_KEYS_H

#include "conf/conf.h"

typedef enum { SCOPE_PROCESS, SCOPE_ROUTE, SCOPE_SIDE } key_scope_t;

typedef enum {
    KEY_WORD, // one of WORDS
    KEY_NUMBER,
    KEY_TIME, // milliseconds
    KEY_SIZE, // bytes
    KEY_BOOL,
    KEY_MODE,        // file mode, octal
    KEY_GROUP,       // name or number of a group
    KEY_PATH,        // relative ones are resolved against the folder of the file
    KEY_SECRET_FILE, // a path whose first line is the value; the text itself is never printed
    KEY_TEXT,
    KEY_BYTE, // one character, also quoted or as \xNN
    KEY_CIDR, // comma-separated networks
    KEY_HTTP, // HOST:PORT
    KEY_SOCKET_TYPE,
    KEY_PATTERN, // a route type
    KEY_ENDPOINT,
    KEY_INCLUDE,
} key_kind_t;

typedef struct {
    const char *name; // the first of a number is its name, later ones are old spellings
    int64_t number;
} key_word_t;

enum {
    KEY_LIST = 1,     // may be given several times
    KEY_SIDED = 2,    // only as SIDE_key
    KEY_UNSET_OK = 4, // an empty value means: not set
    KEY_WIRE = 8,     // only with engine wire
    KEY_WIRE_LIVE = 16, // …which takes a change over while it runs
    KEY_NOT_CAPTURE = 32, // without a side, it is not for the capture
    KEY_RUNTIME = 64, // the default depends on the instance of the service: process_control (), process_store ()
    KEY_OF_STORE = 128, // of use only with a store
    KEY_OF_NATS = 256,  // of use only with store = nats
    KEY_OF_DURABLE = 512, // of use only with durable = yes
    KEY_NAMED = 1024, // ROUTE in the default is the name of the route
};

typedef struct {
    key_scope_t scope;
    const char *key;
    key_kind_t kind;
    size_t offset, width; // of the field in conf_t, route_conf_t or side_conf_t; width 0: stored by hand
    int64_t min, max;
    const char *initial; // "": not set
    const key_word_t *words;
    reload_t reload;
    unsigned flags;
    uint32_t sockets; // side: the socket types it fits, route: those of its backend; 0: all
} key_row_t;

typedef struct {
    int64_t number;
    char *text; // owned
} key_value_t;

const key_row_t *key_at(key_scope_t scope,
                        unsigned i); // NULL past the end; route and side rows in the order of the dump
const key_row_t *key_find(key_scope_t scope, const char *key);

// Parse TEXT; FOLDER is what relative paths start from. Returns 0, or -1 with
// the REASON and the OFFSET of what is wrong. A REASON with 0 is a warning.
int key_parse(const key_row_t *row, const char *text, const char *folder, key_value_t *value, char *reason, size_t size,
              size_t *offset);

char *key_print(const key_row_t *row, const key_value_t *value); // canonical, the caller frees
void key_store(const key_row_t *row, const key_value_t *value, void *object);

#endif
