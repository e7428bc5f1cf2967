/*
 * Go up to 1.26 without matches: "huffman" (HuffmanOnly, literals with a code per block)
 * and "store" (NoCompression). Blocks are 65,535 bytes and know nothing of each other.
 */
#include "encoder.h"
#include "go126/block_writer.h"
#include "parallel/no_match.h"

enum { BLOCK_SIZE = 65535 };

const block_encoder go126_huffman_only = {
    .block_size = BLOCK_SIZE,
    .parse = parse_as_literals,
    .code = go126_code_block,
    .end = go126_code_end,
};

const block_encoder go126_store = {
    .block_size = BLOCK_SIZE,
    .parse = parse_as_stored,
    .code = go126_code_block,
    .end = go126_code_end,
};
