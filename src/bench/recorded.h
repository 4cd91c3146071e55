// SPDX-License-Identifier: MPL-2.0
// recorded.h - reads what `zbrokerctl record' writes: one message a line, as JSON.
// The file may come from anywhere: the length of a line is bounded, and what is no
// message is said to be none.

#ifndef ZB_BENCH_RECORDED_H
#define ZB_BENCH_RECORDED_H

#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
    size_t at, size; // in the bytes of its message
} recorded_frame_t;

// One message; its memory is used for the next one.
typedef struct {
    int64_t wall_ns;
    bool from_backend; // where it came in
    text_t bytes;      // of all frames
    recorded_frame_t *frames;
    size_t count, room;
} recorded_t;

typedef enum {
    RECORDED_MESSAGE,
    RECORDED_COUNT, // of what was missed: the last line
    RECORDED_WRONG,
} recorded_line_t;

recorded_line_t recorded_parse(recorded_t *self, const char *line, size_t size);
void recorded_free(recorded_t *self);

// The lines of a file.
typedef struct {
    FILE *file;
    uint64_t number; // of the line in hand, from 1
    text_t line;     // without its end
} recorded_lines_t;

// False: there is no other, or it is TOO_LONG, or the file cannot be read: errno.
bool recorded_next(recorded_lines_t *self, bool *too_long);

#endif
