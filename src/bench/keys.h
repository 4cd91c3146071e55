// SPDX-License-Identifier: MPL-2.0
// keys.h - the CURVE keys of one run, of its clients and of the brokers that it starts.

#ifndef ZB_BENCH_KEYS_H
#define ZB_BENCH_KEYS_H

enum { KEYS_TEXT = 41 };

typedef struct {
    char server_public[KEYS_TEXT], server_secret[KEYS_TEXT];
    char client_public[KEYS_TEXT], client_secret[KEYS_TEXT];
} keys_t;

int keys_make(keys_t *self); // -1: this libzmq has no CURVE

void keys_for_server(const keys_t *self, void *socket);
void keys_for_client(const keys_t *self, void *socket);

int keys_write_cert(const keys_t *self, const char *path); // the server's, for zbroker; -1 with errno

#endif
