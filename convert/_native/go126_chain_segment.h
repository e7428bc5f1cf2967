/*
 * Levels 2 to 9 of go1.26 on many cores, in two steps that are both parallel.
 *
 * Segments of the input are parsed apart, each after some input of the one before. Joining
 * looks whether the tokens of the stream so far end where a token of the next segment ends,
 * with the parser in the same state; if not, input is parsed again from there until they meet.
 * (go126_chain.c says what that state is.) Blocks are then cut from the joined tokens,
 * and coding those is the second step.
 */
#ifndef IMGCONV_GO126_CHAIN_SEGMENT_H
#define IMGCONV_GO126_CHAIN_SEGMENT_H

#include "bit_piece.h"
#include "go126_chain.h"
#include "segment_input.h"

typedef struct chain_segment chain_segment;
typedef struct chain_coding chain_coding;
typedef struct chain_joiner chain_joiner;

/* Input that a segment wants before its first byte, and (but for the last) behind its last. */
size_t chain_segment_before(void);
size_t chain_segment_after(void);

size_t chain_segment_memory(size_t size);
chain_segment *chain_segment_init(void *memory, int level, const segment_input *input,
                                  size_t after);
const segment_input *chain_segment_input(const chain_segment *segment);

/* Parse it: may run on any core, in any order. */
void chain_segment_run(chain_segment *segment);

size_t chain_joiner_memory(void);
chain_joiner *chain_joiner_init(void *memory, int level);

/* What the next segment completes is put into a coding. */
size_t chain_coding_memory(const chain_joiner *joiner, const chain_segment *segment);
chain_coding *chain_coding_init(void *memory, const chain_joiner *joiner,
                                const chain_segment *segment);

/* Join the next segment, which has run. The coding before must still exist. */
void chain_joiner_join(chain_joiner *joiner, const chain_segment *segment, chain_coding *coding);

/* Code its blocks: may run on any core, in any order. The segment's input must still exist. */
void chain_coding_run(chain_coding *coding);

/* Put the bits of the next coding, which has run, behind the stream. */
size_t chain_coding_bound(const chain_coding *coding);
size_t chain_joiner_append(chain_joiner *joiner, const chain_coding *coding, uint8_t *out);

/* Bytes of input that were parsed again because a guess was wrong. */
uint64_t chain_joiner_repaired(const chain_joiner *joiner);

#endif
