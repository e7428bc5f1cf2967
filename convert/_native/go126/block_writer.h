/* Writing one block as Go up to 1.26 does. Blocks are independent: any order will do. */
#ifndef IMGCONV_GO126_BLOCK_WRITER_H
#define IMGCONV_GO126_BLOCK_WRITER_H

#include "deflate/bits.h"
#include "deflate/tokens.h"
#include "parallel/block_encoder.h"

/* Levels 2 to 9: the smallest of fixed, dynamic and stored. The tokens stand for `size` bytes of
 * input; with `data` NULL the block must not be stored. */
void go126_write_smallest(const parsed_block *tokens, const uint8_t *data, size_t size,
                          bit_writer *out);

/* Level 1, "huffman" and "store", for a block_encoder. Writer state and plan do not exist. */
void go126_write_block(void *writer, void *plan, const block_input *block,
                       const parsed_block *parsed, bit_writer *out);

/* End a stream: an empty stored block, at every level. */
void go126_write_end(void *writer, bit_writer *out);

#endif
