/* See block_stream.h. */
#include "parallel/block_serial.h"

#include <string.h>

#include "parallel/memory.h"

/* Blocks per filling of the buffer: the more, the less often history is moved. */
enum { BUFFER_BLOCKS = 4 };

struct block_stream {
    const block_encoder *encoder;
    void *parser;
    void *coder;
    void *plan;
    uint8_t *room; /* for a parsed block */
    uint8_t *buffer; /* history, then input not yet encoded: at most a block between two calls */
    size_t capacity;
    size_t begin; /* of the next block in the buffer */
    size_t end;   /* of the input in the buffer */
    uint64_t position; /* of `begin` */
};

static size_t buffer_capacity(const block_encoder *e) {
    /* One byte more: a full block is only encoded once it is known not to be the last. */
    return e->history + BUFFER_BLOCKS * e->block_size + 1;
}

static size_t take_stream(block_stream *s, uint8_t **p, const block_encoder *e) {
    size_t total = aligned(sizeof *s);
    s->encoder = e;
    s->parser = take(p, &total, e->parser_size);
    s->coder = take(p, &total, e->coder_size);
    s->plan = take(p, &total, e->plan_size);
    s->room = take(p, &total, block_room_size(e));
    s->capacity = buffer_capacity(e);
    s->buffer = take(p, &total, s->capacity);
    return total;
}

size_t block_stream_size(const block_encoder *e) {
    block_stream s;
    uint8_t *nowhere = NULL;
    return take_stream(&s, &nowhere, e);
}

block_stream *block_stream_init(void *memory, const block_encoder *e, int level) {
    uint8_t *p = (uint8_t *)memory + aligned(sizeof(block_stream));
    block_stream *s = memory;
    take_stream(s, &p, e);
    s->begin = s->end = 0;
    s->position = 0;
    if (e->parser_size != 0)
        e->parser_init(s->parser, level);
    if (e->coder_size != 0)
        e->coder_init(s->coder, level);
    return s;
}

size_t block_stream_bound(const block_stream *s, size_t n) {
    size_t block = s->encoder->block_size;
    size_t held = s->end - s->begin + n;
    /* Full blocks come out of write() when more follows, the last one out of finish(). */
    size_t blocks = n != 0 ? (held - 1) / block : 1;
    return blocks * block_bound(block) + block_bound(0) + BITS_SLACK;
}

static void encode_block(block_stream *s, const uint8_t *data, size_t length, bool last,
                         bit_writer *out) {
    const block_encoder *e = s->encoder;
    block_input block = {data, length, s->position, last};
    parsed_block parsed;
    e->parse(s->parser, &block, block_room_at(e, s->room), &parsed);
    if (e->plan != NULL)
        e->plan(&block, &parsed, s->plan);
    e->code(s->coder, s->plan, &block, &parsed, out);
    s->position += length;
}

/* How much of what was before a later block can refer to. */
static size_t history(const block_stream *s) {
    return s->position < s->encoder->history ? (size_t)s->position : s->encoder->history;
}

/* Add to the buffer, moving down what of it is still needed if there is no room. */
static void fill(block_stream *s, const uint8_t *data, size_t n) {
    if (s->capacity - s->end < n) {
        size_t from = s->begin - history(s);
        memmove(s->buffer, s->buffer + from, s->end - from);
        s->begin -= from;
        s->end -= from;
    }
    memcpy(s->buffer + s->end, data, n);
    s->end += n;
}

/* Encode whole blocks where they lie, as long as more follows, and keep the rest. The next block
 * begins at data[at], and what is before it is there too. */
static void encode_in_place(block_stream *s, const uint8_t *data, size_t at, size_t n,
                            bit_writer *out) {
    size_t block = s->encoder->block_size;
    for (; n - at > block; at += block)
        encode_block(s, data + at, block, false, out);
    s->begin = history(s);
    s->end = s->begin + n - at;
    memcpy(s->buffer, data + at - s->begin, s->end);
}

size_t block_stream_write(block_stream *s, const uint8_t *data, size_t n, bit_tail *tail,
                          uint8_t *out) {
    const size_t block = s->encoder->block_size;
    size_t taken = 0; /* of the data, into the buffer */
    bit_writer w = bits_from_tail(tail, out);
    while (taken < n) {
        size_t held = s->end - s->begin;
        if (n - taken > block && taken >= held + history(s)) {
            encode_in_place(s, data, taken - held, n, &w);
            break;
        }
        size_t part = block + 1 - held < n - taken ? block + 1 - held : n - taken;
        fill(s, data + taken, part);
        taken += part;
        if (s->end - s->begin > block) {
            encode_block(s, s->buffer + s->begin, block, false, &w);
            s->begin += block;
        }
    }
    return bits_to_tail(&w, tail);
}

size_t block_stream_finish(block_stream *s, bit_tail *tail, uint8_t *out) {
    bit_writer w = bits_from_tail(tail, out);
    if (s->end > s->begin)
        encode_block(s, s->buffer + s->begin, s->end - s->begin, true, &w);
    s->encoder->end(s->coder, &w);
    return bits_to_tail(&w, tail);
}

void *block_stream_parser(block_stream *s) {
    return s->parser;
}

void *block_stream_coder(block_stream *s) {
    return s->coder;
}

held_input block_stream_held(const block_stream *s) {
    return (held_input){s->buffer + s->begin, history(s), s->end - s->begin};
}

void block_stream_hold(block_stream *s, const held_input *input, uint64_t position) {
    s->position = position;
    s->begin = history(s);
    s->end = s->begin + input->size;
    memcpy(s->buffer, input->data - s->begin, s->end);
}
