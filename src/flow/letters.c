// SPDX-License-Identifier: MPL-2.0
#include "flow/letters.h"

#include "base/bell.h"
#include "base/mem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct letterbox {
    letterbox_t *next;
    letters_t *office;
    char *route;
    int bell;
    uint64_t number;
    letter_t *first, **last;
    uint32_t count;
    receipt_t *receipts; // for letters that were sent from here
    uint32_t receipt_count, receipt_room;
};

struct letters {
    pthread_mutex_t lock;
    letterbox_t *boxes; // the one that was opened last comes first
    uint64_t last;
};

letters_t *
letters_new(void)
{
    letters_t *self = xcalloc(1, sizeof *self);
    pthread_mutex_init(&self->lock, NULL);
    return self;
}

void
letters_free(letters_t **self_p)
{
    letters_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_destroy(&self->lock);
    free(self);
    *self_p = NULL;
}

// --- receipts ------------------------------------------------------------------------

static void
answer(letters_t *self, const letter_t *letter, bool kept)
{
    letterbox_t *to = self->boxes;
    while (to && to->number != letter->sender)
        to = to->next;
    if (!to)
        return;
    mem_grow(to->receipts, to->receipt_count, to->receipt_room);
    to->receipts[to->receipt_count++] = (receipt_t){ letter->number, kept };
    bell_ring(to->bell);
}

void
letterbox_answer(letterbox_t *self, const letter_t *letter, bool kept)
{
    pthread_mutex_lock(&self->office->lock);
    answer(self->office, letter, kept);
    pthread_mutex_unlock(&self->office->lock);
}

bool
letterbox_hear(letterbox_t *self, receipt_t *receipt)
{
    pthread_mutex_lock(&self->office->lock);
    bool any = self->receipt_count > 0;
    if (any)
        *receipt = self->receipts[--self->receipt_count];
    pthread_mutex_unlock(&self->office->lock);
    return any;
}

// --- boxes ---------------------------------------------------------------------------

letterbox_t *
letterbox_open(letters_t *letters, const char *route, int bell)
{
    letterbox_t *self = xcalloc(1, sizeof *self);
    self->office = letters;
    self->route = xstrdup(route);
    self->bell = bell;
    self->last = &self->first;
    pthread_mutex_lock(&letters->lock);
    self->number = ++letters->last;
    self->next = letters->boxes;
    letters->boxes = self;
    pthread_mutex_unlock(&letters->lock);
    return self;
}

void
letterbox_close(letterbox_t **self_p)
{
    letterbox_t *self = *self_p;
    if (!self)
        return;
    pthread_mutex_lock(&self->office->lock);
    letterbox_t **at = &self->office->boxes;
    while (*at != self)
        at = &(*at)->next;
    *at = self->next;
    for (letter_t *letter = self->first, *next; letter; letter = next) {
        next = letter->next;
        answer(self->office, letter, false);
        free(letter);
    }
    pthread_mutex_unlock(&self->office->lock);
    free(self->receipts);
    free(self->route);
    free(self);
    *self_p = NULL;
}

// --- letters -------------------------------------------------------------------------

static void
drop_in(letterbox_t *self, letter_t *letter)
{
    letter->next = NULL;
    *self->last = letter;
    self->last = &letter->next;
    self->count++;
    bell_ring(self->bell);
}

bool
letterbox_post(letterbox_t *self, const char *route, const letter_t *letter, const uint8_t *data)
{
    letter_t *copy = xcalloc(1, sizeof *copy + letter->size);
    memcpy(copy, letter, sizeof *copy);
    memcpy(copy->data, data, letter->size);
    copy->sender = self->number;
    pthread_mutex_lock(&self->office->lock);
    letterbox_t *to = self->office->boxes;
    while (to && strcmp(to->route, route) != 0)
        to = to->next;
    bool has_room = to && to->count < LETTERS_MOST;
    if (has_room)
        drop_in(to, copy);
    pthread_mutex_unlock(&self->office->lock);
    if (!has_room)
        free(copy);
    return has_room;
}

letter_t *
letterbox_take(letterbox_t *self)
{
    pthread_mutex_lock(&self->office->lock);
    letter_t *letter = self->first;
    if (letter) {
        self->first = letter->next;
        self->count--;
        if (!self->first)
            self->last = &self->first;
    }
    pthread_mutex_unlock(&self->office->lock);
    return letter;
}
