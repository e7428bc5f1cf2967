/*
 * Writing bits, least significant first, as DEFLATE packs them (RFC 1951, 3.1.1).
 *
 * The writer keeps up to 63 pending bits in one word and stores eight bytes at a time, so a
 * buffer must have BITS_SLACK bytes behind the last one needed.
 */
#ifndef IMGCONV_DEFLATE_BITS_H
#define IMGCONV_DEFLATE_BITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { BITS_SLACK = 16 };

#define BITS_NO_STORED UINT64_MAX

typedef struct {
    uint64_t word;  /* pending bits, lowest first; all above `count` are zero */
    unsigned count; /* how many are pending: at most 7 after bits_flush() */
    uint8_t *start;
    uint8_t *next;
    /* Where (in bits from start) the header of the first stored block begins, or
     * BITS_NO_STORED. From its length field on, the bits are byte aligned in every stream; what
     * comes before has to be shifted when it is appended to other bits. */
    uint64_t first_stored;
} bit_writer;

/* Little-endian access at any address, on any machine. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
static inline uint32_t load32(const uint8_t *p) {
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline uint64_t load64(const uint8_t *p) {
    uint64_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store64(uint8_t *p, uint64_t v) {
    memcpy(p, &v, sizeof v);
}
#else
static inline uint32_t load32(const uint8_t *p) {
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t load64(const uint8_t *p) {
    return (uint64_t)load32(p) | (uint64_t)load32(p + 4) << 32;
}

static inline void store64(uint8_t *p, uint64_t v) {
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}
#endif

static inline void bits_init(bit_writer *w, uint8_t *buffer) {
    w->word = 0;
    w->count = 0;
    w->start = w->next = buffer;
    w->first_stored = BITS_NO_STORED;
}

/* Start with bits that an earlier buffer left over. */
static inline void bits_resume(bit_writer *w, uint8_t *buffer, uint64_t word, unsigned count) {
    bits_init(w, buffer);
    w->word = word;
    w->count = count;
}

static inline uint64_t bits_position(const bit_writer *w) {
    return (uint64_t)(w->next - w->start) * 8 + w->count;
}

/* Move whole bytes out; at most 7 bits stay pending. */
static inline void bits_flush(bit_writer *w) {
    store64(w->next, w->word);
    w->next += w->count >> 3;
    w->word >>= w->count & ~7u;
    w->count &= 7;
}

/* Append without flushing; the caller ensures that count + n stays below 64. */
static inline void bits_add(bit_writer *w, uint64_t value, unsigned n) {
    w->word |= value << w->count;
    w->count += n;
}

static inline void bits_put(bit_writer *w, uint64_t value, unsigned n) {
    bits_add(w, value, n);
    bits_flush(w);
}

/* Fill the current byte with zero bits. */
static inline void bits_align(bit_writer *w) {
    bits_flush(w);
    if (w->count != 0) {
        *w->next++ = (uint8_t)w->word;
        w->word = 0;
        w->count = 0;
    }
}

/* One stored block: three bits, padding, length, its complement, the bytes (RFC 1951 3.2.4). */
static inline void bits_stored(bit_writer *w, const uint8_t *data, size_t length, bool final) {
    bits_flush(w);
    if (w->first_stored == BITS_NO_STORED)
        w->first_stored = bits_position(w);
    bits_put(w, final ? 1 : 0, 3);
    bits_align(w);
    bits_put(w, (uint64_t)length | (uint64_t)(~length & 0xffff) << 16, 32);
    if (length != 0)
        memcpy(w->next, data, length);
    w->next += length;
}

#endif
