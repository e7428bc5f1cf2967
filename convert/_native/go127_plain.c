/*
 * Go 1.27 without matches: "huffman" (HuffmanOnly) and "store" (NoCompression).
 *
 * Parallel: stored blocks remember nothing. Of Huffman-only blocks the open table is all
 * that crosses a boundary; a worker that starts without one is in step from the first block
 * on that opens a new table, and comparing snapshots shows it.
 */
#include "encoder.h"
#include "go127_coder.h"

enum {
    HUFFMAN_BLOCK = 32768,
    HUFFMAN_PENALTY = 10,
    STORE_BLOCK = 65535,
};

static void huffman_init(void *state, int level) {
    (void)level;
    go127_coder_init(state, HUFFMAN_PENALTY);
}

static void huffman_encode(void *state, const block_input *block, bit_writer *out) {
    plain_block plain = {block->data, block->length};
    block_plan plan;
    go127_plan_literals(&plan, plain, block->last);
    go127_code(state, &plan, NULL, plain, out);
}

static void huffman_save(const void *state, void *snapshot) {
    go127_coder_save(state, snapshot);
}

static void huffman_load(void *state, int level, const void *snapshot, uint64_t position) {
    (void)level;
    (void)position;
    go127_coder_load(state, HUFFMAN_PENALTY, snapshot);
}

static void store_init(void *state, int level) {
    (void)level;
    go127_coder_init(state, 0);
}

static void store_encode(void *state, const block_input *block, bit_writer *out) {
    plain_block plain = {block->data, block->length};
    block_plan plan;
    go127_plan_stored(&plan);
    go127_code(state, &plan, NULL, plain, out);
}

static void store_save(const void *state, void *snapshot) {
    (void)state;
    (void)snapshot;
}

static void store_load(void *state, int level, const void *snapshot, uint64_t position) {
    (void)snapshot;
    (void)position;
    store_init(state, level);
}

static void finish(void *state, bit_writer *out) {
    go127_code_end(state, out);
}

const block_encoder go127_huffman_only = {
    .block_size = HUFFMAN_BLOCK,
    .history = 0,
    .warmup_blocks = 2,
    .state_size = sizeof(go127_coder),
    .snapshot_size = sizeof(go127_coder_snapshot),
    .init = huffman_init,
    .encode = huffman_encode,
    .finish = finish,
    .save = huffman_save,
    .load = huffman_load,
};

const block_encoder go127_store = {
    .block_size = STORE_BLOCK,
    .history = 0,
    .warmup_blocks = 0,
    .state_size = sizeof(go127_coder),
    .snapshot_size = 0,
    .init = store_init,
    .encode = store_encode,
    .finish = finish,
    .save = store_save,
    .load = store_load,
};
