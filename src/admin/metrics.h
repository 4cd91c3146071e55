// SPDX-License-Identifier: MPL-2.0
// metrics.h - the Prometheus text format 0.0.4 from one table of families; see
// zbroker-metrics(7). Counters here never go back: `clear counters` is for
// people. Labels are bounded by the configuration: never a peer, an identity or
// a topic. Every series is there from the start.

#ifndef ZB_METRICS_H
#define ZB_METRICS_H

#include "base/text.h"
#include "broker/broker.h"

#define METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

void metrics_write(broker_t *broker, text_t *out);

// Walk the table: false past the end.
typedef struct {
    const char *name, *type, *help;
} metric_info_t;
bool metric_at(unsigned i, metric_info_t *info);

#endif
