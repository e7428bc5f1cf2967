/*
 * Fuzz target for the encoders: libFuzzer's entry point, also called by replay.c.
 *
 * The input picks a generation, a level and a cutting, then says how to make the data to be encoded (see
 * build_data), so that a short input can reach across blocks, windows and segments. Held to be
 * true of every input, besides the sanitizers' silence:
 *   - the output inflates (zlib) to the data;
 *   - however the data are cut, the output is the same;
 *   - segments worked on apart, each for itself or one behind the other, or left to the joiner,
 *     and joined, with parts written in order between, give the output of the encoder run in order.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "parallel/block_serial.h"
#include "encoder.h"
#include "parallel/two_step.h"

/* Ten blocks, so that a segment can have several; less for encoders that cut their tokens, which are
 * slower, and have to be tried with segments as small as can be. */
enum { MAX_DATA = 700000, MAX_DATA_TOKENS = 150000 };

#define CHECK(condition)                                                                      \
    do {                                                                                      \
        if (!(condition)) {                                                                   \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                          \
        }                                                                                     \
    } while (0)

typedef struct {
    uint8_t *bytes;
    size_t size;
} buffer;

static void *allocate(size_t n) {
    void *p = malloc(n != 0 ? n : 1);
    CHECK(p != NULL);
    return p;
}

static void grow(buffer *b, const uint8_t *bytes, size_t n) {
    b->bytes = realloc(b->bytes, b->size + n + 1);
    CHECK(b->bytes != NULL);
    memcpy(b->bytes + b->size, bytes, n);
    b->size += n;
}

/* Programs of five bytes and their arguments: literals, copies from anywhere before, runs,
 * noise, counters. */
static size_t build_data(const uint8_t *program, size_t n, uint8_t *data, size_t most) {
    size_t size = 0;
    size_t i = 0;
    uint32_t noise = 12345;
    while (i + 5 <= n && size < most) {
        uint8_t op = program[i];
        /* Blocks are 65,535 bytes: lengths can be four times that. */
        size_t a = (program[i + 1] | (size_t)program[i + 2] << 8) << (op & 128 ? 2 : 0);
        size_t b = program[i + 3] | (size_t)program[i + 4] << 8;
        i += 5;
        size_t room = most - size;
        size_t length = a < room ? a : room;
        switch (op % 6) {
        case 0: /* literals out of the program */
            length = length % 300;
            if (length > n - i)
                length = n - i;
            memcpy(data + size, program + i, length);
            i += length;
            size += length;
            break;
        case 1: /* copy */
            if (size == 0)
                break;
            b = b % size + 1;
            for (; length > 0; length--, size++)
                data[size] = data[size - b];
            break;
        case 2: /* run */
            memset(data + size, (int)b, length);
            size += length;
            break;
        case 3: /* noise, of as many values as asked for */
            for (; length > 0; length--) {
                noise = noise * 1664525 + 1013904223;
                data[size++] = (uint8_t)((noise >> 16) % (1 + b % 256));
            }
            break;
        case 4: /* counter, which makes near repeats */
            for (; length >= 4; length -= 4, b++) {
                data[size++] = (uint8_t)(b >> 8);
                data[size++] = (uint8_t)b;
                data[size++] = 0;
                data[size++] = op;
            }
            break;
        default: /* copy with a change now and then */
            if (size == 0)
                break;
            b = b % size + 1;
            for (; length > 0; length--, size++)
                data[size] = (uint8_t)(data[size - b] ^ (size % (7u + op) == 0));
            break;
        }
    }
    return size;
}

static buffer in_order(int generation, int level, const uint8_t *data, size_t n, size_t cut) {
    buffer result = {NULL, 0};
    const block_encoder *blocks = find_block_encoder(generation, level);
    const token_encoder *tokens = find_token_encoder(generation, level);
    void *memory =
        allocate(blocks != NULL ? block_stream_size(blocks) : tokens->state_size);
    block_stream *stream = NULL;
    bit_tail tail = {0, 0};
    if (blocks != NULL)
        stream = block_stream_init(memory, blocks, level);
    else
        tokens->init(memory, level);
    for (size_t at = 0; at <= n; at += cut) {
        bool end = at == n;
        size_t part = n - at < cut ? n - at : cut;
        uint8_t *in = allocate(part); /* exactly, so that reading beyond is seen */
        memcpy(in, data + at, part);
        if (part == 0)
            end = true;
        size_t bound = blocks != NULL ? block_stream_bound(stream, part)
                                      : tokens->bound(memory, part);
        uint8_t *out = allocate(bound);
        size_t size;
        if (end)
            size = blocks != NULL ? block_stream_finish(stream, &tail, out)
                                  : tokens->finish(memory, out);
        else
            size = blocks != NULL ? block_stream_write(stream, in, part, &tail, out)
                                  : tokens->write(memory, in, part, out);
        CHECK(size <= bound);
        grow(&result, out, size);
        free(out);
        free(in);
        if (end)
            break;
        if (part < cut)
            at = n - cut;
    }
    free(memory);
    return result;
}

