// SPDX-License-Identifier: MPL-2.0
// fan.h - the socket types of publishing: XPUB and PUB send each message to every
// peer that asked for its beginning; XSUB and SUB tell their peers what is wanted.
//
// What is wanted goes upstream once for each topic, however many ask for it.

#ifndef ZB_WIRE_FAN_H
#define ZB_WIRE_FAN_H

#include "wire/internal.h"
#include "wire/kept.h"

extern const socktype_t socktype_pub, socktype_xpub, socktype_sub, socktype_xsub;

// For the list of what is asked for at SELF: NULL if it is no publisher.
char **fan_topics(const wport_t *self, size_t *count, size_t max);
size_t fan_topics_of(const conn_t *conn); // how many one subscriber has

// Handing over: what one subscriber asked for, and that again, which is told nobody.
void fan_topics_each(const conn_t *conn, void (*fn)(void *arg, const void *topic, size_t size), void *arg);
void fan_topic_again(conn_t *conn, const uint8_t *topic, size_t size);

// The publishers that came over sent what was wanted, and are to send everything; or the other way round.
void fan_remembers_now(wport_t *self);

// The same for the subscriber of that NUMBER, which is away.
uint32_t fan_free_number(wport_t *self);
void fan_topics_each_at(const wport_t *self, uint32_t number, void (*fn)(void *arg, const void *topic, size_t size),
                        void *arg);
void fan_topic_again_at(wport_t *self, uint32_t number, const uint8_t *topic, size_t size, bool on);
void fan_keep_again(wport_t *self, const kept_t *kept); // what was published is kept again for those that are away

bool fan_is_wanted(const wport_t *self); // by anybody, of what is published at SELF

// The record of a socket type that publishes, for a side that keeps what it has published, for those who come
// (remember.h) or for those who are away (durable.h).
const socktype_t *fan_keeping(const socktype_t *socktype);

// The subscriber of that NUMBER, which is away: its subscriptions end; how many they are.
void fan_forget(wport_t *self, uint32_t number);
size_t fan_topics_at(const wport_t *self, uint32_t number);

void fan_review(wport_t *self); // the rights of its peers have changed

#endif
