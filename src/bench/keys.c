// SPDX-License-Identifier: MPL-2.0
#include "bench/keys.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <zmq.h>

int
keys_make(keys_t *self)
{
    if (zmq_curve_keypair(self->server_public, self->server_secret) == -1)
        return -1;
    return zmq_curve_keypair(self->client_public, self->client_secret);
}

void
keys_for_server(const keys_t *self, void *socket)
{
    int on = 1;
    zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &on, sizeof on);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, self->server_secret, KEYS_TEXT);
}

void
keys_for_client(const keys_t *self, void *socket)
{
    zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, self->server_public, KEYS_TEXT);
    zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, self->client_public, KEYS_TEXT);
    zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, self->client_secret, KEYS_TEXT);
}

int
keys_write_cert(const keys_t *self, const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    FILE *file = fd == -1 ? NULL : fdopen(fd, "w");
    if (!file)
        return -1;
    fprintf(file, "curve\n    public-key = \"%s\"\n    secret-key = \"%s\"\n", self->server_public, self->server_secret);
    return fclose(file);
}