/* The input around a segment, in memory of its own. */
static uint8_t *around(const uint8_t *data, size_t n, size_t at, size_t before, size_t size,
                       size_t after, segment_input *input) {
    before = at < before ? at : before;
    bool last = at + size == n;
    after = last ? 0 : after;
    uint8_t *copy = allocate(before + size + after);
    memcpy(copy, data + at - before, before + size + after);
    *input = (segment_input){copy + before, before, after, size, at, last, at + 1};
    return copy;
}

/* Whether the segment of this number is run apart: a bit of eight says so, over and over. */
static bool is_run(unsigned turns, size_t number) {
    return (turns >> number % 8 & 1) != 0;
}

/* A stream put together of segments, or written in order where that is possible. */
typedef struct {
    const two_step_encoder *steps;
    encoder_profile profile;
    void *joiner;
    void *segment_memory; /* of the last segment that was run, as long as it may be looked at */
    void *segment;        /* it itself, if it is the one before, or NULL */
    bit_tail tail;
    buffer result;
} parallel_stream;

static void grow_by(parallel_stream *s, uint8_t *out, size_t size, size_t bound) {
    CHECK(size <= bound);
    grow(&s->result, out, size);
    free(out);
}

static void forget_segment(parallel_stream *s) {
    free(s->segment_memory);
    s->segment_memory = s->segment = NULL;
}

/* Guess at the segment: from where the one before has ended if `follow` and it was run. */
static void run_segment(parallel_stream *s, const segment_input *input, bool follow) {
    const two_step_encoder *e = s->steps;
    void *memory = allocate(e->segment_memory(s->profile, input->size));
    void *segment = e->segment_init(memory, s->profile, input);
    e->segment_run(segment, follow ? s->segment : NULL);
    s->segment_memory = memory;
    s->segment = segment;
}

/* Join the next part of the stream, guessed at or not, and code it. */
static void join_part(parallel_stream *s, const segment_input *input, bool run, bool follow,
                      bool plan) {
    const two_step_encoder *e = s->steps;
    void *coding = allocate(e->coding_memory(s->profile, input->size));
    void *before = s->segment_memory;
    if (run)
        run_segment(s, input, follow);
    else
        s->segment_memory = s->segment = NULL;
    bool unplanned = e->join(s->joiner, input, s->segment, coding);
    free(before);
    if (!e->codes_from_segment)
        forget_segment(s);
    if (unplanned && plan)
        e->coding_plan(coding);
    if (e->settle != NULL)
        e->settle(s->joiner, coding);
    e->coding_run(coding);
    const bit_piece *piece = &((const coding_bits *)coding)->piece;
    size_t joined = bits_join_size(&s->tail, piece);
    size_t bound = joined + block_bound(0);
    uint8_t *out = allocate(bound);
    bits_join(&s->tail, piece, out);
    if (input->last) {
        bit_writer w = bits_from_tail(&s->tail, out + joined);
        e->end(s->joiner, &w);
        joined += bits_to_tail(&w, &s->tail);
    }
    grow_by(s, out, joined, bound);
    free(coding);
}

/* Write the part in order, in two pieces. What is held when it ends goes to the next part. Gives
 * how much is settled. */
