// SPDX-License-Identifier: MPL-2.0
// crc32c.h - CRC-32C (Castagnoli): finds bytes that a disk has changed, not those that
// somebody has.

#ifndef ZB_CRC32C_H
#define ZB_CRC32C_H

#include <stddef.h>
#include <stdint.h>

// Of BYTES after what CRC is of; 0 is of nothing.
uint32_t crc32c(uint32_t crc, const void *bytes, size_t size);
uint32_t crc32c_by_table(uint32_t crc, const void *bytes, size_t size); // the same, on any processor

// Of as many rows of SIZE bytes at once, which takes hardly longer than one.
enum { CRC32C_ROWS = 4 };
void crc32c_rows(uint32_t crcs[CRC32C_ROWS], const uint8_t *const rows[CRC32C_ROWS], size_t size);

#endif
