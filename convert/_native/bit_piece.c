/*
 * See bit_piece.h.
 *
 * Only what comes before the first stored block has to be shifted. A stored block's length
 * begins on a byte boundary, in the piece and in the stream, so from there on both are
 * aligned alike and whole bytes can be copied.
 */
#include "bit_piece.h"

enum { STORED_HEADER = 3 };

static void append_shifted(bit_writer *to, const uint8_t *bits, uint64_t begin, uint64_t end) {
    bits_flush(to);
    while (end - begin >= 56) {
        /* Of eight bytes 57 bits at least are ours; 56 of them go beside 7 pending ones. */
        uint64_t v = load64(bits + (begin >> 3)) >> (begin & 7);
        bits_put(to, v & ((UINT64_C(1) << 56) - 1), 56);
        begin += 56;
    }
    if (begin < end) {
        unsigned rest = (unsigned)(end - begin);
        uint64_t v = load64(bits + (begin >> 3)) >> (begin & 7);
        bits_put(to, v & ((UINT64_C(1) << rest) - 1), rest);
    }
}

static void append_bytes(bit_writer *to, const uint8_t *bits, uint64_t begin, uint64_t end) {
    size_t whole = (size_t)((end - begin) >> 3);
    memcpy(to->next, bits + (begin >> 3), whole);
    to->next += whole;
    if ((end & 7) != 0)
        bits_put(to, bits[end >> 3] & ((1u << (end & 7)) - 1), end & 7);
}

void bits_append(bit_writer *to, const bit_piece *piece) {
    uint64_t begin = piece->begin;
    bits_flush(to);
    if (to->count == (begin & 7) && to->count == 0) {
        append_bytes(to, piece->bits, begin, piece->end);
        return;
    }
    if (piece->first_stored == BITS_NO_STORED) {
        append_shifted(to, piece->bits, begin, piece->end);
        return;
    }
    uint64_t header_end = piece->first_stored + STORED_HEADER;
    append_shifted(to, piece->bits, begin, header_end);
    bits_align(to);
    append_bytes(to, piece->bits, (header_end + 7) & ~UINT64_C(7), piece->end);
}
