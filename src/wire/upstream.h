// SPDX-License-Identifier: MPL-2.0
// upstream.h - XSUB and SUB: the side that has publishers, and tells them what is wanted.

#ifndef ZB_WIRE_UPSTREAM_H
#define ZB_WIRE_UPSTREAM_H

#include "wire/internal.h"

extern const socktype_t socktype_sub, socktype_xsub;

#endif
