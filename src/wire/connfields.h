// SPDX-License-Identifier: MPL-2.0
// connfields.h - of a connection that is written down, what is a number, a text or some
// bytes and needs no judgement of its own: three tables. See connrecord.h for the rest.

#ifndef ZB_WIRE_CONNFIELDS_H
#define ZB_WIRE_CONNFIELDS_H

#include "base/record.h"
#include "wire/internal.h"

void connfields_save(const conn_t *conn, record_t *to);

// False: FIELD is of a table, and wrong.
bool connfields_restore(conn_t *conn, const record_field_t *field);

#endif
