/*
 * The upper halves of x86's vector registers, as other libraries leave them.
 *
 * After AVX code that does not clear them at its end (the CRC-32 of ISA-L is such), every SSE
 * instruction of the thread has to wait for what its register held before, until somebody
 * clears them: an encoder lost 8 to 14 % of its speed by it, on an Intel Sapphire Rapids.
 */
#ifndef IMGCONV_UPPER_HALVES_H
#define IMGCONV_UPPER_HALVES_H

/* Clear them; takes a few cycles. Nothing where there are none. */
static inline void clear_upper_halves(void) {
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vzeroupper" ::
                             : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7",
                               "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15");
#endif
}

#endif
