/*
 * Block encoders on several threads.
 *
 * Algorithm: a segment is parsed with a parser that has seen only some blocks in front of it, or
 * with a copy of the parser of the segment in front of it. join() compares the snapshot that
 * this parser had at the segment's start with the stream's actual one. If they differ, blocks
 * are parsed again from the actual state until both have the same snapshot at one boundary.
 *
 * How a block is written may depend on all blocks before it. What such a decision needs (counts,
 * codes, estimates) depends on the block alone and is planned on any thread, with the parse of a
 * segment or after join(); deciding is then so cheap that it is done in order for the complete
 * stream. Writing the bits is what remains, and is done on any thread.
 *
 * Why the bytes are the serial encoder's: parsers with equal snapshots parse every continuation
 * alike (block_encoder.h), and a block's bits depend on its tokens and the writer's state, which
 * always advances in order and is never guessed.
 */
#include <string.h>

#include "parallel/block_encoder.h"
#include "parallel/memory.h"

/* Parsed blocks. Their sequences are contiguous, and so are their literals; there is memory
 * for the most that is possible, but only what is used is touched. */
typedef struct {
    parsed_block *parsed;
    uint8_t *plans;
    block_buffer free; /* behind what is in use */
} block_store;

typedef struct {
    const block_encoder *encoder;
    int level;
    segment_input input;
    size_t blocks;
    block_store store;
    uint64_t follows; /* the number of the segment whose parser was copied, or 0 */
    bool planned;
    uint8_t *snapshots; /* at each has_snapshot() boundary before the last */
    void *parser;       /* behind the last block, once the segment has run */
} block_segment;

typedef struct {
    const block_encoder *encoder;
    int level;
    void *serial; /* a state of parallel_block_serial, whose parser and writer are used */
    void *writer; /* behind everything joined */
    void *parser; /* the same; if `met` is set, met->parser holds the state instead */
    const block_segment *met;
    uint8_t *actual; /* a snapshot of the parser, if has_actual */
    bool has_actual;
    uint8_t *scratch; /* another snapshot, to compare */
    uint64_t repaired;
} block_stream;

typedef struct {
    batch_output output; /* first: every batch begins with it */
    const block_encoder *encoder;
    segment_input input;
    size_t blocks;
    size_t own;              /* the first blocks, which join() parsed ... */
    block_store store;       /* ... into this */
    const block_store *rest; /* the others are the segment's */
    size_t planned;          /* the last blocks, which have plans */
    void *writer;            /* before the first block */
    uint8_t *bits;
} block_batch;

/* ---- Memory ---------------------------------------------------------------------------- */

static size_t block_count(const block_encoder *e, size_t size) {
    return (size + e->block_size - 1) / e->block_size;
}

static size_t plan_size(const block_encoder *e) {
    return aligned(e->plan_size);
}

static void take_store(block_store *store, uint8_t **p, size_t *total, const block_encoder *e,
                       size_t blocks) {
    store->parsed = take(p, total, blocks * sizeof *store->parsed);
    store->plans = take(p, total, blocks * plan_size(e));
    /* One block more: for warming up, and because parsers write further than they keep. */
    store->free.sequences = take(p, total, (blocks + 1) * block_sequences(e) * sizeof(sequence));
    store->free.literals = take(p, total, (blocks + 1) * e->block_size + BLOCK_COPY);
}

/* Whether a segment keeps a snapshot after this many of its blocks. Snapshots are large. The
 * state after the last block is the parser's. A segment that follows another is hardly ever
 * wrong where the other was not. */
static bool has_snapshot(const block_encoder *e, size_t after, bool follows) {
    if (after % 16 == 0)
        return true;
    if (follows)
        return false;
    if (e->convergence == CONVERGES_LATE)
        return after == 2 || after % 4 == 0;
    return after == 4 || (e->convergence == CONVERGES_SOON && after <= 2);
}

/* Its index among those kept. */
static size_t snapshot_index(const block_encoder *e, size_t after, bool follows) {
    size_t index = 0;
    for (size_t i = 0; i < after; i++)
        index += has_snapshot(e, i, follows);
    return index;
}

