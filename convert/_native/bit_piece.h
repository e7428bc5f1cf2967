/* Bits made apart from the stream they belong to, and putting them there. */
#ifndef IMGCONV_BIT_PIECE_H
#define IMGCONV_BIT_PIECE_H

#include <stdint.h>

#include "bits.h"

typedef struct {
    const uint8_t *bits; /* readable for BITS_SLACK bytes behind the last bit */
    uint64_t begin, end; /* bit offsets */
    uint64_t first_stored; /* of the header of the first stored block in it, or BITS_NO_STORED */
} bit_piece;

/* Append, re-aligning stored blocks. The target needs the piece's bytes + BITS_SLACK. */
void bits_append(bit_writer *to, const bit_piece *piece);

static inline size_t bits_append_bound(const bit_piece *piece) {
    return (size_t)((piece->end - piece->begin) / 8) + 2 + BITS_SLACK;
}

#endif
