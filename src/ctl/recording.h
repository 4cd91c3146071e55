// SPDX-License-Identifier: MPL-2.0
// recording.h - the file that `record' writes, with the rights of whoever runs
// zbrokerctl: a new one, or in place of an older recording of theirs.

#ifndef ZB_CTL_RECORDING_H
#define ZB_CTL_RECORDING_H

#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

typedef struct {
    int fd;
    const char *path; // borrowed; "-" is standard output
    bool created, emptied;
    off_t size;     // of what is written
    uint64_t lines; // of it
} recording_t;

// Nothing of an older recording is lost yet. A symbolic link, a file of somebody else, one with a second name and one
// that is no recording are refused, with the reason.
bool recording_open(recording_t *self, const char *path, text_t *reason);

// LINES are whole ones. False with the reason: the file ends with the last line for which there was room.
bool recording_write(recording_t *self, const text_t *lines, text_t *reason);

// A new file without a line does not stay. False with the reason: what was written is not safe.
bool recording_close(recording_t *self, text_t *reason);

#endif
