/* Length-limited Huffman codes as Go's compress/flate builds them, in every release; huffman.c. */
#ifndef IMGCONV_DEFLATE_HUFFMAN_H
#define IMGCONV_DEFLATE_HUFFMAN_H

#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"
#include "deflate/tables.h"

/*
 * Build the code for `n` (at most LITERAL_CODES) symbols with these frequencies (each, and their
 * sum, below 2^22). No code is longer than max_length (7 or 15). One or two used symbols get one
 * bit each, in order; unused symbols get length 0 (and bits 0).
 */
void deflate_huffman_build(huffman_code *codes, const uint32_t *frequency, size_t n,
                           int max_length);

/* The size in bits of symbols with these frequencies. */
uint64_t deflate_huffman_cost(const huffman_code *codes, const uint32_t *frequency, size_t n);

/* The header of a dynamic block: the run-length encoded code lengths (RFC 1951, 3.2.7). */
typedef struct {
    uint8_t symbols[LITERAL_CODES + OFFSET_CODES + 1]; /* in order, each with its argument */
    size_t count;
    uint32_t frequency[CODEGEN_CODES];
    huffman_code codes[CODEGEN_CODES];
    unsigned codegens; /* how many lengths of the code-length code are sent: 4 to 19 */
    uint64_t size;     /* of the header in bits, with the three bits of the block */
    unsigned literals; /* symbols of each alphabet, as passed in */
    unsigned offsets;
} dynamic_header;

void deflate_header_make(dynamic_header *h, const huffman_code *literal, unsigned literals,
                         const huffman_code *offset, unsigned offsets);
void deflate_header_write(const dynamic_header *h, bit_writer *out);

#endif
