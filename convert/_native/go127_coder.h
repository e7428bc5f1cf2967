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

#include "bits.h"
#include "huffman.h"

/* Literals, then one match. */
typedef struct {
    uint32_t literals; /* how many literals stand before the match */
    uint16_t length;   /* less 3 */
    uint16_t offset;   /* less 1 */
} sequence;

/* Bytes that must be readable behind literals that come before matches. */
enum { CODER_LITERAL_SLACK = 3 };

/* What a match finder has made of one block. Literals are gathered apart from the matches
 * between them, so that they can be counted in one go. */
typedef struct {
    const sequence *sequences;
    size_t count;
    const uint8_t *literals; /* of all sequences, and then the tail */
    size_t literal_count;
    size_t tail; /* literals behind the last sequence */
} parsed_block;

/* Go counts a match as one token, as it does a literal. */
static inline size_t parsed_tokens(const parsed_block *block) {
    return block->count + block->literal_count;
}

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
    enum { PLAN_STORED, PLAN_LITERALS, PLAN_TOKENS } kind;
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

/* The same, small enough to be kept and compared. A prefix code of DEFLATE is known by its
 * lengths; tables that are not open are no part of the meaning and are all zero. */
typedef struct {
    uint32_t header_size;
    uint8_t literals_only;
    uint8_t literal_length[LITERAL_CODES];
    uint8_t offset_length[OFFSET_CODES];
    uint8_t zero[3]; /* no unnamed padding: snapshots are compared bytewise */
} go127_coder_snapshot;

void go127_coder_init(go127_coder *coder, unsigned penalty);

/* Code a block as planned. `tokens` is used for plans of tokens only. With `out` NULL, the
 * coder's state advances, and neither tokens nor plain data are looked at. */
void go127_code(go127_coder *coder, block_plan *plan, const parsed_block *tokens,
                plain_block plain, bit_writer *out);

/* The end of the stream: an empty final block. */
void go127_code_end(go127_coder *coder, bit_writer *out);

void go127_coder_save(const go127_coder *coder, go127_coder_snapshot *snapshot);
void go127_coder_load(go127_coder *coder, unsigned penalty, const go127_coder_snapshot *snapshot);

#endif
