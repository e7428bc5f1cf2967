/* Estimating the size of symbols under a code of their own, as klauspost/compress and Go do. */
#ifndef IMGCONV_GO127_ENTROPY_H
#define IMGCONV_GO127_ENTROPY_H

#include <stdint.h>
#include <string.h>

/*
 * An approximation of log2 of a positive number: the exponent, and a parabola of the mantissa.
 *
 * The result is rounded to single precision after every operation, and so is every sum of such
 * results. A compiler that fused a multiplication with an addition would get different last digits,
 * sometimes a different estimate, and so different bytes. Files that include this one have to be
 * compiled with -ffp-contract=off where the base instruction set has a fused operation (arm64).
 */
static inline float approximate_log2(float x) {
    uint32_t pattern;
    memcpy(&pattern, &x, sizeof pattern);
    float exponent = (float)((int32_t)(pattern >> 23 & 255) - 128);
    pattern = (pattern & 0x807fffff) + ((uint32_t)127 << 23);
    float mantissa; /* in [1, 2) */
    memcpy(&mantissa, &pattern, sizeof mantissa);
    float bend = -0.34484843f * mantissa;
    bend = bend + 2.02466578f;
    bend = bend * mantissa;
    bend = bend - 0.67487759f;
    return exponent + bend;
}

#endif
