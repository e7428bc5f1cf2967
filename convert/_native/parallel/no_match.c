/*
 * The parsers of encoders that search for no matches ("huffman" and "store").
 *
 * Algorithm: none; a parsed block consists of its kind alone.
 *
 * Why the bytes are the family's: every byte is decided by the family's block writer.
 */
#include "parallel/block_encoder.h"

void parallel_parse_as_literals(void *parser, const block_input *block, block_buffer buffer,
                                parsed_block *parsed) {
    (void)parser;
    (void)block;
    (void)buffer;
    parsed->kind = BLOCK_LITERALS;
}

void parallel_parse_as_stored(void *parser, const block_input *block, block_buffer buffer,
                              parsed_block *parsed) {
    (void)parser;
    (void)block;
    (void)buffer;
    parsed->kind = BLOCK_STORED;
}
