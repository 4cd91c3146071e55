// SPDX-License-Identifier: MPL-2.0
#include "guard/cert.h"

#include "base/mem.h"
#include "base/trust.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

enum { LINE_BYTES = 1024 };

static int
fail(cert_fault_t *fault, int line, const char *text)
{
    fault->line = line;
    snprintf(fault->text, sizeof fault->text, "%s", text);
    return -1;
}

static int
fail_errno(cert_fault_t *fault, const char *what)
{
    fault->line = 0;
    snprintf(fault->text, sizeof fault->text, "%s: %s", what, strerror(errno));
    return -1;
}

// --- parsing ------------------------------------------------------------------

// zmq_z85_decode does not check the range of a group and reads what is no Z85
// as something; who encodes back gets the truth.
static bool
decode_key(const char *text, uint8_t key[CERT_KEY_SIZE], char kept[CERT_Z85_SIZE])
{
    char again[CERT_Z85_SIZE];
    if (strlen(text) != CERT_Z85_SIZE - 1)
        return false;
    for (const char *at = text; *at; at++)
        if (*at <= ' ' || *at >= 0x7f)
            return false;
    if (!zmq_z85_decode(key, text) || !zmq_z85_encode(again, key, CERT_KEY_SIZE) || strcmp(again, text) != 0)
        return false;
    memcpy(kept, text, CERT_Z85_SIZE);
    return true;
}

// Take the blanks and one pair of quotes off, in place.
static char *
trim(char *text)
{
    text += strspn(text, " \t");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r", text[size - 1]))
        text[--size] = '\0';
    if (size >= 2 && (*text == '"' || *text == '\'') && text[size - 1] == *text) {
        text[size - 1] = '\0';
        text++;
    }
    return text;
}

typedef enum { SECTION_NONE, SECTION_METADATA, SECTION_CURVE, SECTION_OTHER } cert_section_t;

static int
take_key(cert_t *self, const char *name, const char *value, int line, cert_fault_t *fault)
{
    bool public = strcmp(name, "public-key") == 0;
    if (!public && strcmp(name, "secret-key") != 0)
        return 0;
    bool *has = public ? &self->has_public : &self->has_secret;
    if (*has)
        return fail(fault, line, public ? "a second public-key" : "a second secret-key");
    *has = decode_key(value, public ? self->public_key : self->secret_key,
                      public ? self->public_text : self->secret_text);
    return *has ? 0 : fail(fault, line, public ? "public-key is not 40 characters of Z85"
                                               : "secret-key is not 40 characters of Z85");
}

static int
take_metadata(cert_t *self, const char *name, const char *value, int line, cert_fault_t *fault)
{
    if (strcmp(name, "name") != 0)
        return 0;
    if (strlen(value) > CERT_NAME_MAX)
        return fail(fault, line, "the name is longer than 255 bytes");
    for (const unsigned char *at = (const unsigned char *)value; *at; at++)
        if (*at < ' ' || *at == 0x7f)
            return fail(fault, line, "the name holds a control character");
    snprintf(self->name, sizeof self->name, "%s", value);
    return 0;
}

static int
take_line(cert_t *self, cert_section_t *section, char *line, int number, cert_fault_t *fault)
{
    bool indented = *line == ' ' || *line == '\t';
    char *text = line + strspn(line, " \t\r");
    if (*text == '\0' || *text == '#')
        return 0;
    char *equals = strchr(text, '=');
    if (!equals && !indented) {
        char *word = trim(text);
        *section = strcmp(word, "metadata") == 0 ? SECTION_METADATA
                   : strcmp(word, "curve") == 0  ? SECTION_CURVE
                                                 : SECTION_OTHER;
        return 0;
    }
    if (!equals)
        return *section == SECTION_OTHER ? 0 : fail(fault, number, "neither NAME = VALUE nor the start of a section");
    *equals = '\0';
    const char *name = trim(text), *value = trim(equals + 1);
    switch (*section) {
    case SECTION_CURVE:
        return take_key(self, name, value, number, fault);
    case SECTION_METADATA:
        return take_metadata(self, name, value, number, fault);
    default:
        return 0;
    }
}

