/*
 * See bit_piece.h.
 *
 * Only what comes before the first stored block has to be shifted. A stored block's length
 * begins on a byte boundary, in the piece and in the stream, so from there on both are
 * aligned alike and whole bytes can be copied.
 */
#include "deflate/bit_span.h"

enum { STORED_HEADER = 3 };

/* The bits of the piece up to where the first stored block's padding begins. */
static uint64_t shifted_size(const bit_piece *piece) {
    return piece->first_stored == BITS_NO_STORED ? piece->size
                                                 : piece->first_stored + STORED_HEADER;
}

/* The byte of the piece that a stored block's length begins with. */
static uint64_t aligned_begin(const bit_piece *piece) {
    return (shifted_size(piece) + 7) >> 3;
}

size_t bits_join_size(const bit_tail *tail, const bit_piece *piece) {
    uint64_t shifted = tail->count + shifted_size(piece);
    if (piece->first_stored == BITS_NO_STORED)
        return (size_t)(shifted >> 3);
    return (size_t)(((shifted + 7) >> 3) + (piece->size >> 3) - aligned_begin(piece));
}

/* Write so many words of the bits at `from`, each `shift` (1 to 7) bits later than it stands
 * there, the bits before them those of `before`. */
static void shift_words(uint8_t *restrict to, const uint8_t *restrict from, size_t words,
                        unsigned shift, uint64_t before) {
    if (words == 0)
        return;
    store64(to, load64(from) << shift | before);
    /* Words depend on input alone, so that compilers can vectorise. */
    for (size_t i = 8; i < 8 * words; i += 8)
        store64(to + i, load64(from + i) << shift | load64(from + i - 8) >> (64 - shift));
}

/* Append the first n bits at `from`; returns where to go on writing. */
static uint8_t *append_shifted(bit_tail *tail, const uint8_t *from, uint64_t n, uint8_t *out) {
    size_t words = (size_t)(n >> 6);
    unsigned shift = tail->count, rest = n & 63;
    uint64_t last = load64(from + 8 * words) & ((UINT64_C(1) << rest) - 1);
    uint64_t before = tail->word; /* of the last word */
    if (shift == 0) {
        memcpy(out, from, 8 * words);
    } else {
        shift_words(out, from, words, shift, before);
        if (words > 0)
            before = load64(from + 8 * words - 8) >> (64 - shift);
    }
    out += 8 * words;
    uint64_t word = last << shift | before;
    unsigned count = shift + rest; /* up to 70 */
    for (unsigned i = 0; i < count >> 3; i++)
        *out++ = (uint8_t)(word >> (8 * i));
    tail->word = count < 64 ? word >> (count & ~7u) : last >> (64 - shift);
    tail->count = count & 7;
    return out;
}

void bits_join(bit_tail *tail, const bit_piece *piece, uint8_t *out) {
    out = append_shifted(tail, piece->bits, shifted_size(piece), out);
    if (piece->first_stored == BITS_NO_STORED)
        return;
    if (tail->count != 0)
        *out++ = (uint8_t)tail->word;
    uint64_t begin = aligned_begin(piece), end = piece->size >> 3;
    memcpy(out, piece->bits + begin, (size_t)(end - begin));
    tail->count = piece->size & 7;
    tail->word = piece->bits[end] & ((1u << tail->count) - 1);
}
