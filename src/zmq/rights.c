// SPDX-License-Identifier: MPL-2.0
#include "zmq/rights.h"

#include "base/bytetree.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "zmq/zap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    WRITERS_MAX = 4096, // of a side; then they are forgotten
    DENIALS_SAID = 10,  // of one writer
    TOPIC_SHOWN = 100,
};

// One user of a side, under one routing id; its name is "USER\nID", and no user has a line break in its.
typedef struct {
    admission_rights_t *rights;
    unsigned denials;
    size_t size;
    char name[];
} publisher_t;

typedef struct {
    bool checked;  // each message needs the right to publish
    bool verified; // peers have users
    admission_book_t *book; // NULL: nobody may publish
    bytetree_t writers;
    size_t count;
    publisher_t *last; // messages come in rows
} rights_side_t;

struct rights {
    const admission_t *guard;
    char route[ROUTE_NAME_MAX + 1];
    uint64_t generation; // of what the writers may do
    rights_side_t sides[SIDES];
};

static bytes_t
name_of(const void *thing)
{
    const publisher_t *writer = thing;
    return bytes_of(writer->name, writer->size);
}

static void
forget(rights_t *self, rights_side_t *side)
{
    publisher_t *writer;
    side->last = NULL;
    side->count = 0;
    while ((writer = bytetree_first(&side->writers, bytes_of("", 0)))) {
        bytetree_remove(&side->writers, name_of(writer));
        self->guard->rights_free(&writer->rights);
        free(writer);
    }
}

// A side that the guard does not know any more is that of a route which leaves: what it drains passes by the rights that it had.
static void
take(rights_t *self, side_t side)
{
    admission_book_t *book = self->guard->book(self->guard->arg, self->route, side);
    if (!book)
        return;
    forget(self, &self->sides[side]);
    self->guard->book_free(&self->sides[side].book);
    self->sides[side].book = book;
}

static void
review(rights_t *self)
{
    uint64_t generation = self->guard->generation(self->guard->arg);
    if (generation == self->generation)
        return;
    self->generation = generation;
    for (side_t side = 0; side < SIDES; side++)
        if (self->sides[side].checked)
            take(self, side);
}

// --- who writes -------------------------------------------------------------------

static publisher_t *
add_writer(rights_t *self, side_t from, const char *user, const char *id, bytes_t name)
{
    rights_side_t *side = &self->sides[from];
    if (side->count >= WRITERS_MAX)
        forget(self, side);
    publisher_t *writer = xcalloc(1, sizeof *writer + name.size);
    writer->size = name.size;
    memcpy(writer->name, name.at, name.size);
    writer->rights = self->guard->rights_in(side->book, user, id);
    bytetree_add(&side->writers, writer);
    side->count++;
    return writer;
}

static publisher_t *
find_writer(rights_t *self, side_t from, const char *user, const char *id)
{
    rights_side_t *side = &self->sides[from];
    char text[600];
    int size = snprintf(text, sizeof text, "%s\n%s", user, id);
    bytes_t name = bytes_of(text, size < (int)sizeof text ? (size_t)size : sizeof text - 1);
    if (side->last && side->last->size == name.size && memcmp(side->last->name, name.at, name.size) == 0)
        return side->last;
    void **found = bytetree_find(&side->writers, name);
    return side->last = found ? *found : add_writer(self, from, user, id, name);
}

static void
say_denied(const rights_t *self, publisher_t *writer, zmq_msg_t *first, const char *user)
{
    if (writer->denials++ >= DENIALS_SAID)
        return;
    const char *peer = zmq_msg_gets(first, "Peer-Address"), *address = peer ? zap_address(peer) : "inproc";
    size_t size = zmq_msg_size(first);
    text_t shown = { 0 };
    text_escaped(&shown, zmq_msg_data(first), size < TOPIC_SHOWN ? size : TOPIC_SHOWN);
    log_event(EVENT_ACL_DENIED, EVENT_TEXT("route", self->route), EVENT_TEXT("address", *address ? address : "ipc"),
              EVENT_PROSE("action", "publish"), EVENT_TEXT("user", *user ? user : NULL),
              EVENT_TEXT("topic", shown.data ? shown.data : ""));
    text_free(&shown);
}

bool
rights_may_publish(rights_t *self, side_t from, zmq_msg_t *first)
{
    if (!self->sides[from].checked)
        return true;
    review(self);
    if (!self->sides[from].book)
        return false;
    const char *user = self->sides[from].verified ? zmq_msg_gets(first, "User-Id") : NULL;
    const char *id = zmq_msg_gets(first, "Identity"); // as READY calls it: claimed, so that it can only deny
    publisher_t *writer = find_writer(self, from, user ? user : "", id ? id : "");
    if (self->guard->may(writer->rights, ADMISSION_PUBLISH, zmq_msg_data(first), zmq_msg_size(first)))
        return true;
    say_denied(self, writer, first, user ? user : "");
    return false;
}

// --- life -------------------------------------------------------------------------

static bool
is_checked(const side_conf_t *side)
{
    return side->type != -1 && text_given(side->security.acl);
}

rights_t *
rights_new(const route_conf_t *conf, const admission_t *guard)
{
    bool any = false;
    rights_t *self = xcalloc(1, sizeof *self);
    self->guard = guard;
    snprintf(self->route, sizeof self->route, "%s", conf->name);
    for (side_t side = 0; side < SIDE_CAPTURE; side++) {
        any |= self->sides[side].checked = is_checked(&conf->sides[side]);
        self->sides[side].verified = side_verifies_users(&conf->sides[side]);
        self->sides[side].writers.name = name_of;
    }
    if (any && guard) {
        review(self);
        return self;
    }
    free(self);
    return NULL;
}

void
rights_free(rights_t **self_p)
{
    rights_t *self = *self_p;
    if (!self)
        return;
    for (side_t side = 0; side < SIDES; side++)
        if (self->sides[side].checked) {
            forget(self, &self->sides[side]);
            self->guard->book_free(&self->sides[side].book);
        }
    free(self);
    *self_p = NULL;
}
