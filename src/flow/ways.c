// SPDX-License-Identifier: MPL-2.0
#include "flow/ways.h"

#include "base/mem.h"

static const struct {
    side_t from, to;
    flow_t flow;
} all[WAYS_MOST] = {
    { SIDE_FRONTEND, SIDE_BACKEND, FLOW_DOWN },
    { SIDE_INGRESS, SIDE_BACKEND, FLOW_DOWN },
    { SIDE_ACK, SIDE_BACKEND, FLOW_DOWN },
    { SIDE_BACKEND, SIDE_FRONTEND, FLOW_UP },
};

size_t
ways_of(const route_conf_t *conf, way_t ways[WAYS_MOST])
{
    size_t count = 0;
    for (size_t i = 0; i < COUNT(all); i++) {
        int from = conf->sides[all[i].from].type, to = conf->sides[all[i].to].type;
        if (from != -1 && (conf->flow & all[i].flow))
            ways[count++] = (way_t){ all[i].from, all[i].to, pattern_brings_in(from, to) };
    }
    return count;
}
