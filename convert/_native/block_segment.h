/*
 * A block encoder on many cores: segments of a stream are coded apart, each from a guess of
 * the state it starts in, and joined in order. The join compares the guess with the state
 * that the stream before really ended in; where they differ, blocks are coded again from the
 * real state until it meets a state that the segment passed through. A segment that nobody
 * has begun when its turn comes is coded from the real state at once. The result is always
 * that of the encoder run in order.
 */
#ifndef IMGCONV_BLOCK_SEGMENT_H
#define IMGCONV_BLOCK_SEGMENT_H

#include "bit_piece.h"
#include "encoder.h"
#include "segment_input.h"

typedef struct block_segment block_segment;

/* Input that a segment wants before its first byte, to warm up in. */
size_t block_segment_before(const block_encoder *encoder);

/* Memory for a segment of `size` bytes of input. */
size_t block_segment_memory(const block_encoder *encoder, size_t size);
block_segment *block_segment_init(void *memory, const block_encoder *encoder, int level,
                                  const segment_input *input);

const segment_input *block_segment_input(const block_segment *segment);

/* Code it: the part that may run on any core, in any order. */
void block_segment_run(block_segment *segment);

typedef struct block_joiner block_joiner;

size_t block_joiner_memory(const block_encoder *encoder);
block_joiner *block_joiner_init(void *memory, const block_encoder *encoder, int level);

/* Room that joining or encoding the next `size` bytes can need. */
size_t block_joiner_bound(const block_joiner *joiner, size_t size);

/* Join the next segment of the stream, which has run and whose input still exists. */
void block_joiner_join(block_joiner *joiner, const block_segment *segment, bit_writer *out);

/* Or encode what would have been the next segment, from the true state: nothing is guessed. */
void block_joiner_encode(block_joiner *joiner, const segment_input *input, bit_writer *out);

/* How many blocks had to be coded again so far. */
uint64_t block_joiner_repaired(const block_joiner *joiner);

#endif
