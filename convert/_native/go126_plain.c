/*
 * Go up to 1.26 without matches: "huffman" (HuffmanOnly, literals with a code per block)
 * and "store" (NoCompression). Blocks are 65,535 bytes and know nothing of each other.
 */
#include "encoder.h"
#include "go126_coder.h"

enum { BLOCK_SIZE = 65535 };

static void huffman_parse(void *parser, const block_input *block, block_room room,
                          parsed_block *parsed) {
    (void)parser;
    (void)block;
    (void)room;
    parsed->kind = BLOCK_LITERALS;
}

static void store_parse(void *parser, const block_input *block, block_room room,
                        parsed_block *parsed) {
    (void)parser;
    (void)block;
    (void)room;
    parsed->kind = BLOCK_STORED;
}

const block_encoder go126_huffman_only = {
    .block_size = BLOCK_SIZE,
    .parse = huffman_parse,
    .code = go126_code_block,
    .end = go126_code_end,
};

const block_encoder go126_store = {
    .block_size = BLOCK_SIZE,
    .parse = store_parse,
    .code = go126_code_block,
    .end = go126_code_end,
};