static size_t write_part(parallel_stream *s, const uint8_t *data, const segment_input *input,
                         size_t after) {
    const two_step_encoder *e = s->steps;
    size_t history = e->geometry(s->profile).history;
    size_t before = input->position < history ? (size_t)input->position : history;
    uint8_t *held = allocate(before + 1);
    memcpy(held, data + input->position - before, before + 1);
    e->hold(s->joiner, &(held_input){held + before, before, 1}, input->position);
    free(held);
    size_t rest = input->size + after - 1, position = (size_t)input->position + 1;
    for (size_t part = rest / 3; rest > 0; part = rest) {
        uint8_t *in = allocate(part);
        memcpy(in, data + position, part);
        size_t bound = e->write_bound(s->joiner, part);
        uint8_t *out = allocate(bound);
        if (part != 0)
            grow_by(s, out, e->write(s->joiner, in, part, &s->tail, out), bound);
        else
            free(out);
        free(in);
        position += part;
        rest -= part;
        if (part != 0)
            forget_segment(s);
    }
    s->segment = NULL;
    if (input->last) {
        size_t bound = e->write_bound(s->joiner, 0);
        uint8_t *out = allocate(bound);
        grow_by(s, out, e->finish(s->joiner, &s->tail, out), bound);
        return input->size;
    }
    held_input rests = e->held(s->joiner);
    CHECK(rests.size == after);
    CHECK(rests.before <= position - rests.size);
    CHECK(memcmp(rests.data - rests.before, data + position - rests.size - rests.before,
                 rests.before + rests.size) == 0);
    return position - rests.size - (size_t)input->position;
}

static buffer in_parallel(const two_step_encoder *e, encoder_profile profile, const uint8_t *data,
                          size_t n, size_t step, unsigned turns) {
    two_step_geometry wants = e->geometry(profile);
    step = (step + wants.unit - 1) / wants.unit * wants.unit;
    void *memory = allocate(e->joiner_memory(profile));
    parallel_stream s = {.steps = e, .profile = profile, .joiner = e->joiner_init(memory, profile)};
    size_t at = 0;
    bool last = false;
    for (size_t number = 0; !last; number++) {
        bool run = is_run(turns, number);
        size_t size = step;
        if (n - at < size + wants.after + 1)
            size = n - at;
        segment_input input;
        uint8_t *copy = around(data, n, at, run ? wants.before : wants.history, size, wants.after,
                               &input);
        if (!run && e->write != NULL && is_run(turns, number + 3))
            CHECK(write_part(&s, data, &input, input.last ? 0 : wants.after) == size);
        else
            join_part(&s, &input, run, is_run(turns, number + 5), is_run(turns, number + 6));
        last = input.last;
        at += size;
        free(copy);
    }
    forget_segment(&s);
    free(memory);
    return s.result;
}

static void check_inflates(const buffer *deflated, const uint8_t *data, size_t n) {
    uint8_t *back = allocate(n + 1);
    z_stream z;
    memset(&z, 0, sizeof z);
    CHECK(inflateInit2(&z, -15) == Z_OK);
    z.next_in = deflated->bytes;
    z.avail_in = (uInt)deflated->size;
    z.next_out = back;
    z.avail_out = (uInt)n + 1;
    CHECK(inflate(&z, Z_FINISH) == Z_STREAM_END);
    CHECK(z.avail_in == 0);
    CHECK(z.total_out == n);
    CHECK(memcmp(back, data, n) == 0);
    inflateEnd(&z);
    free(back);
}

static void check_same(const buffer *a, buffer b) {
    CHECK(a->size == b.size);
    CHECK(memcmp(a->bytes, b.bytes, b.size) == 0);
    free(b.bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
    if (size < 4)
        return 0;
    static uint8_t data[MAX_DATA];
    int generation = input[0] & 1 ? 127 : 126;
    int level = (input[0] >> 1) % 11; /* 0 store, 1..9, 10 huffman */
    if (level == 10)
        level = LEVEL_HUFFMAN;
    /* In a quarter of the inputs every segment is guessed at. */
    unsigned turns = input[2] < 64 ? 255 : input[2];
    size_t cut = 1 + (size_t)input[1] * (1 + input[2]);
    const block_encoder *blocks = find_block_encoder(generation, level);
    size_t n =
        build_data(input + 4, size - 4, data, blocks != NULL ? MAX_DATA : MAX_DATA_TOKENS);

    buffer whole = in_order(generation, level, data, n, MAX_DATA);
    check_inflates(&whole, data, n);
    if (cut < n && n / cut < 5000)
        check_same(&whole, in_order(generation, level, data, n, cut));
    encoder_profile profile = {generation, level};
    const two_step_encoder *steps = find_two_step_encoder(profile);
    if (steps != NULL && n > 1024) {
        /* Where any size will do, small ones; else it is rounded up to whole blocks. */
        size_t step = steps->geometry(profile).unit == 1 ? 512 + 128 * (size_t)input[3]
                                                         : 1 + (size_t)input[3] % 8 * 65535;
        check_same(&whole, in_parallel(steps, profile, data, n, step, turns));
    }
    free(whole.bytes);
    return 0;
}
