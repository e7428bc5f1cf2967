/* Comparing two places in the input, a word at a time, and what else matching wants of compilers. */
#ifndef IMGCONV_MATCH_H
#define IMGCONV_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"

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

/* Clang takes a condition apart into branches; this keeps it from seeing what `value` is made of. */
#if defined(__clang__)
#define KEEP_WHOLE(value) __asm__("" : "+r"(value))
#else
#define KEEP_WHOLE(value) ((void)0)
#endif

/* Whether these four bytes stand `distance` before p, where nothing farther than `reach` may be
 * looked at. Which of the conditions fails is as unforeseeable as whether one does: so both are
 * worked into one comparison, in arithmetic of which no compiler makes two branches. */
static inline bool repeats(const uint8_t *p, uint32_t four, uint32_t distance, uint32_t reach) {
    uint64_t in_reach = 0 - (((uint64_t)distance - reach - 1) >> 63); /* all ones or 0 */
    uint64_t different = (load32(p - (distance & in_reach)) ^ four) | ~in_reach;
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
