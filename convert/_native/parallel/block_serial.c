/*
 * Running a block encoder over a stream in order.
 *
 * Algorithm: input is collected until a block and one byte more are there, so that it is known
 * whether the block is the last one; then it is parsed, planned and written. Large writes are
 * encoded in place, without a copy.
 *
 * Why the bytes are the family's: the encoder sees the same blocks, of block_size bytes from the
 * start of the stream, however the input is split into calls.
 */
#include <string.h>

#include "parallel/block_encoder.h"
#include "parallel/memory.h"

/* Blocks per filling of the buffer; with more of them history is moved less often. */
enum { BUFFER_BLOCKS = 4 };

typedef struct {
    const block_encoder *encoder;
    void *parser;
    void *writer;
    void *plan;
    uint8_t *parsed; /* a block_buffer */
    uint8_t *buffer; /* history, then unwritten input: at most a block between two calls */
    size_t capacity;
    size_t begin;      /* of the next block in the buffer */
    size_t end;        /* of the input in the buffer */
    uint64_t position; /* of `begin` */
} serial_state;

static size_t take_state(serial_state *s, uint8_t **p, const block_encoder *e) {
    size_t total = aligned(sizeof *s);
    s->encoder = e;
    s->parser = take(p, &total, e->parser_size);
    s->writer = take(p, &total, e->writer_size);
    s->plan = take(p, &total, e->plan_size);
    s->parsed = take(p, &total, block_buffer_size(e));
    /* One byte more: a full block is encoded once it is known not to be the last. */
    s->capacity = e->history + BUFFER_BLOCKS * e->block_size + 1;
    s->buffer = take(p, &total, s->capacity);
    return total;
}

static size_t state_size(encoder_profile profile) {
    serial_state s;
    uint8_t *nowhere = NULL;
    return take_state(&s, &nowhere, registry_blocks(profile));
}

static void init(void *memory, encoder_profile profile) {
    uint8_t *p = (uint8_t *)memory + aligned(sizeof(serial_state));
    serial_state *s = memory;
    const block_encoder *e = registry_blocks(profile);
    take_state(s, &p, e);
    s->begin = s->end = 0;
    s->position = 0;
    if (e->parser_size != 0)
        e->parser_init(s->parser, profile.level);
    if (e->writer_size != 0)
        e->writer_init(s->writer, profile.level);
}

static size_t bound(const void *state, size_t n) {
    const serial_state *s = state;
    size_t block = s->encoder->block_size;
    size_t unwritten = s->end - s->begin + n;
    /* Full blocks are written by write() when more input follows, the last one by finish(). */
    size_t blocks = n != 0 ? (unwritten - 1) / block : 1;
    return blocks * block_bound(block) + block_bound(0) + BITS_SLACK;
}

static void encode_block(serial_state *s, const uint8_t *data, size_t length, bool last,
                         bit_writer *out) {
    const block_encoder *e = s->encoder;
    block_input block = {data, length, s->position, last};
    parsed_block parsed;
    e->parse(s->parser, &block, block_buffer_at(e, s->parsed), &parsed);
    if (e->plan != NULL)
        e->plan(&block, &parsed, s->plan);
    e->write(s->writer, s->plan, &block, &parsed, out);
    s->position += length;
}

/* The number of earlier bytes that a later block can refer to. */
static size_t history(const serial_state *s) {
    return s->position < s->encoder->history ? (size_t)s->position : s->encoder->history;
}

/* Add to the buffer, moving down what is still needed if the end is too near. */
static void fill(serial_state *s, const uint8_t *data, size_t n) {
    if (s->capacity - s->end < n) {
        size_t from = s->begin - history(s);
        memmove(s->buffer, s->buffer + from, s->end - from);
        s->begin -= from;
        s->end -= from;
    }
    memcpy(s->buffer + s->end, data, n);
    s->end += n;
}

/* Encode whole blocks in the caller's memory as long as more input follows, and buffer the rest.
 * The next block begins at data[at], and the history it needs is in front of it. */
static void encode_in_place(serial_state *s, const uint8_t *data, size_t at, size_t n,
                            bit_writer *out) {
    size_t block = s->encoder->block_size;
    for (; n - at > block; at += block)
        encode_block(s, data + at, block, false, out);
    s->begin = history(s);
    s->end = s->begin + n - at;
    memcpy(s->buffer, data + at - s->begin, s->end);
}

static size_t write(void *state, const uint8_t *data, size_t n, bit_tail *tail, uint8_t *out) {
    serial_state *s = state;
    const size_t block = s->encoder->block_size;
    size_t taken = 0; /* of the data, into the buffer */
    bit_writer w = bits_from_tail(tail, out);
    while (taken < n) {
        size_t unwritten = s->end - s->begin;
        if (n - taken > block && taken >= unwritten + history(s)) {
            encode_in_place(s, data, taken - unwritten, n, &w);
            break;
        }
        size_t wanted = block + 1 - unwritten;
        size_t part = wanted < n - taken ? wanted : n - taken;
        fill(s, data + taken, part);
        taken += part;
        if (s->end - s->begin > block) {
            encode_block(s, s->buffer + s->begin, block, false, &w);
            s->begin += block;
        }
    }
    return bits_to_tail(&w, tail);
}

static size_t finish(void *state, bit_tail *tail, uint8_t *out) {
    serial_state *s = state;
    bit_writer w = bits_from_tail(tail, out);
    if (s->end > s->begin)
        encode_block(s, s->buffer + s->begin, s->end - s->begin, true, &w);
    s->encoder->end(s->writer, &w);
    return bits_to_tail(&w, tail);
}

void *parallel_block_parser(void *state) {
    return ((serial_state *)state)->parser;
}

void *parallel_block_writer(void *state) {
    return ((serial_state *)state)->writer;
}

static unwritten_input unwritten(const void *state) {
    const serial_state *s = state;
    return (unwritten_input){s->buffer + s->begin, history(s), s->end - s->begin};
}

static void resume(void *state, const unwritten_input *input, uint64_t position) {
    serial_state *s = state;
    s->position = position;
    s->begin = history(s);
    s->end = s->begin + input->size;
    memcpy(s->buffer, input->data - s->begin, s->end);
}

const serial_encoder parallel_block_serial = {
    .state_size = state_size,
    .init = init,
    .bound = bound,
    .write = write,
    .finish = finish,
    .unwritten = unwritten,
    .resume = resume,
};
