/* One block encoder run over a whole stream, in order. */
#ifndef IMGCONV_BLOCK_STREAM_H
#define IMGCONV_BLOCK_STREAM_H

#include "encoder.h"

typedef struct block_stream block_stream;

/* Bytes of memory a stream needs, aligned for any type. */
size_t block_stream_size(const block_encoder *encoder);

/* Make a stream at its first byte. The memory must outlive it; nothing needs freeing. */
block_stream *block_stream_init(void *memory, const block_encoder *encoder, int level);

/* The most bytes that write(n) can give; finish() gives no more than bound(0). */
size_t block_stream_bound(const block_stream *stream, size_t n);

/* Take n bytes; give the bytes of output that are complete. `out` has bound(n) bytes. */
size_t block_stream_write(block_stream *stream, const uint8_t *data, size_t n, uint8_t *out);

/* End the stream; nothing may be written after. */
size_t block_stream_finish(block_stream *stream, uint8_t *out);

#endif
