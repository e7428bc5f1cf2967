/*
 * Go 1.27 without matches: "huffman" (HuffmanOnly) and "store" (NoCompression). Of Huffman-only
 * blocks the open table crosses a boundary, and that is the coder's.
 */
#include "encoder.h"
#include "go127/block_writer.h"
#include "parallel/no_match.h"

enum {
    HUFFMAN_BLOCK = 32768,
    HUFFMAN_PENALTY = 10,
    STORE_BLOCK = 65535,
};

static void huffman_init(void *coder, int level) {
    (void)level;
    go127_coder_init(coder, HUFFMAN_PENALTY);
}

static void store_init(void *coder, int level) {
    (void)level;
    go127_coder_init(coder, 0);
}

#define PLAIN_ENCODER(size, init, parser)                                                        \
    {                                                                                            \
        .block_size = (size), .parse = (parser), .coder_size = sizeof(go127_coder),              \
        .plan_size = sizeof(block_plan), .coder_init = (init), .plan = go127_block_plan,         \
        .complete = go127_block_complete, .code = go127_block_code, .end = go127_block_end,      \
    }

const block_encoder go127_huffman_only =
    PLAIN_ENCODER(HUFFMAN_BLOCK, huffman_init, parse_as_literals);
const block_encoder go127_store = PLAIN_ENCODER(STORE_BLOCK, store_init, parse_as_stored);
