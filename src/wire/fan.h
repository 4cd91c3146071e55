// SPDX-License-Identifier: MPL-2.0
// fan.h - what the subscribers of a side that publishes ask for, each by its number.
//
// What is wanted goes upstream once for each topic, however many ask for it.

#ifndef ZB_WIRE_FAN_H
#define ZB_WIRE_FAN_H

#include "wire/internal.h"

// For the list of what is asked for at SELF: NULL if it is no publisher.
char **fan_topics(const wport_t *self, size_t *count, size_t max);
size_t fan_topics_of(const conn_t *conn); // how many one subscriber has

// Handing over: what one subscriber asked for, and that again, which is told nobody.
void fan_topics_each(const conn_t *conn, void (*fn)(void *arg, const void *topic, size_t size), void *arg);
void fan_topic_again(conn_t *conn, const uint8_t *topic, size_t size);

// The publishers that came over sent what was wanted, and are to send everything; or the other way round.
void fan_remembers_now(wport_t *self);

// The first number from FROM on that no connection has.
uint32_t fan_free_number(wport_t *self, uint32_t from);

// The same for the subscriber of that NUMBER, which is away.
void fan_topics_each_at(const wport_t *self, uint32_t number, void (*fn)(void *arg, const void *topic, size_t size),
                        void *arg);
void fan_topic_again_at(wport_t *self, uint32_t number, const uint8_t *topic, size_t size, bool on);

bool fan_is_wanted(const wport_t *self); // by anybody, of what is published at SELF

// The subscriber of that NUMBER, which is away: its subscriptions end; how many they are.
void fan_forget(wport_t *self, uint32_t number);
size_t fan_topics_at(const wport_t *self, uint32_t number);

void fan_review(wport_t *self); // the rights of its peers have changed

#endif
