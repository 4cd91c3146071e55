// SPDX-License-Identifier: MPL-2.0
// units.h - numbers as people write them: 10s, 16M, yes. What is printed is
// canonical, the shortest form that is exact: reading it gives the same number.

#ifndef ZB_UNITS_H
#define ZB_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UNITS_TEXT 32 // bytes that any of the print functions needs

#define UNITS_BEYOND (-2)

// Each returns 0, -1 when TEXT is not of that kind, or UNITS_BEYOND when it is, but does not fit 64 bits.
int units_number(const char *text, int64_t *value);                  // decimal or 0x…, with a sign
int units_time(const char *text, int64_t bare_unit_ms, int64_t *ms); // ms s m h; a bare number counts BARE_UNIT_MS each
int units_size(const char *text, int64_t *bytes);                    // k M G (K too), 1024 each step
int units_switch(const char *text, bool *value);                     // yes/no true/false on/off 1/0, any case
int units_mode(const char *text, int64_t *mode);                     // octal, 0 to 0777

void units_print_time(int64_t ms, char text[UNITS_TEXT]);
void units_print_size(int64_t bytes, char text[UNITS_TEXT]);

// The end of a range, for a message: INT_MAX is shown bare, it is nobody's 2147483647ms.
void units_print_end(int64_t number, void (*print)(int64_t, char[UNITS_TEXT]), char text[UNITS_TEXT]);

// For the end of a complaint about TEXT, which is no number: "; a count has no unit, write 10000" where IS_COUNT and it
// has one, else "". HINT may hold what is returned.
#define UNITS_HINT 64
const char *units_hint(const char *text, bool is_count, char hint[UNITS_HINT]);

#endif
