/* What match finders hand to coders; the same in every generation. */
#ifndef IMGCONV_TOKENS_H
#define IMGCONV_TOKENS_H

#include <stddef.h>
#include <stdint.h>

/* A run of literals and the match behind it: `literals + 1` tokens, as Go counts. The values
 * of literals are kept apart, all in one row, because that is quick to count. */
typedef struct {
    uint32_t literals; /* how many stand before the match */
    uint16_t length;   /* less 3 */
    uint16_t offset;   /* less 1 */
} sequence;

/* Bytes that must be readable behind literals that come before matches. */
enum { LITERAL_SLACK = 3 };

/* What becomes of a block, as far as the search for matches says it. */
typedef enum {
    BLOCK_TOKENS,
    BLOCK_LITERALS, /* matches do not pay, or were not looked for */
    BLOCK_STORED,
} block_kind;

/* What a match finder has made of one block: of BLOCK_TOKENS the tokens, else the kind alone. */
typedef struct {
    block_kind kind;
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

#endif
