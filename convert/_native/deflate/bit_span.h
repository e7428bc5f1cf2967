/* Bits made apart from the stream they belong to, and putting them there. */
#ifndef IMGCONV_BIT_PIECE_H
#define IMGCONV_BIT_PIECE_H

#include <stdint.h>

#include "deflate/bits.h"

typedef struct {
    const uint8_t *bits; /* readable for BITS_SLACK bytes behind the last bit */
    uint64_t size;       /* in bits */
    uint64_t first_stored; /* of the header of the first stored block in it, or BITS_NO_STORED */
} bit_piece;

/* All that was written since bits_init(), to be joined to what comes before. */
static inline bit_piece bits_piece(bit_writer *w) {
    bits_flush(w);
    store64(w->next, w->word);
    memset(w->next + 8, 0, BITS_SLACK - 8);
    return (bit_piece){w->start, bits_position(w), w->first_stored};
}

/* The end of a stream that is put together: its bits, at most 7, that do not fill a byte yet. */
typedef struct {
    uint64_t word;
    unsigned count;
} bit_tail;

/* How many bytes the tail and the piece behind it, its stored blocks aligned anew, fill. */
size_t bits_join_size(const bit_tail *tail, const bit_piece *piece);

/* Write exactly so many, and keep the rest as the tail. */
void bits_join(bit_tail *tail, const bit_piece *piece, uint8_t *out);

/* Or write what comes next right there. */
static inline bit_writer bits_from_tail(const bit_tail *tail, uint8_t *out) {
    bit_writer w;
    bits_resume(&w, out, tail->word, tail->count);
    return w;
}

/* How many bytes were written; the rest is kept in the tail. */
static inline size_t bits_to_tail(bit_writer *w, bit_tail *tail) {
    bits_flush(w);
    *tail = (bit_tail){w->word, w->count};
    return (size_t)(w->next - w->start);
}

#endif