int
cert_parse(cert_t *self, const char *text, size_t size, cert_fault_t *fault)
{
    char line[LINE_BYTES];
    cert_section_t section = SECTION_NONE;
    int rc = 0;
    *self = (cert_t){ 0 };
    *fault = (cert_fault_t){ 0 };
    if (size > CERT_FILE_MAX)
        return fail(fault, 0, "larger than 64 KiB");
    if (memchr(text, '\0', size))
        return fail(fault, 0, "not a text file");
    for (int number = 1; size > 0 && rc == 0; number++) {
        const char *end = memchr(text, '\n', size);
        size_t length = end ? (size_t)(end - text) : size;
        if (length >= sizeof line) {
            rc = fail(fault, number, "a line of more than 1023 bytes");
            break;
        }
        memcpy(line, text, length);
        line[length] = '\0';
        rc = take_line(self, &section, line, number, fault);
        text += length + (end != NULL);
        size -= length + (end != NULL);
    }
    sodium_memzero(line, sizeof line);
    if (rc == 0 && !self->has_public)
        rc = fail(fault, 0, "no public-key in section curve");
    if (rc == -1)
        cert_wipe(self);
    return rc;
}

// --- files --------------------------------------------------------------------

// All that FD gives, at most MAX bytes and a NUL. The caller wipes and frees.
static char *
read_all(int fd, size_t max, size_t *size, cert_fault_t *fault)
{
    char *text = xcalloc(1, max + 1);
    ssize_t got;
    *size = 0;
    while (*size < max && (got = read(fd, text + *size, max - *size)) != 0) {
        if (got == -1 && errno == EINTR)
            continue;
        if (got == -1) {
            fail_errno(fault, "cannot read");
            sodium_memzero(text, *size);
            free(text);
            return NULL;
        }
        *size += (size_t)got;
    }
    return text;
}

// What is in FD, -1: why not is in WORDS, which are a warning else.
static char *
read_file(int fd, size_t *size, const char *words, cert_fault_t *fault)
{
    struct stat st = { 0 };
    if (fd == -1) {
        fail(fault, 0, words);
        return NULL;
    }
    char *text = NULL;
    if (fstat(fd, &st) == 0 && st.st_size > CERT_FILE_MAX)
        fail(fault, 0, "larger than 64 KiB");
    else
        text = read_all(fd, (size_t)st.st_size, size, fault);
    close(fd);
    return text;
}

static int
load(cert_t *self, int fd, const char *words, cert_fault_t *fault)
{
    size_t size = 0;
    *fault = (cert_fault_t){ 0 };
    char *text = read_file(fd, &size, words, fault);
    if (!text)
        return -1;
    int rc = cert_parse(self, text, size, fault);
    snprintf(fault->warning, sizeof fault->warning, "%s", words);
    sodium_memzero(text, size);
    free(text);
    return rc;
}

static int
load_public(cert_t *self, int fd, const char *words, cert_fault_t *fault)
{
    int rc = load(self, fd, words, fault);
    sodium_memzero(self->secret_key, sizeof self->secret_key);
    sodium_memzero(self->secret_text, sizeof self->secret_text);
    self->has_secret = false;
    return rc;
}

int
cert_load_public(cert_t *self, const char *path, cert_fault_t *fault)
{
    char words[TRUST_WORDS];
    return load_public(self, trust_open(path, TRUST_RIGHTS, words), words, fault);
}

int
cert_load_listed(cert_t *self, int folder, const char *path, cert_fault_t *fault)
{
    char words[TRUST_WORDS];
    return load_public(self, trust_open_in(folder, path, TRUST_RIGHTS, words), words, fault);
}

// The secret key must be that of the public one, or nobody will get in and
// nobody will know why.
static int
check_pair(cert_t *self, const cert_t *public, cert_fault_t *fault)
{
    uint8_t derived[CERT_KEY_SIZE];
    crypto_scalarmult_curve25519_base(derived, self->secret_key);
    if (memcmp(derived, self->public_key, sizeof derived) != 0)
        return fail(fault, 0, "the secret key is not that of the public key");
    if (memcmp(self->public_key, public->public_key, CERT_KEY_SIZE) != 0)
        return fail(fault, 0, "the public key is not that of the file without _secret");
    return 0;
}

