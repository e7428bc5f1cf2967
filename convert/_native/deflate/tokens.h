/* Tokens: what parsers pass to block writers, in every family of Go. */
#ifndef IMGCONV_DEFLATE_TOKENS_H
#define IMGCONV_DEFLATE_TOKENS_H

#include <stddef.h>
#include <stdint.h>

/* Some literals and the match behind them: `literals + 1` tokens, as Go counts. The values of
 * the literals of all sequences are kept in one separate array, which is fast to count. */
typedef struct {
    uint32_t literals; /* their number */
    uint16_t length;   /* minus 3 */
    uint16_t offset;   /* minus 1 */
} sequence;

/* Bytes that must be readable behind the array of literals. */
enum { LITERAL_SLACK = 3 };

/* How a block is to be written, as far as the parser knows. */
typedef enum {
    BLOCK_TOKENS,
    BLOCK_LITERALS, /* matches do not pay, or were not searched for */
    BLOCK_STORED,
} block_kind;

/* The tokens of one block: sequences, then a tail of literals. Of other kinds than BLOCK_TOKENS
 * only the kind is set. */
typedef struct {
    block_kind kind;
    const sequence *sequences;
    size_t count;
    const uint8_t *literals; /* of all sequences, then of the tail */
    size_t literal_count;
    size_t tail;
    uint32_t skip; /* literals of the first sequence that belong to the block before */
} parsed_block;

/* The number of tokens as Go counts: a match is one, like a literal. */
static inline size_t parsed_tokens(const parsed_block *block) {
    return block->count + block->literal_count;
}

#endif
