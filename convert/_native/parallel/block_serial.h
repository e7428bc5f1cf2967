/* One block encoder run over a whole stream, in order. */
#ifndef IMGCONV_BLOCK_STREAM_H
#define IMGCONV_BLOCK_STREAM_H

#include "deflate/bit_span.h"
#include "encoder.h"

typedef struct block_stream block_stream;

/* Bytes of memory a stream needs, aligned for any type. */
size_t block_stream_size(const block_encoder *encoder);

/* Make a stream at its first byte. The memory must outlive it; nothing needs freeing. */
block_stream *block_stream_init(void *memory, const block_encoder *encoder, int level);

/* The most bytes that write(n) can give; finish() gives no more than bound(0). */
size_t block_stream_bound(const block_stream *stream, size_t n);

/* Take n bytes; give the bytes of output that are complete. `out` has bound(n) bytes. The tail is
 * the caller's to keep between two calls, empty at first. */
size_t block_stream_write(block_stream *stream, const uint8_t *data, size_t n, bit_tail *tail,
                          uint8_t *out);

/* End the stream; nothing may be written after. */
size_t block_stream_finish(block_stream *stream, bit_tail *tail, uint8_t *out);

/* ---- To go on with a stream otherwise, and to come back ---------------------------------- */

/* What stands behind the last block that was encoded. */
void *block_stream_parser(block_stream *stream);
void *block_stream_coder(block_stream *stream);

/* Input that is not encoded yet, and as much of what is before it as encoders look at. */
typedef struct {
    const uint8_t *data; /* of the former; the latter lies right before */
    size_t before;
    size_t size; /* at most a block */
} held_input;

held_input block_stream_held(const block_stream *stream);

/* Hold this instead, of which the first byte is at `position`; parser and coder stand there. */
void block_stream_hold(block_stream *stream, const held_input *input, uint64_t position);

#endif
