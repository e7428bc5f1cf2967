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

/* Room for appending a piece behind a tail. */
static inline size_t bits_append_bound(const bit_piece *piece) {
    return (size_t)((piece->end - piece->begin) / 8) + 2 + BITS_SLACK;
}

/* The end of a stream that is put together: its bits that do not fill a byte yet. */
typedef struct {
    uint64_t word;
    unsigned count;
} bit_tail;

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

/* All that was written since bits_init(), to be appended elsewhere. */
static inline bit_piece bits_piece(bit_writer *w) {
    bits_flush(w);
    store64(w->next, w->word);
    memset(w->next + 8, 0, BITS_SLACK - 8);
    return (bit_piece){w->start, 0, bits_position(w), w->first_stored};
}

#endif
