/* Bits that were written independently of the stream they belong to, and appending them to it. */
#ifndef IMGCONV_DEFLATE_BIT_SPAN_H
#define IMGCONV_DEFLATE_BIT_SPAN_H

#include <stdint.h>

#include "deflate/bits.h"

typedef struct {
    const uint8_t *bits;   /* readable for BITS_SLACK bytes behind the last bit */
    uint64_t size;         /* in bits */
    uint64_t first_stored; /* the header of its first stored block, or BITS_NO_STORED */
} bit_span;

/* Everything written since bits_init(). */
static inline bit_span bits_span(bit_writer *w) {
    bits_flush(w);
    store64(w->next, w->word);
    memset(w->next + 8, 0, BITS_SLACK - 8);
    return (bit_span){w->start, bits_position(w), w->first_stored};
}

/* The last bits of a stream, at most 7, which do not fill a byte yet. */
typedef struct {
    uint64_t word;
    unsigned count;
} bit_tail;

/* The number of whole bytes in the tail and the span behind it, with its stored blocks aligned
 * for this place. */
size_t deflate_append_size(const bit_tail *tail, const bit_span *span);

/* Write that many bytes, and keep the remaining bits as the tail. */
void deflate_append_span(bit_tail *tail, const bit_span *span, uint8_t *out);

/* A writer that continues after the tail. */
static inline bit_writer bits_from_tail(const bit_tail *tail, uint8_t *out) {
    bit_writer w;
    bits_resume(&w, out, tail->word, tail->count);
    return w;
}

/* Return the number of bytes written; the remaining bits become the tail. */
static inline size_t bits_to_tail(bit_writer *w, bit_tail *tail) {
    bits_flush(w);
    *tail = (bit_tail){w->word, w->count};
    return (size_t)(w->next - w->start);
}

#endif
