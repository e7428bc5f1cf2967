/*
 * Go up to 1.26 without matches: "huffman" (HuffmanOnly, literals with a code per block)
 * and "store" (NoCompression). Blocks are 65,535 bytes and know nothing of each other.
 */
#include "encoder.h"
#include "go126_coder.h"

enum { BLOCK_SIZE = 65535 };

static void plain_init(void *state, int level) {
    (void)state;
    (void)level;
}

static void huffman_encode(void *state, const block_input *block, bit_writer *out) {
    (void)state;
    if (out != NULL)
        go126_code_literals(block->data, block->length, out);
}

static void store_encode(void *state, const block_input *block, bit_writer *out) {
    (void)state;
    if (out != NULL)
        bits_stored(out, block->data, block->length, false);
}

static void plain_finish(void *state, bit_writer *out) {
    (void)state;
    go126_code_end(out);
}

static void plain_save(const void *state, void *snapshot) {
    (void)state;
    (void)snapshot;
}

static void plain_load(void *state, int level, const void *snapshot, uint64_t position) {
    (void)state;
    (void)level;
    (void)snapshot;
    (void)position;
}

const block_encoder go126_huffman_only = {
    .block_size = BLOCK_SIZE,
    .init = plain_init,
    .encode = huffman_encode,
    .finish = plain_finish,
    .save = plain_save,
    .load = plain_load,
};

const block_encoder go126_store = {
    .block_size = BLOCK_SIZE,
    .init = plain_init,
    .encode = store_encode,
    .finish = plain_finish,
    .save = plain_save,
    .load = plain_load,
};
