// SPDX-License-Identifier: MPL-2.0
#include "flow/envelope.h"

#include <stdbool.h>
#include <stdio.h>

void
envelope_begin(envelope_t *self, const char *route, side_t side)
{
    self->head = (size_t)snprintf(self->text, sizeof self->text, "%s %s ", route, side_name(side));
    self->wall_ns = -1;
}

static char *
write_number(char *to, uint64_t value)
{
    char digits[20];
    size_t count = 0;
    do
        digits[count++] = (char)('0' + value % 10);
    while (value /= 10);
    while (count > 0)
        *to++ = digits[--count];
    return to;
}

static void
write_all(envelope_t *self, uint64_t seq, int64_t wall_ns)
{
    char *end = write_number(self->text + self->head, seq);
    self->units = (size_t)(end - self->text) - 1;
    *end++ = ' ';
    self->size = (size_t)(write_number(end, (uint64_t)wall_ns) - self->text);
    self->wall_ns = wall_ns;
}

// The number after the one that is written. False: it has a digit more.
static bool
count_up(envelope_t *self)
{
    char *digit = self->text + self->units;
    while (*digit == '9')
        *digit-- = '0';
    if (*digit == ' ')
        return false;
    ++*digit;
    return true;
}

void
envelope_write(envelope_t *self, uint64_t seq, int64_t wall_ns)
{
    if (seq != self->seq + 1 || wall_ns != self->wall_ns || !count_up(self))
        write_all(self, seq, wall_ns);
    self->seq = seq;
}
