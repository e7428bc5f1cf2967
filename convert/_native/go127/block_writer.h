/*
 * Writing blocks as Go 1.27 does, at all its levels.
 *
 * Unlike in earlier releases, a block is not closed when its tokens have been written: its
 * Huffman tables stay open, and the tokens of the next block are written under them if that is
 * estimated to be smaller than a new header. So how a block is written depends on the tables that
 * the block before left open, and its end-of-block symbol is written only when something else
 * begins.
 */
#ifndef IMGCONV_GO127_BLOCK_WRITER_H
#define IMGCONV_GO127_BLOCK_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"
#include "deflate/huffman.h"
#include "deflate/tokens.h"
#include "parallel/block_encoder.h"

/* The input that a block stands for; data is NULL if Go no longer has it in memory, and so cannot
 * store it. */
typedef struct {
    const uint8_t *data;
    size_t length;
} plain_block;

/* How earlier releases of klauspost/compress write blocks. From 1.18.2 on, and in Go 1.27, none of
 * this holds. */
typedef struct {
    /* Of blocks that leave their table open: the header names the codes of all symbols, also of
     * those without one, and the end does not count where a table might be reused. */
    bool long_headers;
    bool end_uncounted;
    bool tries_fixed;  /* the fixed code is considered for blocks of any number of tokens */
    bool no_flat_test; /* a flat histogram does not decide */
} writer_rules;

extern const writer_rules go127_writer_now;
extern const writer_rules go127_writer_1_15_0;
extern const writer_rules go127_writer_1_14_0;

/* What of a block's writing does not depend on the blocks before. Computing it is most of the work
 * of a decision, and may be done at any time before. */
typedef struct {
    const writer_rules *rules;
    block_kind kind;
    bool closing;   /* Go is in Close, and leaves no table open */
    bool matchless; /* tokens without a match */
    bool has_estimate;
    bool has_tables;
    size_t tokens;  /* as Go counts them */
    uint64_t extra; /* bits behind codes */
    uint64_t estimate;
    uint32_t literal_frequency[LITERAL_CODES];
    uint32_t offset_frequency[OFFSET_CODES];
    /* Tables of its own. */
    huffman_code literal[LITERAL_CODES];
    huffman_code offset[OFFSET_CODES];
    dynamic_header header;
    uint64_t size; /* of the tokens under them, without the header */
} block_plan;

/* Plan to store a block, to write it as literals (unless storing turns out to be better), or to
 * write tokens. A block that is closing leaves no table open. */
void go127_plan_stored(block_plan *plan);
void go127_plan_literals(block_plan *plan, plain_block plain, bool closing,
                         const writer_rules *rules);
void go127_plan_tokens(block_plan *plan, const parsed_block *block, bool closing,
                       const writer_rules *rules);
/* Plan a parsed block, whatever it is; the last one is closing. */
void go127_plan_block(block_plan *plan, const block_input *block, const parsed_block *parsed,
                      const writer_rules *rules);
/* Compute now what would otherwise be computed when it is needed. */
void go127_plan_complete(block_plan *plan);

/* What crosses from one block to the next. */
typedef struct {
    /* Of the open tables: the size of their header in bits; 0: no table is open. */
    uint32_t header_size;
    /* The open tables are for literals only and have no codes for matches. */
    bool literals_only;
    /* A new table must save more than its cost / 2^penalty. */
    uint8_t penalty;
    huffman_code literal[LITERAL_CODES];
    huffman_code offset[OFFSET_CODES];
} go127_writer;

void go127_writer_init(go127_writer *writer, unsigned penalty);

/* Write a block as planned. `tokens` is used for plans of tokens only. With `out` NULL, the
 * writer's state advances, and neither tokens nor plain data are read. */
void go127_write(go127_writer *writer, block_plan *plan, const parsed_block *tokens,
                 plain_block plain, bit_writer *out);

/* Write the end of a block that was left open; and a header, whose tables are open then. */
void go127_close_table(go127_writer *writer, bit_writer *out);
void go127_open_table(go127_writer *writer, const block_plan *plan, bool literals_only,
                      bit_writer *out);

/* Sizes of the tokens in bits: behind the codes, and of the codes. */
uint64_t go127_extra_bits(const block_plan *plan);
uint64_t go127_coded_size(const huffman_code *literal, const huffman_code *offset,
                          const block_plan *plan);

/* Fill the last byte with an empty stored block, as Go's Flush does. */
void go127_write_flush(go127_writer *writer, bit_writer *out);

/* End the stream: an empty final block. */
void go127_write_end(go127_writer *writer, bit_writer *out);

/* ---- The same for block encoders ------------------------------------------------------- */

void go127_block_plan(const block_input *block, const parsed_block *parsed, void *plan);
void go127_block_complete(void *plan);
void go127_block_write(void *writer, void *plan, const block_input *block,
                       const parsed_block *parsed, bit_writer *out);
void go127_block_end(void *writer, bit_writer *out);

#endif
