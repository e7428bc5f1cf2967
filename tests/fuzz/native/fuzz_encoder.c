/*
 * Fuzz target for the encoders: libFuzzer's entry point, also called by replay.c.
 *
 * The input selects a family, a level and the size of the parts, then describes the data to be
 * encoded (see build_data), so that a short input can reach across blocks, windows and segments.
 * For every input, without a report from the sanitizers:
 *   - the output inflates (zlib) to the data;
 *   - however the data are split into parts, the output is the same;
 *   - pieces that are encoded on their own, one or several at a time, give that output;
 *   - segments that are run alone, run behind each other, or not run before they are joined, with
 *     parts written in order between them, give the output of the serial encoder.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "encoder.h"
#include "parallel/pieces.h"

/* Ten blocks, so that a segment can have several; less for encoders that do not cut their input,
 * which are slower and are tested with the smallest segments possible. */
enum { MAX_DATA = 700000, MAX_DATA_TOKENS = 150000, MAX_DATA_PIECES = 1200000 };

static const enum family pgzip[] = {
    FAMILY_PGZIP_1_18_2,      FAMILY_PGZIP_1_15_10,    FAMILY_PGZIP_1_15_0,  FAMILY_PGZIP_1_14_0,
    FAMILY_PGZIP_1_12_3,      FAMILY_PGZIP_1_12_2,     FAMILY_PGZIP_1_11_13, FAMILY_PGZIP_1_10_2,
    FAMILY_PGZIP_1_10_2_256K, FAMILY_PGZIP_1_9_8_256K,
};
static const enum family others[] = {
    FAMILY_GNU_GZIP, FAMILY_ZLIB, FAMILY_GNU_RSYNCABLE, FAMILY_PIGZ, FAMILY_BUSYBOX, FAMILY_GO16,
};
enum { PGZIP = sizeof pgzip / sizeof pgzip[0], OTHERS = sizeof others / sizeof others[0] };

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: check failed: %s\n", __FILE__, __LINE__, #condition);          \
            abort();                                                                               \
        }                                                                                          \
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

