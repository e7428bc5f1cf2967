/* Tokens of one block, and the block that zlib writes for them. */
#ifndef IMGCONV_ZLIB_BLOCK_H
#define IMGCONV_ZLIB_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"
#include "deflate/tables.h"

enum {
    ZLIB_MIN_MATCH = 3,
    ZLIB_MAX_MATCH = 258,
    ZLIB_MOST_TOKENS = 32767, /* of a block, in any of the programs */
};

typedef struct {
    unsigned count, matches;
    uint16_t distances[ZLIB_MOST_TOKENS + 1]; /* 0: a literal */
    uint8_t values[ZLIB_MOST_TOKENS + 1];     /* the literal, or length - ZLIB_MIN_MATCH */
    uint16_t literal_count[LITERAL_CODES];
    uint16_t distance_count[OFFSET_CODES];
} zlib_tokens;

void zlib_clear_tokens(zlib_tokens *tokens);

static inline void zlib_add_literal(zlib_tokens *t, uint8_t value) {
    t->distances[t->count] = 0;
    t->values[t->count++] = value;
    t->literal_count[value]++;
}

static inline void zlib_add_match(zlib_tokens *t, unsigned distance, unsigned length) {
    uint8_t value = (uint8_t)(length - ZLIB_MIN_MATCH);
    t->distances[t->count] = (uint16_t)distance;
    t->values[t->count++] = value;
    t->matches++;
    t->literal_count[LENGTH_CODE_0 + deflate_length_codes[value]]++;
    t->distance_count[offset_code(distance - 1)]++;
}

/* Write the tokens as one block, and clear them. `data` are the `size` bytes that they stand for,
 * NULL if the program does not have them any more. */
void zlib_write_block(zlib_tokens *tokens, const uint8_t *data, size_t size, bool last,
                      bit_writer *out);

#endif
