/*
 * Go 1.27 without matches: "huffman" (HuffmanOnly) and "store" (NoCompression).
 *
 * Algorithm: blocks of 32,768 bytes as literals, or of 65,535 bytes stored.
 *
 * Why the bytes are Go's: the block sizes and the penalty are Go's; everything else is decided by
 * block_writer.c.
 *
 * In parallel: of "huffman", the open tables cross a block boundary, and they are part of the
 * writer's state.
 */
#include "go127/block_writer.h"
#include "go127/go127.h"

enum {
    HUFFMAN_BLOCK = 32768,
    HUFFMAN_PENALTY = 10,
    STORE_BLOCK = 65535,
};

static void huffman_init(void *writer, int level) {
    (void)level;
    go127_writer_init(writer, HUFFMAN_PENALTY);
}

static void store_init(void *writer, int level) {
    (void)level;
    go127_writer_init(writer, 0);
}

#define PLAIN_ENCODER(size, init, parser)                                                          \
    {                                                                                              \
        .block_size = (size),                                                                      \
        .parse = (parser),                                                                         \
        .writer_size = sizeof(go127_writer),                                                       \
        .plan_size = sizeof(block_plan),                                                           \
        .writer_init = (init),                                                                     \
        .plan = go127_block_plan,                                                                  \
        .complete = go127_block_complete,                                                          \
        .write = go127_block_write,                                                                \
        .end = go127_block_end,                                                                    \
    }

const block_encoder go127_huffman_only =
    PLAIN_ENCODER(HUFFMAN_BLOCK, huffman_init, parallel_parse_as_literals);
const block_encoder go127_store = PLAIN_ENCODER(STORE_BLOCK, store_init, parallel_parse_as_stored);
