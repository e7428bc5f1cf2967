/* Comparing two places in the input, a word at a time, and compiler hints for match search. */
#ifndef IMGCONV_DEFLATE_MATCH_H
#define IMGCONV_DEFLATE_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"

#if defined(__GNUC__) || defined(__clang__)
#define NEVER_INLINE __attribute__((noinline))
#define ALWAYS_INLINE inline __attribute__((always_inline))
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define NEVER_INLINE
#define ALWAYS_INLINE inline
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

/* Clang splits a condition into branches; this hides from it how `value` is computed. */
#if defined(__clang__)
#define KEEP_WHOLE(value) __asm__("" : "+r"(value))
#else
#define KEEP_WHOLE(value) ((void)0)
#endif

/* Whether the four bytes `distance` before p equal `four`. If the distance is more than
 * `max_distance`, the result is false and nothing is read there. Neither condition is predictable,
 * so both become one comparison, in arithmetic that no compiler turns into two branches. */
static inline bool repeats(const uint8_t *p, uint32_t four, uint32_t distance,
                           uint32_t max_distance) {
    uint64_t near = 0 - (((uint64_t)distance - max_distance - 1) >> 63); /* all ones or 0 */
    uint64_t different = (load32(p - (distance & near)) ^ four) | ~near;
    KEEP_WHOLE(different);
    return different == 0;
}

/* How many bytes at a and b are equal, at most `limit`; neither is read beyond it. */
static inline size_t match_length(const uint8_t *a, const uint8_t *b, size_t limit) {
    size_t n = 0;
    for (; limit - n >= 8; n += 8) {
        uint64_t difference = load64(a + n) ^ load64(b + n);
        if (difference != 0)
            return n + trailing_zero_bytes(difference);
    }
    while (n < limit && a[n] == b[n])
        n++;
    return n;
}

#endif
