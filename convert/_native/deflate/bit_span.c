/*
 * Appending a span of bits to a stream.
 *
 * Algorithm: the bits up to the first stored block are shifted to where the stream stands, a
 * word at a time; whole bytes behind it are copied. A stored block's length begins on a byte
 * boundary in the span and in the stream, so from there on both have the same alignment.
 *
 * Why the bytes are right: the only bits that depend on the position in the stream are the
 * zeros between a stored block's header and its length, and they are written here.
 */
#include "deflate/bit_span.h"

enum { STORED_HEADER = 3 };

/* The number of bits up to the padding of the first stored block. */
static uint64_t shifted_size(const bit_span *span) {
    return span->first_stored == BITS_NO_STORED ? span->size : span->first_stored + STORED_HEADER;
}

/* The byte of the span in which the length of the first stored block begins. */
static uint64_t aligned_begin(const bit_span *span) {
    return (shifted_size(span) + 7) >> 3;
}

size_t deflate_append_size(const bit_tail *tail, const bit_span *span) {
    uint64_t shifted = tail->count + shifted_size(span);
    if (span->first_stored == BITS_NO_STORED)
        return (size_t)(shifted >> 3);
    return (size_t)(((shifted + 7) >> 3) + (span->size >> 3) - aligned_begin(span));
}

/* Write words of the bits at `from`, shifted by 1 to 7 bits; `before` holds the bits in front. */
static void shift_words(uint8_t *restrict to, const uint8_t *restrict from, size_t words,
                        unsigned shift, uint64_t before) {
    if (words == 0)
        return;
    store64(to, load64(from) << shift | before);
    /* Each word depends on the input only, so that compilers can vectorise. */
    for (size_t i = 8; i < 8 * words; i += 8)
        store64(to + i, load64(from + i) << shift | load64(from + i - 8) >> (64 - shift));
}

/* Append the first n bits at `from`; return the end of the output. */
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

void deflate_append_span(bit_tail *tail, const bit_span *span, uint8_t *out) {
    out = append_shifted(tail, span->bits, shifted_size(span), out);
    if (span->first_stored == BITS_NO_STORED)
        return;
    if (tail->count != 0)
        *out++ = (uint8_t)tail->word;
    uint64_t begin = aligned_begin(span), end = span->size >> 3;
    memcpy(out, span->bits + begin, (size_t)(end - begin));
    tail->count = span->size & 7;
    tail->word = span->bits[end] & ((1u << tail->count) - 1);
}
