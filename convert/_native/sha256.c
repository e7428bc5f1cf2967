/*
 * SHA-256 with the instructions of x86 processors ("SHA extensions", Intel SDM volume 2):
 * sha256rnds2 does two rounds, sha256msg1 and sha256msg2 make four words of the message
 * schedule. The state is held as ABEF and CDGH, as they want it.
 */
#include "sha256.h"

const uint32_t sha256_start[SHA256_WORDS] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                             0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))

#include <cpuid.h>
#include <immintrin.h>

/* Rounds are few and known: without this, GCC may keep the loop and the arrays in memory. */
#define UNROLL _Pragma("GCC unroll 16")
#define WITH_SHA __attribute__((target("sha,sse4.1,avx")))

/* FIPS 180-4, 4.2.2. */
static const uint32_t constants[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

bool sha256_available(void) {
    enum { FEATURES = 7, SHA_IN_EBX = 1 << 29 };
    unsigned a, b, c, d;
    return __get_cpuid_count(FEATURES, 0, &a, &b, &c, &d) && (b & SHA_IN_EBX) != 0 &&
           __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("avx");
}

/*
 * The same for any number of lanes: inlined below with each number as a constant, so that
 * the compiler unrolls all loops and keeps the arrays in registers.
 */
WITH_SHA static inline __attribute__((always_inline)) void
blocks_of(const int lanes, uint32_t *const state[], const uint8_t *const data[], size_t blocks) {
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i abef[SHA256_LANES], cdgh[SHA256_LANES];
    for (int i = 0; i < lanes; i++) {
        __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)&state[i][0]), 0xB1);
        __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)&state[i][4]), 0x1B);
        abef[i] = _mm_alignr_epi8(badc, hgfe, 8);
        cdgh[i] = _mm_blend_epi16(hgfe, badc, 0xF0);
    }
    for (size_t at = 0; at < blocks * SHA256_BLOCK; at += SHA256_BLOCK) {
        __m128i m[SHA256_LANES][4], abef_before[SHA256_LANES], cdgh_before[SHA256_LANES];
        for (int i = 0; i < lanes; i++) {
            abef_before[i] = abef[i];
            cdgh_before[i] = cdgh[i];
            for (int j = 0; j < 4; j++) {
                const __m128i *words = (const __m128i *)(data[i] + at + 16 * j);
                m[i][j] = _mm_shuffle_epi8(_mm_loadu_si128(words), big_endian);
            }
        }
        UNROLL for (int quad = 0; quad < 16; quad++) {
            /* Four rounds of every lane. What its words are needed for later comes between the
             * two halves, where the other lanes' rounds hide the time it takes. */
            const int now = quad & 3, next = (quad + 1) & 3, last = (quad - 1) & 3;
            const __m128i k = _mm_load_si128((const __m128i *)&constants[4 * quad]);
            __m128i sum[SHA256_LANES];
            for (int i = 0; i < lanes; i++) {
                sum[i] = _mm_add_epi32(m[i][now], k);
                cdgh[i] = _mm_sha256rnds2_epu32(cdgh[i], abef[i], sum[i]);
            }
            for (int i = 0; i < lanes; i++) {
                if (quad >= 3 && quad < 15) {
                    __m128i older = _mm_alignr_epi8(m[i][now], m[i][last], 4);
                    __m128i partly = _mm_add_epi32(m[i][next], older);
                    m[i][next] = _mm_sha256msg2_epu32(partly, m[i][now]);
                }
                abef[i] = _mm_sha256rnds2_epu32(abef[i], cdgh[i], _mm_shuffle_epi32(sum[i], 0x0E));
                if (quad >= 1 && quad < 13)
                    m[i][last] = _mm_sha256msg1_epu32(m[i][last], m[i][now]);
            }
        }
        for (int i = 0; i < lanes; i++) {
            abef[i] = _mm_add_epi32(abef[i], abef_before[i]);
            cdgh[i] = _mm_add_epi32(cdgh[i], cdgh_before[i]);
        }
    }
    for (int i = 0; i < lanes; i++) {
        __m128i feba = _mm_shuffle_epi32(abef[i], 0x1B);
        __m128i dchg = _mm_shuffle_epi32(cdgh[i], 0xB1);
        _mm_storeu_si128((__m128i *)&state[i][0], _mm_blend_epi16(feba, dchg, 0xF0));
        _mm_storeu_si128((__m128i *)&state[i][4], _mm_alignr_epi8(dchg, feba, 8));
    }
}

WITH_SHA void sha256_blocks(uint32_t *const state[], const uint8_t *const data[], size_t lanes,
                            size_t blocks) {
    switch (lanes) {
    case 1:
        blocks_of(1, state, data, blocks);
        break;
    case 2:
        blocks_of(2, state, data, blocks);
        break;
    case 3:
        blocks_of(3, state, data, blocks);
        break;
    case 4:
        blocks_of(4, state, data, blocks);
        break;
    default:
        break;
    }
}

#else

bool sha256_available(void) {
    return false;
}

void sha256_blocks(uint32_t *const state[], const uint8_t *const data[], size_t lanes,
                   size_t blocks) {
    (void)state;
    (void)data;
    (void)lanes;
    (void)blocks;
}

#endif
