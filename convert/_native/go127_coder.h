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

typedef struct {
    /* Of the open tables: the size of their header in bits; 0: no table is open. */
    uint32_t header_size;
    /* Open tables were made by coder_literals() and have no codes for matches. */
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

/* Code a block of tokens. `closing`: Go is in Close, and leaves no table open. Here and below,
 * with `out` NULL only the coder's state advances. */
void go127_code_tokens(go127_coder *coder, const parsed_block *block, plain_block plain,
                       bool closing, bit_writer *out);
/* Code a block by its literals alone, without matches. */
void go127_code_literals(go127_coder *coder, plain_block plain, bool closing, bit_writer *out);
/* Write a block as it is. */
void go127_code_stored(go127_coder *coder, plain_block plain, bit_writer *out);
/* The end of the stream: an empty final block. */
void go127_code_end(go127_coder *coder, bit_writer *out);

void go127_coder_save(const go127_coder *coder, go127_coder_snapshot *snapshot);
void go127_coder_load(go127_coder *coder, unsigned penalty, const go127_coder_snapshot *snapshot);

#endif