// WORDS are of the secret part, which has a file of its own.
static void
name_part(char words[CERT_WORDS], const char *file)
{
    char why[CERT_WORDS];
    snprintf(why, sizeof why, "%s", words);
    if (*words)
        snprintf(words, CERT_WORDS, "the secret part, %.150s: %.200s", file, why);
}

int
cert_load_secret(cert_t *self, const char *path, cert_fault_t *fault)
{
    cert_t public;
    char words[TRUST_WORDS];
    *self = (cert_t){ 0 };
    if (load(&public, trust_open(path, TRUST_RIGHTS, words), words, fault) == -1)
        return -1;
    char *beside = public.has_secret ? xstrdup(path) : xasprintf("%s_secret", path);
    int rc = load(self, trust_open(beside, TRUST_SECRET, words), words, fault);
    if (rc == 0 && !self->has_secret)
        rc = fail(fault, 0, "no secret-key in section curve");
    if (rc == 0)
        rc = check_pair(self, &public, fault);
    if (strcmp(beside, path) != 0) {
        name_part(fault->text, beside);
        name_part(fault->warning, beside);
    }
    if (rc == -1)
        cert_wipe(self);
    cert_wipe(&public);
    free(beside);
    return rc;
}

void
cert_file_user(const char *path, char user[CERT_NAME_MAX + 1])
{
    static const char *const endings[] = {".cert", ".key", ".pub", ".crt"};
    const char *slash = strrchr(path, '/');
    snprintf(user, CERT_NAME_MAX + 1, "%s", slash ? slash + 1 : path);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t size = strlen(user), cut = strlen(endings[i]);
        if (size > cut && strcmp(user + size - cut, endings[i]) == 0) {
            user[size - cut] = '\0';
            return;
        }
    }
}

void
cert_user(const cert_t *self, const char *path, char user[CERT_NAME_MAX + 1])
{
    if (*self->name)
        snprintf(user, CERT_NAME_MAX + 1, "%s", self->name);
    else
        cert_file_user(path, user);
}

// --- writing ------------------------------------------------------------------

const char *
cert_metadata_fault(const char *pair)
{
    const char *equals = strchr(pair, '=');
    if (!equals || equals == pair)
        return "is not KEY=VALUE";
    for (const char *at = pair; at < equals; at++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.", *at))
            return "has a key of other characters than letters, digits, '-', '_' and '.'";
    if (strlen(equals + 1) > CERT_NAME_MAX)
        return "has a value of more than 255 bytes";
    for (const unsigned char *at = (const unsigned char *)equals + 1; *at; at++)
        if (*at < ' ' || *at == 0x7f || *at == '"')
            return "has a quote or a control character in its value";
    return NULL;
}

void
cert_print(const cert_t *self, bool secret, char *const metadata[], size_t count, text_t *out)
{
    text_add(out, "#   ZeroMQ CURVE %s certificate, made by zbroker-keygen\n", secret ? "**SECRET**" : "public");
    text_add(out, "%s\n\n", secret ? "#   Give it to nobody, keep its mode 0600."
                                   : "#   May be given to everybody who is to know this key.");
    text_add(out, "metadata\n");
    if (*self->name)
        text_add(out, "    name = \"%s\"\n", self->name);
    for (size_t i = 0; i < count; i++) {
        int key = (int)strcspn(metadata[i], "=");
        text_add(out, "    %.*s = \"%s\"\n", key, metadata[i], metadata[i] + key + 1);
    }
    text_add(out, "curve\n    public-key = \"%s\"\n", self->public_text);
    if (secret)
        text_add(out, "    secret-key = \"%s\"\n", self->secret_text);
}

void
cert_wipe(cert_t *self)
{
    sodium_memzero(self, sizeof *self);
}
