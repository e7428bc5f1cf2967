/*
 * Encoders that cut their *input* into blocks: level 1 of go126, levels 1 to 6 of go127, and
 * every "huffman" and "store". (The other levels cut the stream of *tokens*, so where a block
 * begins is known only when everything before it has been parsed.)
 *
 * A block encoder has two parts.
 *
 * The parser finds matches. Its state is large, but what that state *means* at a block boundary
 * can be written as a snapshot: two parsers with equal snapshots parse every possible
 * continuation alike. Positions in a snapshot are relative to the boundary, and entries that no
 * later block can use have one canonical value. Comparing snapshots is what makes parallel
 * parsing exact.
 *
 * The writer turns parsed blocks into bits. Its state is small, and what takes time can be
 * planned without it; so it always runs in order, and its state is never guessed.
 */
#ifndef IMGCONV_PARALLEL_BLOCK_ENCODER_H
#define IMGCONV_PARALLEL_BLOCK_ENCODER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "deflate/bits.h"
#include "deflate/tokens.h"
#include "encoder.h"

enum {
    BLOCK_MIN_MATCH = 4, /* of every block encoder that searches for matches */
    BLOCK_COPY = 16,     /* parsers copy short runs of literals this many bytes at a time */
};

/* One block of input and its place in the stream. */
typedef struct {
    const uint8_t *data; /* min(position, history) bytes in front of it are readable */
    size_t length;       /* block_size; 1 to block_size for the last block of the stream */
    uint64_t position;   /* a multiple of block_size */
    bool last;           /* no input follows: Go writes this block in Close */
} block_input;

/* Memory that a block is parsed into: block_sequences() sequences, and literals for the length
 * of a block and BLOCK_COPY bytes. */
typedef struct {
    sequence *sequences;
    uint8_t *literals;
} block_buffer;

/* When parsers that started at different places reach the same state, as a rule. */
typedef enum {
    CONVERGES_AT_ONCE,
    CONVERGES_SOON, /* after a block or two */
    CONVERGES_LATE, /* after many blocks */
} block_convergence;

typedef struct {
    size_t block_size;
    size_t history;       /* earlier input that a block may refer to */
    size_t warmup_blocks; /* parsed before a segment to guess its state */
    block_convergence convergence;

    size_t parser_size;   /* a copy of the parser continues as the original does */
    size_t snapshot_size; /* 0: blocks are parsed independently */
    void (*parser_init)(void *parser, int level);
    void (*parse)(void *parser, const block_input *block, block_buffer buffer,
                  parsed_block *parsed);
    void (*save)(const void *parser, void *snapshot);

    size_t writer_size; /* 0: blocks are written independently */
    size_t plan_size;
    void (*writer_init)(void *writer, int level);
    /* Compute what of a block's writing does not depend on other blocks; NULL: nothing. */
    void (*plan)(const block_input *block, const parsed_block *parsed, void *plan);
    /* Add to the plan what write() would otherwise compute if it needs it; or NULL. */
    void (*complete)(void *plan);
    /* Write the block: at most block_bound(length) bytes, with bits pending in `out`. Stored
     * data is written by bits_stored() only. With `out` NULL (only if there is a writer) the
     * writer's state advances, and neither data nor tokens are read. */
    void (*write)(void *writer, void *plan, const block_input *block, const parsed_block *parsed,
                  bit_writer *out);
    /* End the stream after its last block (or without any) and fill the last byte. */
    void (*end)(void *writer, bit_writer *out);
} block_encoder;

/* The block encoder of a profile, NULL if the profile does not cut its input. */
const block_encoder *registry_blocks(encoder_profile profile);

/* Space that write() needs for a block of n bytes, and end() for n = 0 (bits.h: slack). */
static inline size_t block_bound(size_t n) {
    return 2 * n + STREAM_END_BOUND;
}

/* The most sequences of a block: a match has at least four bytes, and one that is split into
 * matches of up to 258 gives fewer than that. */
static inline size_t block_sequences(const block_encoder *encoder) {
    return encoder->block_size / BLOCK_MIN_MATCH + 1;
}

static inline size_t block_buffer_size(const block_encoder *encoder) {
    return block_sequences(encoder) * sizeof(sequence) + encoder->block_size + BLOCK_COPY;
}

static inline block_buffer block_buffer_at(const block_encoder *encoder, uint8_t *memory) {
    return (block_buffer){(sequence *)(void *)memory,
                          memory + block_sequences(encoder) * sizeof(sequence)};
}

/* All block encoders, in order and in segments. */
extern const serial_encoder parallel_block_serial;
extern const parallel_encoder parallel_block_parallel;

/* The states inside a serial state of parallel_block_serial, after the last written block. */
void *parallel_block_parser(void *serial_state);
void *parallel_block_writer(void *serial_state);

/* Parsers of encoders that search for no matches; in no_match.c. */
void parallel_parse_as_literals(void *parser, const block_input *block, block_buffer buffer,
                                parsed_block *parsed);
void parallel_parse_as_stored(void *parser, const block_input *block, block_buffer buffer,
                              parsed_block *parsed);

#endif