/* The snapshot after this many blocks, NULL if none was kept. */
static uint8_t *snapshot_after(const block_segment *segment, size_t after) {
    const block_encoder *e = segment->encoder;
    bool follows = segment->follows != 0;
    if (after >= segment->blocks || !has_snapshot(e, after, follows))
        return NULL;
    return segment->snapshots + snapshot_index(e, after, follows) * aligned(e->snapshot_size);
}

/* ---- Segments -------------------------------------------------------------------------- */

static parallel_geometry geometry(encoder_profile profile) {
    const block_encoder *e = registry_blocks(profile);
    return (parallel_geometry){
        .unit = e->block_size,
        .before = e->warmup_blocks * e->block_size + e->history,
        .after = 1, /* a full block is written differently if it is the last of the stream */
        .history = e->history,
    };
}

static size_t take_segment(block_segment *segment, uint8_t **p, const block_encoder *e,
                           size_t size) {
    size_t total = aligned(sizeof *segment);
    size_t blocks = block_count(e, size);
    segment->encoder = e;
    segment->blocks = blocks;
    segment->parser = take(p, &total, e->parser_size);
    /* One even without a block: a guess is always compared with something. */
    size_t snapshots = snapshot_index(e, blocks != 0 ? blocks : 1, false);
    segment->snapshots = take(p, &total, snapshots * aligned(e->snapshot_size));
    take_store(&segment->store, p, &total, e, blocks);
    return total;
}

static size_t segment_size(encoder_profile profile, size_t input_size) {
    block_segment segment;
    uint8_t *nowhere = NULL;
    return take_segment(&segment, &nowhere, registry_blocks(profile), input_size);
}

static void *segment_init(void *memory, encoder_profile profile, const segment_input *input) {
    block_segment *segment = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *segment);
    segment->level = profile.level;
    segment->input = *input;
    segment->follows = 0;
    take_segment(segment, &p, registry_blocks(profile), input->size);
    return segment;
}

static block_input block_at(const block_encoder *e, const segment_input *input, size_t i) {
    size_t at = i * e->block_size;
    size_t left = input->size - at;
    return (block_input){
        .data = input->data + at,
        .length = left < e->block_size ? left : e->block_size,
        .position = input->position + at,
        .last = input->last && left <= e->block_size,
    };
}

static void *plan_at(const block_encoder *e, const block_store *store, size_t i) {
    return store->plans + i * plan_size(e);
}

/* Parse block i of the input into the store. */
static void parse_into(block_store *store, size_t i, const block_encoder *e, void *parser,
                       const segment_input *input) {
    block_input block = block_at(e, input, i);
    parsed_block *parsed = &store->parsed[i];
    e->parse(parser, &block, store->free, parsed);
    if (parsed->kind == BLOCK_TOKENS) {
        store->free.sequences += parsed->count;
        store->free.literals += parsed->literal_count;
    }
}

/* Plan how block i is written; with `complete`, also what deciding may need. */
static void plan_in(const block_store *store, size_t i, const block_encoder *e,
                    const segment_input *input, bool complete) {
    block_input block = block_at(e, input, i);
    void *plan = plan_at(e, store, i);
    if (e->plan != NULL)
        e->plan(&block, &store->parsed[i], plan);
    if (complete && e->complete != NULL)
        e->complete(plan);
}

/* Bring the parser into a state like the one that the stream will have at the segment. */
static void warm_up(block_segment *segment) {
    const block_encoder *e = segment->encoder;
    const segment_input *input = &segment->input;
    uint64_t earlier = input->position / e->block_size;
    size_t warmup = earlier < e->warmup_blocks ? (size_t)earlier : e->warmup_blocks;
    e->parser_init(segment->parser, segment->level);
    for (; warmup > 0; warmup--) {
        size_t back = warmup * e->block_size;
        block_input block = {input->data - back, e->block_size, input->position - back, false};
        parsed_block unused;
        e->parse(segment->parser, &block, segment->store.free, &unused);
    }
}

