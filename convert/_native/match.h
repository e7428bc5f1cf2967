/* Comparing two places in the input, a word at a time, and what else matching wants of compilers. */
#ifndef IMGCONV_MATCH_H
#define IMGCONV_MATCH_H

#include <stddef.h>
#include <stdint.h>

#include "bits.h"

#if defined(__GNUC__) || defined(__clang__)
#define NEVER_INLINE __attribute__((noinline))
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define NEVER_INLINE
#define PREFETCH(address) ((void)(address))
#endif

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
    while (limit - n >= 16) {
        /* Two words at once: most matches end in one of them, in which no one can predict. */
        uint64_t low = load64(a + n) ^ load64(b + n);
        uint64_t high = load64(a + n + 8) ^ load64(b + n + 8);
        if ((low | high) != 0)
            return n + (low != 0 ? 0 : 8) + trailing_zero_bytes(low != 0 ? low : high);
        n += 16;
    }
    while (n < limit && a[n] == b[n])
        n++;
    return n;
}

#endif
