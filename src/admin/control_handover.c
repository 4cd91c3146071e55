// SPDX-License-Identifier: MPL-2.0
//
// The control socket and its clients on their way from one program to the next.
#include "admin/control_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

// Never used for anything else again.
enum { TAG_PATH = 1, TAG_LISTENER, TAG_CLIENT, TAG_FD, TAG_INPUT, TAG_OUTPUT, TAG_ENDED, TAG_ASKED, TAG_JSON };

static void
save_client(const session_t *client, savedstate_t *to)
{
    size_t opened = record_open(&to->record, TAG_CLIENT);
    savedstate_fd(to, TAG_FD, client->fd);
    record_bytes(&to->record, TAG_INPUT, client->input, client->input_size);
    if (session_waiting(client))
        record_bytes(&to->record, TAG_OUTPUT, client->output.data + client->sent, session_waiting(client));
    record_number(&to->record, TAG_ENDED, client->ended);
    record_number(&to->record, TAG_ASKED, client->asked);
    record_number(&to->record, TAG_JSON, client->asks_json);
    record_close(&to->record, opened);
}

void
control_save(const control_t *self, savedstate_t *to)
{
    size_t opened = record_open(&to->record, SAVEDSTATE_CONTROL);
    record_text(&to->record, TAG_PATH, self->socket.path);
    savedstate_fd(to, TAG_LISTENER, self->socket.fd);
    for (const session_t *client = self->clients; client; client = client->next)
        if (!client->tap)
            save_client(client, to);
    record_close(&to->record, opened);
}

static void
restore_client(control_t *self, record_fields_t from)
{
    control_peer_t who;
    record_field_t field;
    int fd = savedstate_find_fd(from, TAG_FD);
    if (fd == -1)
        return;
    if (!control_read_peer(fd, &who)) {
        close(fd);
        return;
    }
    session_t *client = control_add(self, fd, &who);
    if (record_find(from, TAG_INPUT, &field) && field.size <= sizeof client->input) {
        memcpy(client->input, field.at, field.size);
        client->input_size = field.size;
    }
    if (record_find(from, TAG_OUTPUT, &field))
        text_bytes(&client->output, field.at, field.size);
    client->ended = record_number_of(from, TAG_ENDED, 1);
    client->asked = record_number_of(from, TAG_ASKED, 1);
    client->asks_json = record_number_of(from, TAG_JSON, 1);
    session_settle(self, client);
}

void
control_restore(control_t *self, record_fields_t from)
{
    record_field_t field;
    while (record_next(&from, &field))
        if (field.tag == TAG_CLIENT)
            restore_client(self, record_inside(&field));
}

// Where nobody listens any more: the file goes, and the lock of the program before.
static void
leave_path(const char *path)
{
    char ignored[256];
    ipcfile_t file;
    if (ipcfile_adopt(&file, path, ignored, sizeof ignored) == 0)
        ipcfile_clear(path, ignored, sizeof ignored);
    ipcfile_close(&file);
}

int
control_find_listener(record_fields_t from, const char *path)
{
    record_field_t field;
    int fd = savedstate_find_fd(from, TAG_LISTENER);
    if (fd == -1 || !record_find(from, TAG_PATH, &field))
        return fd;
    if (field.size == strlen(path) && memcmp(field.at, path, field.size) == 0)
        return fd;
    close(fd);
    char *before = record_to_text(&field, COMMAND_LINE_MAX);
    if (before)
        leave_path(before);
    free(before);
    return -1;
}
