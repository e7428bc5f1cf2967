/*
 * How Go 1.27 turns parsed input into DEFLATE blocks; the same for all its levels.
 *
 * Unlike earlier generations, a block is not closed when its tokens have been written: its
 * Huffman tables stay open, and the next block's tokens go on under them if that is
 * estimated to be cheaper than a new header. So what a block looks like depends on the
 * tables left by the one before, and the end-of-block symbol is owed until something else
 * has to be begun.
 */
#ifndef IMGCONV_GO127_CODER_H
#define IMGCONV_GO127_CODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"
#include "encoder.h"
#include "deflate/huffman.h"
#include "deflate/tokens.h"

/* The input that a block stands for; data is NULL where Go no longer has it at hand, and
 * may then not store it. */
typedef struct {
    const uint8_t *data;
    size_t length;
} plain_block;

/*
 * All about a block's coding that does not depend on the blocks before. Making it is most of
 * the work of a decision, and may be done apart from the decision.
 */
typedef struct {
    block_kind kind;
    bool closing;   /* Go is in Close, and leaves no table open */
    bool matchless; /* of tokens: there are literals only */
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
    uint64_t size; /* of what comes under them, without the header */
} block_plan;

/* Plan to write a block as it is, to code it without matches (unless it turns out to be
 * better stored), or to code tokens. */
void go127_plan_stored(block_plan *plan);
void go127_plan_literals(block_plan *plan, plain_block plain, bool closing);
void go127_plan_tokens(block_plan *plan, const parsed_block *block, bool closing);
/* Add what may be wanted later, which is otherwise left until it is. */
void go127_plan_complete(block_plan *plan);

typedef struct {
    /* Of the open tables: the size of their header in bits; 0: no table is open. */
    uint32_t header_size;
    /* Open tables were made for literals alone and have no codes for matches. */
    bool literals_only;
    /* A new table must save more than its cost / 2^penalty before it is made. */
    uint8_t penalty;
    huffman_code literal[LITERAL_CODES];
    huffman_code offset[OFFSET_CODES];
} go127_coder;

void go127_coder_init(go127_coder *coder, unsigned penalty);

/* Code a block as planned. `tokens` is used for plans of tokens only. With `out` NULL, the
 * coder's state advances, and neither tokens nor plain data are looked at. */
void go127_code(go127_coder *coder, block_plan *plan, const parsed_block *tokens,
                plain_block plain, bit_writer *out);

/* The end of the stream: an empty final block. */
void go127_code_end(go127_coder *coder, bit_writer *out);

/* ---- The same for block encoders ------------------------------------------------------- */

void go127_block_plan(const block_input *block, const parsed_block *parsed, void *plan);
void go127_block_complete(void *plan);
void go127_block_code(void *coder, void *plan, const block_input *block,
                      const parsed_block *parsed, bit_writer *out);
void go127_block_end(void *coder, bit_writer *out);

#endif