/* Operations of five bytes each: literals, copies from any earlier place, runs, noise, counters. */
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
        size_t space = most - size;
        size_t length = a < space ? a : space;
        switch (op % 6) {
        case 0: /* literals from the program */
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
        case 3: /* noise with a given number of values */
            for (; length > 0; length--) {
                noise = noise * 1664525 + 1013904223;
                data[size++] = (uint8_t)((noise >> 16) % (1 + b % 256));
            }
            break;
        case 4: /* a counter, which is nearly repetitive */
            for (; length >= 4; length -= 4, b++) {
                data[size++] = (uint8_t)(b >> 8);
                data[size++] = (uint8_t)b;
                data[size++] = 0;
                data[size++] = op;
            }
            break;
        default: /* copy with occasional changes */
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

static buffer in_order(encoder_profile profile, const uint8_t *data, size_t n, size_t part_size) {
    buffer result = {NULL, 0};
    const serial_encoder *e = registry_serial(profile);
    void *state = allocate(e->state_size(profile));
    bit_tail tail = {0, 0};
    e->init(state, profile);
    for (size_t at = 0; at < n;) {
        size_t part = n - at < part_size ? n - at : part_size;
        uint8_t *in = allocate(part); /* exactly, so that reading beyond is detected */
        memcpy(in, data + at, part);
        size_t bound = e->bound(state, part);
        uint8_t *out = allocate(bound);
        size_t size = e->write(state, in, part, &tail, out);
        CHECK(size <= bound);
        grow(&result, out, size);
        free(out);
        free(in);
        at += part;
    }
    size_t bound = e->bound(state, 0);
    uint8_t *out = allocate(bound);
    size_t size = e->finish(state, &tail, out);
    CHECK(size <= bound);
    grow(&result, out, size);
    free(out);
    free(state);
    return result;
}

/* A copy of a segment and the input around it. */
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

/* Whether the segment with this number is run: one of eight bits, used in turn. */
static bool is_run(unsigned turns, size_t number) {
    return (turns >> number % 8 & 1) != 0;
}

/* A stream made of segments, or written in order where that is possible. */
typedef struct {
    const parallel_encoder *encoder;
    const serial_encoder *serial;
    encoder_profile profile;
    void *stream;
    void *segment_memory; /* of the last segment that was run, as long as it may be read */
    void *segment;        /* the segment before, if it was run, or NULL */
    bit_tail tail;
    buffer result;
} parallel_stream;

static void grow_by(parallel_stream *s, uint8_t *out, size_t size, size_t bound) {
    CHECK(size <= bound);
    grow(&s->result, out, size);
    free(out);
}

static void free_segment(parallel_stream *s) {
    free(s->segment_memory);
    s->segment_memory = s->segment = NULL;
}

/* Run the segment; with `follow`, from where the one before ended if that was run. */
static void run_segment(parallel_stream *s, const segment_input *input, bool follow) {
    const parallel_encoder *e = s->encoder;
    void *memory = allocate(e->segment_size(s->profile, input->size));
    void *segment = e->segment_init(memory, s->profile, input);
    e->segment_run(segment, follow ? s->segment : NULL);
    s->segment_memory = memory;
    s->segment = segment;
}

/* Join the next part of the stream, run or not, and write its batch. */
static void join_part(parallel_stream *s, const segment_input *input, bool run, bool follow,
                      bool plan) {
    const parallel_encoder *e = s->encoder;
    void *batch = allocate(e->batch_size(s->profile, input->size));
    void *before = s->segment_memory;
    if (run)
        run_segment(s, input, follow);
    else
        s->segment_memory = s->segment = NULL;
    bool unplanned = e->join(s->stream, input, s->segment, batch);
    free(before);
    if (!e->batches_use_segments)
        free_segment(s);
    if (unplanned && plan)
        e->batch_plan(batch);
    if (e->decide != NULL)
        e->decide(s->stream, batch);
    e->batch_run(batch);
    const bit_span *bits = &((const batch_output *)batch)->bits;
    size_t joined = deflate_append_size(&s->tail, bits);
    size_t bound = joined + STREAM_END_BOUND;
    uint8_t *out = allocate(bound);
    deflate_append_span(&s->tail, bits, out);
    if (input->last) {
        bit_writer w = bits_from_tail(&s->tail, out + joined);
        e->end(s->stream, &w);
        joined += bits_to_tail(&w, &s->tail);
    }
    grow_by(s, out, joined, bound);
    free(batch);
}

/* Write the part in order, in two calls. What is unwritten at its end belongs to the next part.
 * Return the number of bytes written. */
static size_t write_part(parallel_stream *s, const uint8_t *data, const segment_input *input,
                         size_t after) {
    const parallel_encoder *e = s->encoder;
    size_t history = e->geometry(s->profile).history;
    size_t before = input->position < history ? (size_t)input->position : history;
    uint8_t *start = allocate(before + 1);
    memcpy(start, data + input->position - before, before + 1);
    void *state = e->serial_state(s->stream);
    s->serial->resume(state, &(unwritten_input){start + before, before, 1}, input->position);
    free(start);
    size_t rest = input->size + after - 1, position = (size_t)input->position + 1;
    for (size_t part = rest / 3; rest > 0; part = rest) {
        uint8_t *in = allocate(part);
        memcpy(in, data + position, part);
        size_t bound = s->serial->bound(state, part);
        uint8_t *out = allocate(bound);
        if (part != 0)
            grow_by(s, out, s->serial->write(state, in, part, &s->tail, out), bound);
        else
            free(out);
        free(in);
        position += part;
        rest -= part;
        if (part != 0)
            free_segment(s);
    }
    s->segment = NULL;
    if (input->last) {
        size_t bound = s->serial->bound(state, 0);
        uint8_t *out = allocate(bound);
        grow_by(s, out, s->serial->finish(state, &s->tail, out), bound);
        return input->size;
    }
    unwritten_input held = s->serial->unwritten(state);
    CHECK(held.size == after);
    CHECK(held.before <= position - held.size);
    CHECK(memcmp(held.data - held.before, data + position - held.size - held.before,
                 held.before + held.size) == 0);
    return position - held.size - (size_t)input->position;
}

static buffer in_parallel(const parallel_encoder *e, encoder_profile profile, const uint8_t *data,
                          size_t n, size_t step, unsigned turns) {
    parallel_geometry wants = e->geometry(profile);
    step = (step + wants.unit - 1) / wants.unit * wants.unit;
    void *memory = allocate(e->stream_size(profile));
    parallel_stream s = {.encoder = e,
                         .serial = registry_serial(profile),
                         .profile = profile,
                         .stream = e->stream_init(memory, profile)};
    size_t at = 0;
    bool last = false;
    for (size_t number = 0; !last; number++) {
        bool run = is_run(turns, number);
        size_t size = step;
        if (n - at < size + wants.after + 1)
            size = n - at;
        segment_input input;
        uint8_t *copy =
            around(data, n, at, run ? wants.before : wants.history, size, wants.after, &input);
        if (!run && e->serial_state != NULL && is_run(turns, number + 3))
            CHECK(write_part(&s, data, &input, input.last ? 0 : wants.after) == size);
        else
            join_part(&s, &input, run, is_run(turns, number + 5), is_run(turns, number + 6));
        last = input.last;
        at += size;
        free(copy);
    }
    free_segment(&s);
    free(memory);
    return s.result;
}

/* Pieces, `step` at a time. */
static buffer in_pieces(encoder_profile profile, const uint8_t *data, size_t n, size_t step) {
    buffer result = {NULL, 0};
    const piece_encoder *e = registry_pieces(profile);
    piece_geometry geometry = e->geometry(profile);
    void *state = allocate(e->state_size(profile));
    size_t at = 0;
    bool last = false;
    while (!last) {
        size_t size = n - at, before = at < geometry.before ? at : geometry.before;
        last =
            size < step * geometry.size || (size == step * geometry.size && !geometry.empty_last);
        if (!last)
            size = step * geometry.size;
        uint8_t *in = allocate(before + size);
        memcpy(in, data + at - before, before + size);
        piece_input input = {in + before, before, size, last};
        size_t bound = parallel_pieces_bound(profile, size, last);
        uint8_t *out = allocate(bound);
        size_t made = parallel_encode_pieces(state, profile, &input, out);
        CHECK(made <= bound);
        grow(&result, out, made);
        free(out);
        free(in);
        at += size;
    }
    free(state);
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
    static uint8_t data[MAX_DATA_PIECES];
    encoder_profile profile = {input[0] & 1 ? FAMILY_GO127 : FAMILY_GO126, (input[0] >> 1) % 11};
    if (profile.level == 10)
        profile.level = LEVEL_HUFFMAN;
    else if ((input[0] >> 1) >= 99 && profile.level >= LEVEL_MIN)
        profile.family = others[(input[0] % 2 + 2 * input[3]) % OTHERS];
    else if ((input[0] >> 1) >= 88)
        profile = (encoder_profile){pgzip[(input[0] - 2 * 88) % PGZIP], 1 + input[3] % 6};
    if (profile.family == FAMILY_BUSYBOX)
        profile.level = 6; /* the only one */
    /* For a quarter of the inputs every segment is run. */
    unsigned turns = input[2] < 64 ? 255 : input[2];
    size_t part = 1 + (size_t)input[1] * (1 + input[2]);
    const parallel_encoder *parallel = registry_parallel(profile);
    bool cuts_input = parallel != NULL && parallel->serial_state != NULL;
    bool pieces = registry_pieces(profile) != NULL;
    size_t most = pieces ? MAX_DATA_PIECES : cuts_input ? MAX_DATA : MAX_DATA_TOKENS;
    size_t n = build_data(input + 4, size - 4, data, most);

    buffer whole = in_order(profile, data, n, most);
    check_inflates(&whole, data, n);
    if (part < n && n / part < 5000)
        check_same(&whole, in_order(profile, data, n, part));
    if (pieces)
        check_same(&whole, in_pieces(profile, data, n, 1 + input[2] % 3));
    if (parallel != NULL && n > 1024) {
        /* Small segments where any size is possible; otherwise rounded up to whole blocks. */
        size_t step = parallel->geometry(profile).unit == 1 ? 512 + 128 * (size_t)input[3]
                                                            : 1 + (size_t)input[3] % 8 * 65535;
        check_same(&whole, in_parallel(parallel, profile, data, n, step, turns));
    }
    free(whole.bytes);
    return 0;
}
