/*
 * pgzip: gzip on many cores, with klauspost/compress as the encoder.
 *
 * Algorithm: the input is cut into pieces of 1 MiB (256 KiB before pgzip 1.2.2). Each is encoded by
 * a new encoder whose dictionary is the last 16 KiB of the piece before (or nothing, before
 * klauspost/compress 1.10.1), and is flushed. So each begins and ends on a byte boundary and refers
 * to no output before it. The encoder is that of Go 1.27, which took it from klauspost/compress, or
 * one of its predecessors (generations.c).
 *
 * Why the bytes are pgzip's: sizes, dictionary and the order of write, flush and close are those of
 * pgzip/gzip.go (v1.2.2 to v1.2.6). A dictionary is parsed like a block whose tokens are dropped,
 * as fillWindow of klauspost/compress does, and counts in the history buffer that level 4 reads.
 */
#include "pgzip/pgzip.h"

#include <string.h>

#include "parallel/memory.h"
#include "pgzip/generations.h"
#include "pgzip/old_writer.h"

enum {
    /* The blocks that the history buffer of the encoder has room for. */
    HISTORY_BLOCKS = 5,
    SEQUENCES = FAST_BLOCK / BLOCK_MIN_MATCH + 1,
};

bool pgzip_has(encoder_profile profile) {
    return pgzip_generation_of(profile) != NULL;
}

static piece_geometry geometry(encoder_profile profile) {
    const pgzip_generation *generation = pgzip_generation_of(profile);
    return (piece_geometry){
        .size = generation->piece, .before = generation->dictionary, .empty_last = true};
}

/* ---- A piece, block by block ------------------------------------------------------------- */

typedef struct {
    int level;
    const pgzip_generation *generation;
    size_t position; /* of the next block, in dictionary and piece */
    size_t history;  /* of it, what the encoder has in its history buffer */
    fast_parser *parser;
    block_buffer buffer;
    block_plan *plan;
    go127_writer *writer;
} piece_state;

static size_t take_piece(piece_state *s, uint8_t **p, encoder_profile profile) {
    size_t total = aligned(sizeof *s);
    s->level = profile.level;
    s->generation = pgzip_generation_of(profile);
    s->parser = take(p, &total, go127_fast_size(profile.level, s->generation->more_bits));
    s->buffer.sequences = take(p, &total, SEQUENCES * sizeof(sequence));
    s->buffer.literals = take(p, &total, FAST_BLOCK + BLOCK_COPY);
    s->plan = take(p, &total, sizeof *s->plan);
    s->writer = take(p, &total, sizeof *s->writer);
    return total;
}

static size_t piece_size(encoder_profile profile) {
    piece_state s;
    uint8_t *nowhere = NULL;
    return take_piece(&s, &nowhere, profile);
}

static piece_state *piece_init(void *memory, encoder_profile profile) {
    piece_state *s = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *s);
    take_piece(s, &p, profile);
    return s;
}

/* Begin a piece behind a dictionary. */
static void begin(piece_state *s, const uint8_t *dictionary, size_t n) {
    const pgzip_generation *generation = s->generation;
    go127_fast_init(s->parser, s->level, generation->more_bits, generation->search[s->level]);
    go127_writer_init(s->writer, generation->penalty);
    go127_fast_enter(s->parser, dictionary, n, s->buffer);
    s->position = s->history = n;
}

/* Encode a block: FAST_BLOCK bytes or, as the last one of the piece, up to that many. */
static void encode_block(piece_state *s, const uint8_t *data, size_t n, bool last,
                         bit_writer *out) {
    block_input block = {data, n, s->position, last};
    parsed_block parsed;
    if (s->history + n > HISTORY_BLOCKS * FAST_BLOCK)
        s->history = FAST_MAX_DISTANCE; /* the rest makes room for the block */
    s->parser->history = s->history;
    go127_fast_parse(s->parser, &block, s->buffer, &parsed);
    if (s->generation->writer == NULL) {
        pgzip_old_write(s->writer, s->plan, &block, &parsed, s->generation->old_writer, out);
    } else {
        go127_plan_block(s->plan, &block, &parsed, s->generation->writer);
        go127_block_write(s->writer, s->plan, &block, &parsed, out);
    }
    s->position += n;
    s->history += n;
}

/* End the piece and, if it is the last one, the stream. */
static void end(piece_state *s, bool last, bit_writer *out) {
    go127_write_flush(s->writer, out);
    if (last && s->generation->stored_end)
        bits_stored(out, NULL, 0, true);
    else if (last)
        go127_write_end(s->writer, out);
}

