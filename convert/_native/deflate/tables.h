/*
 * The alphabets and fixed codes of DEFLATE (RFC 1951, 3.2.5 and 3.2.6). Lengths (3 to 258) are
 * given minus 3, offsets (1 to 32768) minus 1.
 */
#ifndef IMGCONV_DEFLATE_TABLES_H
#define IMGCONV_DEFLATE_TABLES_H

#include <stddef.h>
#include <stdint.h>

enum {
    LITERAL_CODES = 286, /* 256 literals, end of block, length codes */
    LENGTH_CODES = 29,
    OFFSET_CODES = 30,
    CODEGEN_CODES = 19, /* the code of code lengths */
    END_OF_BLOCK = 256,
    LENGTH_CODE_0 = 257,
    CODEGEN_REPEAT = 16,      /* the previous length, 3 to 6 times */
    CODEGEN_ZEROS_SHORT = 17, /* 3 to 10 zeros */
    CODEGEN_ZEROS_LONG = 18,  /* 11 to 138 zeros */
};

/* A code: its bits, reversed for output, and their number; length 0: unused. */
typedef struct {
    uint16_t bits;
    uint16_t length;
} huffman_code;

extern const huffman_code deflate_fixed_literals[LITERAL_CODES];
extern const huffman_code deflate_fixed_offsets[OFFSET_CODES];

extern const uint8_t deflate_length_codes[256]; /* of each length, 0 to 28 */
extern const uint8_t deflate_length_extra_bits[LENGTH_CODES];
extern const uint8_t deflate_length_base[LENGTH_CODES];
/* Of each offset below 256; then, at 256 + offset / 128, of larger ones. */
extern const uint8_t deflate_offset_codes[512];
extern const uint8_t deflate_offset_extra_bits[OFFSET_CODES];
extern const uint16_t deflate_offset_base[OFFSET_CODES];

/* The order in which the lengths of the code-length code are sent (RFC 1951, 3.2.7). */
extern const uint8_t deflate_codegen_order[CODEGEN_CODES];

static inline unsigned offset_code(uint32_t offset) {
    /* One load for both cases: which one it is cannot be predicted. */
    return deflate_offset_codes[offset < 256 ? offset : 256 + (offset >> 7)];
}

#endif
