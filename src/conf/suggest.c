// SPDX-License-Identifier: MPL-2.0
#include "conf/suggest.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define WORD_MAX 64

static unsigned
smaller(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

// Optimal string alignment: Levenshtein's table with swaps, three rows of it at a time.
unsigned
suggest_distance(const char *a, const char *b)
{
    size_t a_size = strlen(a), b_size = strlen(b);
    if (a_size > WORD_MAX || b_size > WORD_MAX)
        return UINT_MAX;
    unsigned rows[3][WORD_MAX + 1];
    for (size_t j = 0; j <= b_size; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_size; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_size; j++) {
            int x = tolower((unsigned char)a[i - 1]), y = tolower((unsigned char)b[j - 1]);
            row[j] = smaller(smaller(above[j], row[j - 1]) + 1, above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == tolower((unsigned char)b[j - 2]) && y == tolower((unsigned char)a[i - 2]))
                row[j] = smaller(row[j], two_above[j - 2] + 1);
        }
    }
    return rows[a_size % 3][b_size];
}

suggest_t
suggest_for(const char *wrong)
{
    return (suggest_t){ .wrong = wrong, .distance = UINT_MAX };
}

void
suggest_offer(suggest_t *self, const char *word)
{
    // A third of the letters wrong is a typing error, more is another word. Most words differ by more in length alone.
    size_t size = strlen(self->wrong), word_size = strlen(word);
    unsigned limit = size < 4 ? 1 : size < 9 ? 2 : size < 15 ? 3 : 4;
    if (word_size > size + limit || size > word_size + limit || word_size >= sizeof self->best)
        return;
    unsigned distance = suggest_distance(self->wrong, word);
    if (distance > limit || distance >= self->distance)
        return;
    self->distance = distance;
    snprintf(self->best, sizeof self->best, "%s", word);
}
