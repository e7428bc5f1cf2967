/*
 * pigz (2.3.4 to 2.8, pigz.c, compress_thread), with more than one thread.
 *
 * Algorithm: each block of 128 KiB is a zlib stream of its own, with the 32 KiB in front of it as
 * dictionary. It ends on a byte boundary: by empty blocks with fixed codes, which have ten bits
 * each, or by an empty stored block if the number of bits is odd.
 *
 * Why the bytes are pigz's: zlib is told to end the block (Z_BLOCK), not the stream, and is given
 * the block at once. Only the last block of the input ends the stream. With one thread (-p 1, or
 * on one processor) pigz writes one stream instead, with other bytes at levels 1 to 3.
 */
#include "pigz/pigz.h"

#include <string.h>

#include "zlib/deflate.h"

enum {
    BLOCK_SIZE = 131072,
    FIXED_EMPTY = 2, /* not the last block, fixed codes, end of block */
    FIXED_EMPTY_BITS = 10,
};

/* ---- A block ----------------------------------------------------------------------------- */

static void begin(zlib_stream *s, int level, const uint8_t *dictionary, size_t size) {
    zlib_init(s, &zlib_zlib, level);
    zlib_set_dictionary(s, dictionary, size);
}

static void end(zlib_stream *s, bool last, bit_writer *out) {
    zlib_end(s, last, out);
    bits_flush(out);
    if (last)
        bits_align(out);
    else if (out->count % 2 != 0)
        bits_stored(out, NULL, 0, false);
    else
        while (out->count != 0)
            bits_put(out, FIXED_EMPTY, FIXED_EMPTY_BITS);
}

/* ---- Blocks on their own ----------------------------------------------------------------- */

static piece_geometry geometry(encoder_profile profile) {
    (void)profile;
    return (piece_geometry){.size = BLOCK_SIZE, .before = WINDOW_SIZE, .empty_last = false};
}

static size_t block_state_size(encoder_profile profile) {
    (void)profile;
    return sizeof(zlib_stream);
}

static size_t block_bound(encoder_profile profile, size_t n) {
    (void)profile;
    return zlib_bound_of(&zlib_zlib, n) + STREAM_END_BOUND;
}

static size_t encode(void *state, encoder_profile profile, const piece_input *piece, uint8_t *out) {
    bit_writer w;
    bits_init(&w, out);
    begin(state, profile.level, piece->data - piece->before, piece->before);
    zlib_write(state, piece->data, piece->size, &w);
    end(state, piece->last, &w);
    return (size_t)(w.next - w.start);
}

const piece_encoder pigz_pieces = {
    .geometry = geometry,
    .state_size = block_state_size,
    .bound = block_bound,
    .encode = encode,
};

/* ---- A stream in order ------------------------------------------------------------------- */

typedef struct {
    int level;
    size_t taken; /* input of the block */
    zlib_stream block;
    uint8_t dictionary[WINDOW_SIZE];
} stream_state;

static size_t stream_size(encoder_profile profile) {
    (void)profile;
    return sizeof(stream_state);
}

static void stream_init(void *state, encoder_profile profile) {
    stream_state *s = state;
    s->level = profile.level;
    s->taken = 0;
    begin(&s->block, s->level, s->dictionary, 0);
}

static size_t stream_bound(const void *state, size_t n) {
    const stream_state *s = state;
    size_t blocks = (s->taken + n) / BLOCK_SIZE + 1;
    return zlib_bound(&s->block, n) + blocks * (zlib_bound_of(&zlib_zlib, 0) + STREAM_END_BOUND);
}

/* Begin the next block. The window holds what is in front of it. */
static void begin_next(stream_state *s) {
    memcpy(s->dictionary, s->block.window + s->block.end - WINDOW_SIZE, WINDOW_SIZE);
    s->taken = 0;
    begin(&s->block, s->level, s->dictionary, WINDOW_SIZE);
}

static size_t write(void *state, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out) {
    stream_state *s = state;
    bit_writer w = bits_from_tail(tail, out);
    while (n > 0) {
        if (s->taken == BLOCK_SIZE) { /* more follows, so it was not the last block */
            end(&s->block, false, &w);
            begin_next(s);
        }
        size_t space = BLOCK_SIZE - s->taken;
        size_t part = n < space ? n : space;
        zlib_write(&s->block, data, part, &w);
        s->taken += part;
        data += part;
        n -= part;
    }
    return bits_to_tail(&w, tail);
}

static size_t finish(void *state, bit_tail *tail, uint8_t *out) {
    stream_state *s = state;
    bit_writer w = bits_from_tail(tail, out);
    end(&s->block, true, &w);
    return bits_to_tail(&w, tail);
}

const serial_encoder pigz_serial = {
    .state_size = stream_size,
    .init = stream_init,
    .bound = stream_bound,
    .write = write,
    .finish = finish,
};
