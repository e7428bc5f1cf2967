/*
 * Go up to 1.26 without matches: "huffman" (HuffmanOnly) and "store" (NoCompression).
 *
 * Algorithm: blocks of 65,535 bytes, independent of each other; literals with a Huffman code per
 * block, or stored.
 *
 * Why the bytes are Go's: the block size is Go's (maxStoreBlockSize), and block_writer.c decides
 * between a code and a stored block as Go's writeBlockHuff does.
 */
#include "go126/block_writer.h"
#include "go126/go126.h"

enum { BLOCK_SIZE = 65535 };

const block_encoder go126_huffman_only = {
    .block_size = BLOCK_SIZE,
    .parse = parallel_parse_as_literals,
    .write = go126_write_block,
    .end = go126_write_end,
};

const block_encoder go126_store = {
    .block_size = BLOCK_SIZE,
    .parse = parallel_parse_as_stored,
    .write = go126_write_block,
    .end = go126_write_end,
};
