// SPDX-License-Identifier: MPL-2.0
// cert.h - CURVE certificates in the text format of czmq's zcert(3), which pyzmq
// reads and writes too: a section `metadata` with names and values, a section
// `curve` with public-key and secret-key in Z85. Our own parser, bounded in
// every direction: czmq's writes past its buffer when metadata is long.

#ifndef ZB_CERT_H
#define ZB_CERT_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CERT_FILE_MAX 65536 // bytes of a certificate file
#define CERT_KEY_SIZE 32
#define CERT_Z85_SIZE 41 // of a key as text, with its NUL
#define CERT_NAME_MAX 255
#define CERT_WORDS 400

typedef struct {
    uint8_t public_key[CERT_KEY_SIZE];
    uint8_t secret_key[CERT_KEY_SIZE];
    char public_text[CERT_Z85_SIZE];
    char secret_text[CERT_Z85_SIZE];
    bool has_public, has_secret;
    char name[CERT_NAME_MAX + 1]; // metadata "name", "" without
} cert_t;

// Where and what is wrong. LINE 0: the file as a whole.
typedef struct {
    int line;
    char text[CERT_WORDS];
    char warning[CERT_WORDS]; // of a certificate that is taken, "" without
} cert_fault_t;

// Parse SIZE bytes of TEXT. 0, or -1 with FAULT.
int cert_parse(cert_t *self, const char *text, size_t size, cert_fault_t *fault);

// Read a public certificate, which others may read but not write; a secret part in the file is not kept. 0 or -1.
int cert_load_public(cert_t *self, const char *path, cert_fault_t *fault);
int cert_load_listed(cert_t *self, int folder, const char *path, cert_fault_t *fault); // of FOLDER, which is trusted

// Read both parts: from PATH, or the secret one from PATH_secret beside it, as
// czmq writes them. What may hold a secret is in base/trust.h. 0 or -1.
int cert_load_secret(cert_t *self, const char *path, cert_fault_t *fault);

// The user a public certificate in a folder stands for: its metadata name, else
// the file's name without .cert, .key, .pub or .crt.
void cert_user(const cert_t *self, const char *path, char user[CERT_NAME_MAX + 1]);
void cert_file_user(const char *path, char user[CERT_NAME_MAX + 1]); // by the file's name alone

// Write SELF as text, as zcert_load(3) and zmq.auth.load_certificate take it.
// COUNT metadata lines "key=value" follow the name.
void cert_print(const cert_t *self, bool secret, char *const metadata[], size_t count, text_t *out);

// May "key=value" be a line of metadata? NULL, or what is wrong with it.
const char *cert_metadata_fault(const char *pair);

// Forget the keys.
void cert_wipe(cert_t *self);

#endif
