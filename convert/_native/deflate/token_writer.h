/* Counting and writing the tokens of a block under a Huffman code, shared by the families of Go. */
#ifndef IMGCONV_DEFLATE_TOKEN_WRITER_H
#define IMGCONV_DEFLATE_TOKEN_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"
#include "deflate/tables.h"
#include "deflate/tokens.h"

/* Set frequency[0..255] to the number of times each byte value occurs. */
void deflate_count_bytes(const uint8_t *data, size_t n, uint32_t *frequency);

/* The frequencies of all LITERAL_CODES and OFFSET_CODES symbols, one end of block included. */
void deflate_count_tokens(const parsed_block *block, uint32_t *literal_frequency,
                          uint32_t *offset_frequency);

/* Write literals. The codes must have one for each value that occurs. */
void deflate_write_literals(const uint8_t *data, size_t n, const huffman_code *literal,
                            bit_writer *out);

/* Write the tokens of a block and, if `end`, the end-of-block symbol. LITERAL_SLACK bytes must
 * be readable behind the block's literals. */
void deflate_write_tokens(const parsed_block *block, const huffman_code *literal,
                          const huffman_code *offset, bool end, bit_writer *out);

#endif
