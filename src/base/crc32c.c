// SPDX-License-Identifier: MPL-2.0
#include "base/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

enum { LANES = 8 }; // bytes at once

static uint32_t table[LANES][256];
static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool in_hardware;

static void
make_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? UINT32_C(0x82f63b78) : 0);
        table[0][i] = crc;
    }
    for (unsigned lane = 1; lane < LANES; lane++)
        for (unsigned i = 0; i < 256; i++)
            table[lane][i] = table[lane - 1][i] >> 8 ^ table[0][table[lane - 1][i] & 255];
#ifdef __x86_64__
    in_hardware = __builtin_cpu_supports("sse4.2");
#endif
}

static uint32_t
step(uint32_t crc, uint8_t byte)
{
    return crc >> 8 ^ table[0][(crc ^ byte) & 255];
}

uint32_t
crc32c_by_table(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    pthread_once(&once, make_table);
    crc = ~crc;
    for (; size >= LANES; at += LANES, size -= LANES) {
        uint32_t next = 0;
        for (unsigned lane = 0; lane < LANES; lane++)
            next ^= table[LANES - 1 - lane][(lane < 4 ? at[lane] ^ crc >> 8 * lane : at[lane]) & 255];
        crc = next;
    }
    for (; size > 0; at++, size--)
        crc = step(crc, *at);
    return ~crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t
in_words(uint32_t crc, const void *bytes, size_t size)
{
    const uint8_t *at = bytes;
    uint64_t wide = (uint32_t)~crc;
    for (; size >= sizeof wide; at += sizeof wide, size -= sizeof wide) {
        uint64_t word;
        memcpy(&word, at, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; size > 0; at++, size--)
        crc = __builtin_ia32_crc32qi(crc, *at);
    return ~crc;
}
#endif

uint32_t
crc32c(uint32_t crc, const void *bytes, size_t size)
{
    pthread_once(&once, make_table);
#ifdef __x86_64__
    if (in_hardware)
        return in_words(crc, bytes, size);
#endif
    return crc32c_by_table(crc, bytes, size);
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static void
in_rows(uint32_t crcs[CRC32C_ROWS], const uint8_t *const rows[CRC32C_ROWS], size_t size)
{
    uint64_t wide[CRC32C_ROWS], word;
    size_t words = size - size % sizeof word;
    for (unsigned row = 0; row < CRC32C_ROWS; row++)
        wide[row] = (uint32_t)~crcs[row];
    for (size_t at = 0; at < words; at += sizeof word)
        for (unsigned row = 0; row < CRC32C_ROWS; row++) {
            memcpy(&word, rows[row] + at, sizeof word);
            wide[row] = __builtin_ia32_crc32di(wide[row], word);
        }
    for (unsigned row = 0; row < CRC32C_ROWS; row++)
        crcs[row] = in_words(~(uint32_t)wide[row], rows[row] + words, size - words);
}
#endif

void
crc32c_rows(uint32_t crcs[CRC32C_ROWS], const uint8_t *const rows[CRC32C_ROWS], size_t size)
{
    pthread_once(&once, make_table);
#ifdef __x86_64__
    if (in_hardware) {
        in_rows(crcs, rows, size);
        return;
    }
#endif
    for (unsigned row = 0; row < CRC32C_ROWS; row++)
        crcs[row] = crc32c_by_table(crcs[row], rows[row], size);
}
