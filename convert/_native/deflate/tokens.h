/* Tokens: what parsers pass to block writers, in every family of Go. */
#ifndef IMGCONV_DEFLATE_TOKENS_H
#define IMGCONV_DEFLATE_TOKENS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Some literals and the match behind them: `literals + 1` tokens, as Go counts. The values of
 * the literals of all sequences are kept in one separate array, which is fast to count. */
typedef struct {
    uint32_t literals; /* their number */
    uint16_t length;   /* minus 3 */
    uint16_t offset;   /* minus 1 */
} sequence;

/* Bytes that must be readable behind the array of literals. */
enum { LITERAL_SLACK = 3 };

/* A growing list of tokens. */
typedef struct {
    sequence *sequences;
    size_t count;
    uint8_t *literals;
    size_t literal_count;
    uint32_t tail; /* literals behind the last sequence */
} token_list;

/* A place in a list: a sequence (or the tail), the literals in front of the place, and how many of
 * those belong to that sequence. */
typedef struct {
    size_t sequence;
    size_t literals;
    uint32_t skip;
} token_place;

/* Append the tokens of another list from a place on. */
static inline void append_tokens(token_list *to, const token_list *from, token_place at) {
    size_t n = from->count - at.sequence;
    size_t literals = from->literal_count - at.literals;
    if (n > 0) {
        memcpy(to->sequences + to->count, from->sequences + at.sequence, n * sizeof(sequence));
        to->sequences[to->count].literals += to->tail - at.skip;
        to->count += n;
        to->tail = from->tail;
    } else {
        to->tail += from->tail - at.skip;
    }
    memcpy(to->literals + to->literal_count, from->literals + at.literals, literals);
    to->literal_count += literals;
}

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
