// SPDX-License-Identifier: MPL-2.0
// relay.h - an answer, passed on line by line as it comes.

#ifndef ZB_CTL_RELAY_H
#define ZB_CTL_RELAY_H

#include "ctl/connection.h"
#include "ctl/sheet.h"

#include <stdbool.h>

typedef enum {
    RELAY_LINES,
    RELAY_PROSE, // folded on a terminal
    RELAY_JSON,
} relay_t;

// Pass the answer on. A failure goes to standard error, unless it is JSON. After an interrupt that is
// counted the daemon is asked to end its answer.
exit_t relay_answer(connection_t *connection, sheet_t *sheet, relay_t how);

// Print an error that came as JSON as the daemon would have said it in words. False: ANSWER is no error.
bool relay_error(const document_value_t *answer);

#endif
