/* See block_stream.h. */
#include "block_stream.h"

#include <stdalign.h>
#include <string.h>

/* Blocks per filling of the buffer: the more, the less often history is moved. */
enum { BUFFER_BLOCKS = 4 };

struct block_stream {
    const block_encoder *encoder;
    void *state;
    uint8_t *buffer; /* history, then input not yet encoded */
    size_t capacity;
    size_t begin; /* of the next block in the buffer */
    size_t end;   /* of the input in the buffer */
    uint64_t position;
    uint64_t word; /* bits that do not fill a byte yet */
    unsigned count;
};

static size_t aligned(size_t n) {
    return (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

static size_t buffer_capacity(const block_encoder *encoder) {
    /* One byte more: a full block is only encoded once it is known not to be the last. */
    return encoder->history + BUFFER_BLOCKS * encoder->block_size + 1;
}

size_t block_stream_size(const block_encoder *encoder) {
    return aligned(sizeof(block_stream)) + aligned(encoder->state_size) +
           buffer_capacity(encoder);
}

block_stream *block_stream_init(void *memory, const block_encoder *encoder, int level) {
    uint8_t *p = memory;
    block_stream *s = memory;
    s->encoder = encoder;
    p += aligned(sizeof *s);
    s->state = p;
    p += aligned(encoder->state_size);
    s->buffer = p;
    s->capacity = buffer_capacity(encoder);
    s->begin = s->end = 0;
    s->position = 0;
    s->word = 0;
    s->count = 0;
    encoder->init(s->state, level);
    return s;
}

size_t block_stream_bound(const block_stream *s, size_t n) {
    size_t block = s->encoder->block_size;
    size_t held = s->end - s->begin + n;
    /* Full blocks come out of write() when more follows, the last one out of finish(). */
    size_t blocks = n != 0 ? (held - 1) / block : 1;
    return blocks * block_bound(block) + block_bound(0) + BITS_SLACK;
}

static void encode_block(block_stream *s, size_t length, bool last, bit_writer *out) {
    block_input block = {s->buffer + s->begin, length, s->position, last};
    s->encoder->encode(s->state, &block, out);
    s->begin += length;
    s->position += length;
}

/* Drop what no later block can refer to. */
static void slide(block_stream *s) {
    size_t keep = s->begin < s->encoder->history ? s->begin : s->encoder->history;
    size_t from = s->begin - keep;
    memmove(s->buffer, s->buffer + from, s->end - from);
    s->begin -= from;
    s->end -= from;
}

size_t block_stream_write(block_stream *s, const uint8_t *data, size_t n, uint8_t *out) {
    size_t block = s->encoder->block_size;
    bit_writer w;
    bits_resume(&w, out, s->word, s->count);
    while (n > 0) {
        if (s->end == s->capacity)
            slide(s);
        size_t part = s->capacity - s->end < n ? s->capacity - s->end : n;
        memcpy(s->buffer + s->end, data, part);
        s->end += part;
        data += part;
        n -= part;
        while (s->end - s->begin > block)
            encode_block(s, block, false, &w);
    }
    bits_flush(&w);
    s->word = w.word;
    s->count = w.count;
    return (size_t)(w.next - w.start);
}

size_t block_stream_finish(block_stream *s, uint8_t *out) {
    bit_writer w;
    bits_resume(&w, out, s->word, s->count);
    if (s->end > s->begin)
        encode_block(s, s->end - s->begin, true, &w);
    s->encoder->finish(s->state, &w);
    bits_align(&w);
    return (size_t)(w.next - w.start);
}
