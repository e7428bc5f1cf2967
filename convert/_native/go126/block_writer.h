/*
 * Turning the tokens of one block into bits, as Go up to 1.26 does. Every block stands for
 * itself: nothing is remembered from one to the next, so blocks can be coded in any order.
 */
#ifndef IMGCONV_GO126_CODER_H
#define IMGCONV_GO126_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"
#include "encoder.h"
#include "deflate/huffman.h"
#include "deflate/tokens.h"

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

/* Levels 2 to 9: the smallest of fixed, dynamic and (if it may be) stored. */
void go126_code_smallest(const token_block *block, bit_writer *out);

/* Level 1, "huffman" and "store", as block encoders want it. Every block is coded for itself:
 * there is no coder and no plan. */
void go126_code_block(void *coder, void *plan, const block_input *block,
                      const parsed_block *parsed, bit_writer *out);

/* Every stream of this generation ends with an empty stored block. */
void go126_code_end(void *coder, bit_writer *out);

#endif