/* The blocks that n bytes of a piece are cut into. */
static size_t block_count(size_t n) {
    return (n + FAST_BLOCK - 1) / FAST_BLOCK;
}

static size_t bound_of(size_t blocks, size_t pieces) {
    return blocks * block_bound(FAST_BLOCK) + pieces * block_bound(0) + BITS_SLACK;
}

/* ---- Pieces, each on its own ------------------------------------------------------------- */

static size_t bound(encoder_profile profile, size_t n) {
    (void)profile;
    return bound_of(block_count(n), 1);
}

static size_t encode(void *memory, encoder_profile profile, const piece_input *piece,
                     uint8_t *out) {
    piece_state *s = piece_init(memory, profile);
    bit_writer w;
    bits_init(&w, out);
    begin(s, piece->data - piece->before, piece->before);
    for (size_t at = 0; at < piece->size; at += FAST_BLOCK) {
        size_t left = piece->size - at;
        bool last = left <= FAST_BLOCK;
        encode_block(s, piece->data + at, last ? left : FAST_BLOCK, last, &w);
    }
    end(s, piece->last, &w);
    return (size_t)(w.next - out);
}

const piece_encoder pgzip_pieces = {
    .geometry = geometry,
    .state_size = piece_size,
    .bound = bound,
    .encode = encode,
};

/* ---- A stream in order ------------------------------------------------------------------- */

/* Blocks are encoded as soon as more input of their piece is there. */
typedef struct {
    piece_state *piece;
    size_t before;   /* the size of the dictionary */
    size_t begin;    /* of the next block in the buffer */
    size_t end;      /* of the input in the buffer */
    size_t size;     /* of a piece */
    size_t kept;     /* of a piece, as the dictionary of the next one */
    uint8_t *buffer; /* dictionary and piece */
} stream_state;

static size_t take_stream(stream_state *s, uint8_t **p, encoder_profile profile) {
    size_t total = aligned(sizeof *s);
    s->piece = take(p, &total, piece_size(profile));
    s->size = geometry(profile).size;
    s->kept = geometry(profile).before;
    s->buffer = take(p, &total, s->kept + s->size);
    return total;
}

static size_t stream_size(encoder_profile profile) {
    stream_state s;
    uint8_t *nowhere = NULL;
    return take_stream(&s, &nowhere, profile);
}

static void stream_init(void *memory, encoder_profile profile) {
    stream_state *s = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *s);
    take_stream(s, &p, profile);
    piece_init(s->piece, profile);
    s->before = s->begin = s->end = 0;
    begin(s->piece, s->buffer, 0);
}

static size_t stream_bound(const void *state, size_t n) {
    const stream_state *s = state;
    size_t pieces = (s->end - s->before + n) / s->size + 1;
    return bound_of((s->end - s->begin + n) / FAST_BLOCK + pieces, pieces);
}

/* Encode the blocks behind which more input of the piece is known or, with `whole`, all. */
static void encode_blocks(stream_state *s, bool whole, bit_writer *out) {
    for (size_t n = s->end - s->begin; n > FAST_BLOCK || (whole && n > 0); n = s->end - s->begin) {
        bool last = n <= FAST_BLOCK;
        size_t length = last ? n : FAST_BLOCK;
        encode_block(s->piece, s->buffer + s->begin, length, last, out);
        s->begin += length;
    }
}

static void begin_next(stream_state *s) {
    memmove(s->buffer, s->buffer + s->end - s->kept, s->kept);
    s->before = s->begin = s->end = s->kept;
    begin(s->piece, s->buffer, s->kept);
}

static size_t write(void *state, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out) {
    stream_state *s = state;
    bit_writer w = bits_from_tail(tail, out);
    while (n > 0) {
        size_t space = s->before + s->size - s->end;
        size_t part = n < space ? n : space;
        memcpy(s->buffer + s->end, data, part);
        s->end += part;
        data += part;
        n -= part;
        encode_blocks(s, part == space, &w);
        if (part == space) {
            end(s->piece, false, &w);
            begin_next(s);
        }
    }
    return bits_to_tail(&w, tail);
}

static size_t finish(void *state, bit_tail *tail, uint8_t *out) {
    stream_state *s = state;
    bit_writer w = bits_from_tail(tail, out);
    encode_blocks(s, true, &w);
    end(s->piece, true, &w);
    return bits_to_tail(&w, tail);
}

const serial_encoder pgzip_serial = {
    .state_size = stream_size,
    .init = stream_init,
    .bound = stream_bound,
    .write = write,
    .finish = finish,
};
