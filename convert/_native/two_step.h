/*
 * An encoder on many cores in two steps that are both parallel: segments of the input are
 * parsed apart; joining them in order settles which tokens are true and what each block
 * will be; then the blocks are coded apart, and their bits put behind each other.
 *
 * Segments, joiners and codings live in memory of the caller, aligned for any type.
 */
#ifndef IMGCONV_TWO_STEP_H
#define IMGCONV_TWO_STEP_H

#include <stddef.h>
#include <stdint.h>

#include "segment_input.h"

/* What a level asks of the cutting of its input. */
typedef struct {
    size_t unit;   /* segments, but for the last, are a multiple of this long */
    size_t before; /* input wanted before a segment's first byte */
    size_t after;  /* and behind its last, but for the last segment */
} two_step_geometry;

typedef struct {
    two_step_geometry (*geometry)(int level);

    size_t (*segment_memory)(int level, size_t size);
    /* `after` bytes behind the segment are readable. The input must exist until the
     * segment's coding has run. */
    void *(*segment_init)(void *memory, int level, const segment_input *input, size_t after);
    const segment_input *(*segment_input)(const void *segment);
    void (*segment_run)(void *segment); /* on any core, in any order */

    size_t (*joiner_memory)(int level);
    void *(*joiner_init)(void *memory, int level);

    /* What the next segment completes is put into a coding. */
    size_t (*coding_memory)(const void *joiner, const void *segment);
    void *(*coding_init)(void *memory, const void *joiner, const void *segment);
    /* Join the next segment, which has run. The coding before must still exist. */
    void (*join)(void *joiner, const void *segment, void *coding);
    void (*coding_run)(void *coding); /* on any core, in any order */

    /* Put the bits of the next coding, which has run, behind the stream. */
    size_t (*coding_bound)(const void *coding);
    size_t (*append)(void *joiner, const void *coding, uint8_t *out);

    /* Bytes of input that were parsed again because a guess was wrong. */
    uint64_t (*repaired)(const void *joiner);
} two_step_encoder;

/* The one for a generation and level, or NULL. */
const two_step_encoder *find_two_step_encoder(int generation, int level);

extern const two_step_encoder go126_chain_two_step; /* levels 2 to 9 */
extern const two_step_encoder go127_fast_two_step;  /* levels 1 to 6 */
extern const two_step_encoder go127_chain_two_step; /* levels 7 to 9 */

#endif