static void segment_run(void *memory, const void *previous) {
    block_segment *segment = memory;
    const block_encoder *e = segment->encoder;
    /* Without the segment before, most of such a guess is wrong: plan it when the right blocks
     * are known. */
    segment->planned = e->convergence != CONVERGES_LATE || previous != NULL;
    if (e->snapshot_size != 0) {
        if (previous != NULL) {
            const block_segment *before = previous;
            memcpy(segment->parser, before->parser, e->parser_size);
            segment->follows = before->input.number;
        } else {
            warm_up(segment);
        }
        e->save(segment->parser, segment->snapshots);
    }
    for (size_t i = 0; i < segment->blocks; i++) {
        parse_into(&segment->store, i, e, segment->parser, &segment->input);
        if (segment->planned)
            plan_in(&segment->store, i, e, &segment->input, true);
        uint8_t *snapshot = e->snapshot_size != 0 ? snapshot_after(segment, i + 1) : NULL;
        if (snapshot != NULL)
            e->save(segment->parser, snapshot);
    }
}

/* ---- The stream ------------------------------------------------------------------------ */

static size_t take_stream(block_stream *stream, uint8_t **p, encoder_profile profile) {
    const block_encoder *e = registry_blocks(profile);
    size_t total = aligned(sizeof *stream);
    stream->encoder = e;
    stream->serial = take(p, &total, parallel_block_serial.state_size(profile));
    stream->actual = take(p, &total, e->snapshot_size);
    stream->scratch = take(p, &total, e->snapshot_size);
    return total;
}

static size_t stream_size(encoder_profile profile) {
    block_stream stream;
    uint8_t *nowhere = NULL;
    return take_stream(&stream, &nowhere, profile);
}

static void *stream_init(void *memory, encoder_profile profile) {
    block_stream *stream = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *stream);
    memset(stream, 0, sizeof *stream);
    take_stream(stream, &p, profile);
    parallel_block_serial.init(stream->serial, profile);
    stream->writer = parallel_block_writer(stream->serial);
    stream->parser = parallel_block_parser(stream->serial);
    return stream;
}

static const uint8_t *actual_snapshot(block_stream *stream) {
    const void *parser = stream->met != NULL ? stream->met->parser : stream->parser;
    if (!stream->has_actual)
        stream->encoder->save(parser, stream->actual);
    stream->has_actual = true;
    return stream->actual;
}

/* The stream's own parser in the actual state, to parse with. */
static void *actual_parser(block_stream *stream) {
    if (stream->met != NULL)
        memcpy(stream->parser, stream->met->parser, stream->encoder->parser_size);
    stream->met = NULL;
    stream->has_actual = false;
    return stream->parser;
}

static size_t bits_size(const block_encoder *e, size_t size) {
    return 2 * size + (block_count(e, size) + 1) * block_bound(0) + BITS_SLACK;
}

static size_t take_batch(block_batch *batch, uint8_t **p, const block_encoder *e, size_t size) {
    size_t total = aligned(sizeof *batch);
    batch->encoder = e;
    batch->blocks = block_count(e, size);
    batch->writer = take(p, &total, e->writer_size);
    take_store(&batch->store, p, &total, e, batch->blocks);
    batch->bits = take(p, &total, bits_size(e, size));
    return total;
}

static size_t batch_size(encoder_profile profile, size_t input_size) {
    block_batch batch;
    uint8_t *nowhere = NULL;
    return take_batch(&batch, &nowhere, registry_blocks(profile), input_size);
}

/* Whether the stream's state is the one that the segment started from: the segment follows one
 * whose final state is the stream's, or the snapshots are equal. */
static bool guess_is_right(block_stream *stream, const block_segment *segment) {
    size_t size = stream->encoder->snapshot_size;
    return size == 0 || (stream->met != NULL && segment->follows == stream->met->input.number) ||
           memcmp(actual_snapshot(stream), segment->snapshots, size) == 0;
}

