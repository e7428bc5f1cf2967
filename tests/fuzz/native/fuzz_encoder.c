/*
 * Fuzz target for the encoders: libFuzzer's entry point, also called by replay.c.
 *
 * The input picks a generation, a level and a cutting, then says how to make the data to be encoded (see
 * build_data), so that a short input can reach across blocks, windows and segments. Held to be
 * true of every input, besides the sanitizers' silence:
 *   - the output inflates (zlib) to the data;
 *   - however the data are cut, the output is the same;
 *   - segments worked on apart, or left to the joiner, and joined give the output of the
 *     encoder run in order.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "../../../convert/_native/block_stream.h"
#include "../../../convert/_native/encoder.h"
#include "../../../convert/_native/two_step.h"

enum { MAX_DATA = 150000 };

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
static size_t build_data(const uint8_t *program, size_t n, uint8_t *data) {
    size_t size = 0;
    size_t i = 0;
    uint32_t noise = 12345;
    while (i + 5 <= n && size < MAX_DATA) {
        uint8_t op = program[i];
        size_t a = program[i + 1] | (size_t)program[i + 2] << 8;
        size_t b = program[i + 3] | (size_t)program[i + 4] << 8;
        i += 5;
        size_t room = MAX_DATA - size;
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
            size = blocks != NULL ? block_stream_finish(stream, out)
                                  : tokens->finish(memory, out);
        else
            size = blocks != NULL ? block_stream_write(stream, in, part, out)
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
    *input = (segment_input){copy + before, before, after, size, at, last};
    return copy;
}

/* Whether the segment of this number is run apart: a bit of eight says so, over and over. */
static bool is_run(unsigned turns, size_t number) {
    return (turns >> number % 8 & 1) != 0;
}

/* Parse the next part of the stream and code it apart, or both at once; put it into the stream. */
static void join_part(const two_step_encoder *e, void *joiner, encoder_profile profile,
                      const segment_input *input, bool run, bool at_once, buffer *result,
                      bit_tail *tail) {
    void *segment_memory = allocate(e->segment_memory(profile, input->size));
    void *coding = allocate(e->coding_memory(profile, input->size));
    void *segment = NULL;
    bit_piece piece = {NULL, 0, BITS_NO_STORED};
    if (run) {
        segment = e->segment_init(segment_memory, profile, input);
        e->segment_run(segment);
    }
    if (!at_once) {
        e->join(joiner, input, segment, coding);
        if (!e->codes_from_segment) {
            free(segment_memory);
            segment_memory = NULL;
        }
        e->coding_run(coding);
        piece = ((const coding_bits *)coding)->piece;
    }
    size_t joined = at_once ? 0 : bits_join_size(tail, &piece);
    size_t bound = joined + (at_once ? e->encode_size(profile, input->size) : 0) + block_bound(0);
    uint8_t *out = allocate(bound);
    if (!at_once)
        bits_join(tail, &piece, out);
    bit_writer w = bits_from_tail(tail, out + joined);
    if (at_once)
        e->encode(joiner, input, &w);
    if (input->last)
        e->end(joiner, &w);
    joined += bits_to_tail(&w, tail);
    CHECK(joined <= bound);
    grow(result, out, joined);
    free(out);
    free(coding);
    free(segment_memory);
}

static buffer in_parallel(const two_step_encoder *e, encoder_profile profile, const uint8_t *data,
                          size_t n, size_t step, unsigned turns) {
    buffer result = {NULL, 0};
    bit_tail tail = {0, 0};
    two_step_geometry wants = e->geometry(profile);
    step = (step + wants.unit - 1) / wants.unit * wants.unit;
    void *memory = allocate(e->joiner_memory(profile));
    void *joiner = e->joiner_init(memory, profile);
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
        bool at_once = !run && e->encode != NULL && is_run(turns, number + 3);
        join_part(e, joiner, profile, &input, run, at_once, &result, &tail);
        last = input.last;
        at += size;
        free(copy);
    }
    free(memory);
    return result;
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
    size_t n = build_data(input + 4, size - 4, data);

    buffer whole = in_order(generation, level, data, n, MAX_DATA);
    check_inflates(&whole, data, n);
    if (cut < n && n / cut < 5000)
        check_same(&whole, in_order(generation, level, data, n, cut));
    encoder_profile profile = {generation, level};
    const two_step_encoder *steps = find_two_step_encoder(profile);
    if (steps != NULL && n > 1024) {
        /* Small ones where any size will do; else it is rounded up to blocks. */
        size_t step = steps->geometry(profile).unit == 1 ? 512 + 128 * (size_t)input[3]
                                                         : 1 + (size_t)input[3] % 4 * 65535;
        check_same(&whole, in_parallel(steps, profile, data, n, step, turns));
    }
    free(whole.bytes);
    return 0;
}
