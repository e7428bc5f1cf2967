/*
 * An encoder on many cores in two steps that are both parallel: segments of the input are
 * parsed apart, and joined in order, which finds out which tokens are true; then the blocks are
 * coded apart, and their bits put behind each other. Where the way a block is coded depends on
 * those before, that is settled in order: with the join or, where it can be planned apart,
 * between the two.
 *
 * The joiner parses in order: where nobody has parsed ahead, it goes on from where the stream
 * stands. What is parsed apart is a short cut that is taken if it is proved to lead to the
 * same place.
 *
 * Segments, joiners and codings live in memory of the caller, aligned for any type.
 */
#ifndef IMGCONV_TWO_STEP_H
#define IMGCONV_TWO_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "deflate/bit_span.h"
#include "parallel/block_serial.h"
#include "parallel/segment_input.h"

/* Which encoder: generation 126 or 127, and level. */
typedef struct {
    int generation;
    int level;
} encoder_profile;

/* What a level asks of the cutting of its input. */
typedef struct {
    size_t unit;   /* segments, but for the last, are a multiple of this long */
    size_t before; /* input wanted before a segment's first byte to guess at it */
    size_t after;  /* and behind its last, but for the last segment */
    size_t history; /* input that must be there before it in any case */
} two_step_geometry;

/* What every coding begins with: its bits, when it has run. */
typedef struct {
    bit_piece piece;
} coding_bits;

typedef struct {
    /* Codings look at their segment's tokens; else its memory is free once it is joined. */
    bool codes_from_segment;

    two_step_geometry (*geometry)(encoder_profile profile);

    /* A segment to be parsed from a guess: from input before it or, if that is given and there is
     * such a way, from where the segment right before it, which has run, has ended. */
    size_t (*segment_memory)(encoder_profile profile, size_t size);
    void *(*segment_init)(void *memory, encoder_profile profile, const segment_input *input);
    void (*segment_run)(void *segment, const void *previous); /* on any core */

    size_t (*joiner_memory)(encoder_profile profile);
    void *(*joiner_init)(void *memory, encoder_profile profile);

    /* Join the next part of the stream: a segment that has run, or NULL, and then the input
     * is parsed here and now. What it completes is the coding; of which something may be left
     * to plan, and then it says so. The input must exist until the coding has run, the segment
     * until then and until the next is joined or the stream written to. */
    size_t (*coding_memory)(encoder_profile profile, size_t size);
    bool (*join)(void *joiner, const segment_input *input, const void *segment, void *coding);
    void (*coding_plan)(void *coding); /* on any core, in any order; NULL: never left */
    /* Settle how it is coded, in the order of joining, planning what is not planned. NULL if
     * joining settles that. */
    void (*settle)(void *joiner, void *coding);
    void (*coding_run)(void *coding); /* on any core, in any order */

    /* End the stream, of which everything is joined and coded, and fill its last byte. */
    void (*end)(void *joiner, bit_writer *out);

    /* Or work in order, from the first byte on or when everything is joined and coded, as a
     * block_stream does; NULL if there is no such way. hold() comes before the first write()
     * behind a segment, and whoever goes on with segments does so with what is held(). */
    size_t (*write_bound)(void *joiner, size_t n);
    size_t (*write)(void *joiner, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out);
    size_t (*finish)(void *joiner, bit_tail *tail, uint8_t *out);
    held_input (*held)(void *joiner);
    void (*hold)(void *joiner, const held_input *input, uint64_t position);

    /* Bytes of input that were parsed again because a guess was wrong. */
    uint64_t (*repaired)(const void *joiner);
} two_step_encoder;

/* The one for a profile, or NULL if it works in order only. */
const two_step_encoder *find_two_step_encoder(encoder_profile profile);

extern const two_step_encoder block_two_step;       /* all that cut their input (encoder.h) */
extern const two_step_encoder go126_chain_two_step; /* levels 2 to 9 */
extern const two_step_encoder go127_chain_two_step; /* levels 7 to 9 */

#endif