/* Parse from the actual state until the snapshot equals the segment's at the same boundary, or to
 * the end of the input without a segment. Return the number of blocks. */
static size_t parse_until_met(block_stream *stream, const segment_input *input,
                              const block_segment *segment, block_batch *batch) {
    const block_encoder *e = stream->encoder;
    size_t done = 0;
    bool met = segment != NULL && guess_is_right(stream, segment);
    while (!met && done < batch->blocks) {
        parse_into(&batch->store, done++, e, actual_parser(stream), input);
        const uint8_t *snapshot = segment != NULL ? snapshot_after(segment, done) : NULL;
        if (snapshot != NULL) {
            e->save(stream->parser, stream->scratch);
            met = memcmp(stream->scratch, snapshot, e->snapshot_size) == 0;
        }
    }
    if (met && e->snapshot_size != 0) {
        stream->met = segment;
        stream->has_actual = false;
    }
    return done;
}

/* ---- Batches --------------------------------------------------------------------------- */

/* Where block i is stored. */
static const block_store *store_of(const block_batch *batch, size_t i) {
    return i < batch->own ? &batch->store : batch->rest;
}

static void write_blocks(const block_batch *batch, void *writer, bit_writer *out) {
    const block_encoder *e = batch->encoder;
    for (size_t i = 0; i < batch->blocks; i++) {
        const block_store *store = store_of(batch, i);
        block_input block = block_at(e, &batch->input, i);
        e->write(writer, plan_at(e, store, i), &block, &store->parsed[i], out);
    }
}

static bool join(void *state, const segment_input *input, const void *guessed, void *memory) {
    block_stream *stream = state;
    const block_segment *segment = guessed;
    block_batch *batch = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *batch);
    take_batch(batch, &p, stream->encoder, input->size);
    batch->input = *input;
    batch->rest = segment != NULL ? &segment->store : NULL;
    batch->own = parse_until_met(stream, input, segment, batch);
    if (segment != NULL)
        stream->repaired +=
            batch->own < batch->blocks ? batch->own * stream->encoder->block_size : input->size;
    batch->planned = segment != NULL && segment->planned ? batch->blocks - batch->own : 0;
    if (stream->encoder->plan == NULL)
        batch->planned = batch->blocks;
    return batch->planned < batch->blocks;
}

static void plan_blocks(block_batch *batch, bool complete) {
    for (size_t i = 0; i < batch->blocks - batch->planned; i++)
        plan_in(store_of(batch, i), i, batch->encoder, &batch->input, complete);
    batch->planned = batch->blocks;
}

static void batch_plan(void *batch) {
    plan_blocks(batch, true);
}

static void decide(void *state, void *memory) {
    block_stream *stream = state;
    block_batch *batch = memory;
    size_t writer_size = stream->encoder->writer_size;
    plan_blocks(batch, false);
    if (writer_size != 0) {
        memcpy(batch->writer, stream->writer, writer_size);
        write_blocks(batch, stream->writer, NULL);
    }
}

static void batch_run(void *memory) {
    block_batch *batch = memory;
    bit_writer w;
    bits_init(&w, batch->bits);
    write_blocks(batch, batch->writer, &w);
    batch->output.bits = bits_span(&w);
}

static void end(void *state, bit_writer *out) {
    block_stream *stream = state;
    stream->encoder->end(stream->writer, out);
}

static void *serial_state(void *state) {
    block_stream *stream = state;
    actual_parser(stream);
    return stream->serial;
}

static uint64_t repaired(const void *state) {
    return ((const block_stream *)state)->repaired;
}

const parallel_encoder parallel_block_parallel = {
    .batches_use_segments = true,
    .geometry = geometry,
    .segment_size = segment_size,
    .segment_init = segment_init,
    .segment_run = segment_run,
    .stream_size = stream_size,
    .stream_init = stream_init,
    .batch_size = batch_size,
    .join = join,
    .batch_plan = batch_plan,
    .decide = decide,
    .batch_run = batch_run,
    .end = end,
    .serial_state = serial_state,
    .repaired = repaired,
};
