/*
 * Huffman codes as Go's compress/flate builds them, in every generation: length-limited
 * by package merge, with Go's way of breaking ties. See huffman.c.
 */
#ifndef IMGCONV_HUFFMAN_H
#define IMGCONV_HUFFMAN_H

#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"

enum {
    LITERAL_CODES = 286, /* 256 literals, end of block, 29 length codes */
    OFFSET_CODES = 30,
    CODEGEN_CODES = 19,
    END_OF_BLOCK = 256,
    LENGTH_CODE_0 = 257,
};

/* A code: its bits already reversed for output, and their number; length 0: unused. */
typedef struct {
    uint16_t bits;
    uint16_t length;
} huffman_code;

/*
 * Make the code for `n` (<= LITERAL_CODES) symbols with these frequencies (each, and their
 * sum, below 2^22). No code is longer than max_length (7 or 15). One or two used symbols get one bit
 * each, in order; unused symbols get length 0 (and bits 0).
 */
void huffman_build(huffman_code *codes, const uint32_t *frequency, size_t n, int max_length);

/* The cost in bits of symbols with these frequencies. */
uint64_t huffman_cost(const huffman_code *codes, const uint32_t *frequency, size_t n);

/* The header of a dynamic block: the run-length coded code lengths (RFC 1951, 3.2.7). */
typedef struct {
    uint8_t symbols[LITERAL_CODES + OFFSET_CODES + 1]; /* with their arguments, in order */
    size_t count;
    uint32_t frequency[CODEGEN_CODES];
    huffman_code codes[CODEGEN_CODES];
    unsigned codegens; /* how many code lengths of the code itself are sent: 4..19 */
    uint64_t size;     /* of the whole header in bits, the three bits of the block included */
    unsigned literals; /* as given */
    unsigned offsets;
} dynamic_header;

void dynamic_header_make(dynamic_header *h, const huffman_code *literal, unsigned literals,
                         const huffman_code *offset, unsigned offsets);
void dynamic_header_write(const dynamic_header *h, bit_writer *out);

/* The fixed code of RFC 1951, 3.2.6. */
extern const huffman_code fixed_literal_code[LITERAL_CODES];
extern const huffman_code fixed_offset_code[OFFSET_CODES];

/* What a length (3..258, less 3) and an offset (1..32768, less 1) become. */
extern const uint8_t length_code_of[256];     /* 0..28 */
extern const uint8_t length_extra_bits[29];
extern const uint8_t length_base[29];         /* less 3 */
/* The code of offset-1: at that place below 256, else at 256 + (offset-1)/128. */
extern const uint8_t offset_codes[512];
extern const uint8_t offset_extra_bits[OFFSET_CODES];
extern const uint16_t offset_base[OFFSET_CODES]; /* less 1 */

static inline unsigned offset_code_of(uint32_t offset_less_1) {
    /* One load for both cases: near and far offsets come in no order that a processor
     * could predict. */
    return offset_codes[offset_less_1 < 256 ? offset_less_1 : 256 + (offset_less_1 >> 7)];
}

#endif
