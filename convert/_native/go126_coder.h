/*
 * Turning the tokens of one block into bits, as Go up to 1.26 does. Every block stands for
 * itself: nothing is remembered from one to the next, so blocks can be coded in any order.
 */
#ifndef IMGCONV_GO126_CODER_H
#define IMGCONV_GO126_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bits.h"
#include "huffman.h"

/* A run of literals and the match behind it: `literals + 1` tokens. The values of the
 * literals are kept apart, all in one row, because that is quick to count. */
typedef struct {
    uint32_t literals;
    uint16_t length; /* less 3 */
    uint16_t offset; /* less 1 */
} sequence;

/* The tokens of a block: sequences, then a tail of literals. */
typedef struct {
    const uint8_t *data; /* the input they stand for; NULL: it must not be stored */
    size_t size;         /* how many bytes of input that is */
    const uint8_t *literals; /* the values of all literals, in order */
    size_t literal_count;
    const sequence *sequences;
    size_t count;
    uint32_t skip; /* literals of the first sequence that belong to the block before */
    uint32_t tail; /* literals after the last sequence */
} token_block;

/* Level 1: dynamic code, or stored if that is not at least about 1/16 larger. */
void go126_code_dynamic(const token_block *block, bit_writer *out);

/* Levels 2 to 9: the smallest of fixed, dynamic and (if it may be) stored. */
void go126_code_smallest(const token_block *block, bit_writer *out);

/* Literals only, or stored: "huffman", and what does not pay to match at level 1. */
void go126_code_literals(const uint8_t *data, size_t size, bit_writer *out);

/* Every stream of this generation ends with an empty stored block. */
void go126_code_end(bit_writer *out);

#endif
