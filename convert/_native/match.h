/* Comparing two places in the input, eight bytes at a time. */
#ifndef IMGCONV_MATCH_H
#define IMGCONV_MATCH_H

#include <stddef.h>
#include <stdint.h>

#include "bits.h"

static inline unsigned trailing_zero_bytes(uint64_t v) {
#if defined(__GNUC__) || defined(__clang__)
    return (unsigned)__builtin_ctzll(v) >> 3;
#else
    unsigned n = 0;
    while ((v & 0xff) == 0) {
        v >>= 8;
        n++;
    }
    return n;
#endif
}

/* How many bytes at a and b are equal, at most `limit`; neither is read beyond it. */
static inline size_t match_length(const uint8_t *a, const uint8_t *b, size_t limit) {
    size_t n = 0;
    while (limit - n >= 8) {
        uint64_t difference = load64(a + n) ^ load64(b + n);
        if (difference != 0)
            return n + trailing_zero_bytes(difference);
        n += 8;
    }
    while (n < limit && a[n] == b[n])
        n++;
    return n;
}

#endif
