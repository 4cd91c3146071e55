// SPDX-License-Identifier: MPL-2.0
// problems.h - what is wrong with a route, in words: for everybody who shows routes.
// Remembers what each route has counted over the last minute. Main thread only.

#ifndef ZB_PROBLEMS_H
#define ZB_PROBLEMS_H

#include "broker/broker.h"

typedef enum { PROBLEM_ERROR, PROBLEM_WARNING, PROBLEM_INFO } problem_level_t;
typedef struct {
    problem_level_t level;
    char text[600];
} problem_t;
#define PROBLEMS_MAX 32

// The worst first. Returns how many.
size_t problems_of(const broker_route_t *route, problem_t problems[PROBLEMS_MAX]);

// Call FN for each problem of LEVEL that a route has, in the order of the routes.
typedef void problem_fn_t(const broker_route_t *route, const problem_t *problem, void *arg);
void problems_each(broker_t *broker, problem_level_t level, problem_fn_t *fn, void *arg);

const char *problem_level_name(problem_level_t level);

// Call once a second, or more often: remembers what was counted, for "in the last minute".
void problems_tick(broker_t *broker);

#endif
