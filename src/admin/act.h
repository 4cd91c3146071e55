// SPDX-License-Identifier: MPL-2.0
// act.h - the commands that change something.

#ifndef ZB_ACT_H
#define ZB_ACT_H

#include "admin/reply.h"

void act_pause(request_t *request);
void act_resume(request_t *request);
void act_drain(request_t *request);
void act_disable(request_t *request);
void act_enable(request_t *request);
void act_kick(request_t *request);
void act_clear(request_t *request);
void act_set_log_level(request_t *request);
void act_reload(request_t *request);
void act_upgrade(request_t *request);
void act_stop(request_t *request);

#endif
