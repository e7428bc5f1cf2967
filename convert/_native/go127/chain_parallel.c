/*
 * Go 1.27, levels 7 to 9, on several threads.
 *
 * Algorithm: segments are cut where the parser takes its steps. Every position is entered into
 * the chains whatever the matches, so a parser that starts two steps early, with all positions of
 * one window entered, soon has the state of the stream's parser: lazy matching depends on some
 * hundred bytes. join() compares the parsers' states between two steps; where they differ, steps
 * are taken again until they are equal.
 *
 * Blocks are cut from the joined tokens and need not end where segments do; remaining tokens are
 * part of the next batch. join() also decides, in order, how blocks are written, because this
 * depends on the tables that the block before left open.
 *
 * Why the bytes are the serial encoder's: a snapshot contains everything a parser's future depends
 * on, and the writer's state is never guessed.
 */
#include <string.h>

#include "go127/block_writer.h"
#include "go127/chain.h"
#include "go127/go127.h"
#include "parallel/memory.h"

enum {
    WARMUP_STEPS = 2,
    /* A segment's tokens begin and end at most this far from its own bounds. */
    OVERHANG = GO127_CHAIN_WINDOW,
    /* Header and end of a block. */
    BLOCK_OVERHEAD = 512,
    SEQUENCE_BITS_MAX = 48,
};

/* The size of a token list when a step ended. */
typedef struct {
    size_t count;
    size_t literal_count;
    uint32_t run;
    uint64_t window; /* stream position of the window the step was taken in */
    bool closing;
} step_mark;

typedef struct {
    int level;
    segment_input input;
    size_t steps;
    step_mark *marks; /* behind step i */
    token_list tokens;
    go127_chain_snapshot *snapshots; /* at has_snapshot() steps */
    go127_chain_parser *parser;
} chain_segment;

/* A block cut from the tokens. */
typedef struct {
    parsed_block parsed;
    plain_block plain;
    block_plan plan;
} cut_block;

typedef struct {
    batch_output output; /* first: every batch begins with it */
    token_list tokens;   /* those that remained before, then the segment's */
    step_mark *marks;    /* of each step of the segment */
    cut_block *blocks;
    size_t block_count;
    go127_writer writer; /* before the first block */
    uint8_t *bits;
} chain_batch;

typedef struct {
    int level;
    go127_writer writer;  /* behind the last block cut */
    uint64_t block_start; /* stream position of the next block */
    token_list tokens;    /* the last ones, which are in no block yet */
    uint64_t repaired;
    /* The actual state behind everything joined: a parser, a snapshot, or both. */
    go127_chain_parser *parser;
    go127_chain_snapshot *actual;
    bool has_parser;
    bool has_actual;
    go127_chain_snapshot *scratch; /* another one, to compare */
} chain_stream;

/* ---- Memory -------------------------------------------------------------------------- */

static size_t take_tokens(token_list *tokens, uint8_t **p, size_t bytes, size_t more) {
    size_t total = 0;
    memset(tokens, 0, sizeof *tokens);
    tokens->sequences =
        take(p, &total, (bytes / GO127_CHAIN_MIN_MATCH + more + 1) * sizeof *tokens->sequences);
    tokens->literals = take(p, &total, bytes + more + LITERAL_SLACK);
    return total;
}

/* ---- Steps --------------------------------------------------------------------------- */

/* The number of steps that end in the segment. The first of a stream ends when the window is full,
 * the last, which closes it, at the end of the stream. */
static size_t step_count(const segment_input *input) {
    uint64_t skipped = input->position == 0 ? 1 : 0;
    uint64_t halves = input->size / GO127_CHAIN_HALF;
    if (input->last)
        halves = input->size == 0 ? 1 : (input->size + GO127_CHAIN_HALF - 1) / GO127_CHAIN_HALF;
    if (halves > skipped)
        return (size_t)(halves - skipped);
    return input->last ? 1 : 0;
}

static size_t max_steps(size_t size) {
    return size / GO127_CHAIN_HALF + 1;
}

/* The position of the window in the step that ends at most half a window behind `position`, a
 * multiple of GO127_CHAIN_HALF. */
static uint64_t window_of_step(uint64_t position) {
    return position > GO127_CHAIN_HALF ? position - GO127_CHAIN_HALF : 0;
}

/* Snapshots are large, and nearly all guesses are right at once. */
static bool has_snapshot(size_t after, size_t steps) {
    return after == steps || after == 0 || after == 1 || after == 4 || after == 16;
}

static size_t snapshot_index(size_t after, size_t steps) {
    size_t index = 0;
    for (size_t i = 0; i < after; i++)
        index += has_snapshot(i, steps);
    return index;
}

static go127_chain_snapshot *snapshot_after(const chain_segment *s, size_t after) {
    return s->snapshots + snapshot_index(after, s->steps);
}

static const uint8_t *data_at(const segment_input *input, uint64_t position) {
    return input->data - input->before + (position - (input->position - input->before));
}

/* Take step i of a segment, and move the window unless it was the last step of the stream. */
static step_mark take_step(go127_chain_parser *parser, const segment_input *input, size_t i) {
    uint64_t window = window_of_step(input->position) + i * GO127_CHAIN_HALF;
    bool closing = input->last && i + 1 == step_count(input);
    uint64_t end = window + GO127_CHAIN_WINDOW;
    if (closing)
        end = input->position + input->size;
    parser->window = data_at(input, window);
    parser->end = (int32_t)(end - window);
    go127_chain_step(parser, closing);
    if (!closing)
        go127_chain_move(parser);
    return (step_mark){parser->tokens.count, parser->tokens.literal_count, parser->tokens.tail,
                       window, closing};
}

/* ---- Segments ------------------------------------------------------------------------ */

static parallel_geometry geometry(encoder_profile profile) {
    (void)profile;
    return (parallel_geometry){
        .unit = GO127_CHAIN_HALF,
        .before = (WARMUP_STEPS + 1) * GO127_CHAIN_HALF,
        .after = 1, /* it decides whether a full window's step is the last */
        .history = (WARMUP_STEPS + 1) * GO127_CHAIN_HALF,
    };
}

static size_t take_segment(chain_segment *s, uint8_t **p, size_t size) {
    size_t total = 0;
    size_t steps = max_steps(size);
    s->parser = take(p, &total, sizeof *s->parser);
    s->marks = take(p, &total, steps * sizeof *s->marks);
    s->snapshots = take(p, &total, (snapshot_index(steps, steps) + 2) * sizeof *s->snapshots);
    return total + take_tokens(&s->tokens, p, size + OVERHANG, 0);
}

static size_t segment_size(encoder_profile profile, size_t input_size) {
    chain_segment s;
    uint8_t *nowhere = NULL;
    (void)profile;
    return aligned(sizeof s) + take_segment(&s, &nowhere, input_size);
}

static void *segment_init(void *memory, encoder_profile profile, const segment_input *input) {
    chain_segment *s = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *s);
    memset(s, 0, sizeof *s);
    s->level = profile.level;
    s->input = *input;
    s->steps = step_count(input);
    take_segment(s, &p, input->size);
    return s;
}

static void warm_up(chain_segment *s) {
    go127_chain_parser *parser = s->parser;
    uint64_t to = window_of_step(s->input.position);
    uint64_t from = to > WARMUP_STEPS * GO127_CHAIN_HALF ? to - WARMUP_STEPS * GO127_CHAIN_HALF : 0;

    if (from == 0) {
        go127_chain_init(parser, s->level);
    } else {
        int32_t index = GO127_CHAIN_HALF - GO127_CHAIN_LOOKAHEAD + 1;
        go127_chain_start(parser, s->level, data_at(&s->input, from), index);
    }
    parser->tokens = s->tokens;
    for (uint64_t window = from; window < to; window += GO127_CHAIN_HALF) {
        parser->window = data_at(&s->input, window);
        parser->end = GO127_CHAIN_WINDOW;
        go127_chain_step(parser, false);
        go127_chain_move(parser);
        parser->tokens = s->tokens;
    }
}

static void segment_run(void *segment, const void *previous) {
    (void)previous; /* the input before a segment suffices */
    chain_segment *s = segment;
    warm_up(s);
    go127_chain_save(s->parser, s->snapshots);
    for (size_t i = 0; i < s->steps; i++) {
        s->marks[i] = take_step(s->parser, &s->input, i);
        if (has_snapshot(i + 1, s->steps))
            go127_chain_save(s->parser, snapshot_after(s, i + 1));
    }
    s->tokens = s->parser->tokens;
}

/* ---- Joining ------------------------------------------------------------------------- */

static size_t take_stream(chain_stream *stream, uint8_t **p) {
    size_t total = 0;
    stream->parser = take(p, &total, sizeof *stream->parser);
    stream->actual = take(p, &total, sizeof *stream->actual);
    stream->scratch = take(p, &total, sizeof *stream->scratch);
    return total + take_tokens(&stream->tokens, p, 0, GO127_CHAIN_BLOCK_TOKENS);
}

static size_t stream_size(encoder_profile profile) {
    chain_stream stream;
    uint8_t *nowhere = NULL;
    (void)profile;
    return aligned(sizeof stream) + take_stream(&stream, &nowhere);
}

static void *stream_init(void *memory, encoder_profile profile) {
    chain_stream *stream = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *stream);
    memset(stream, 0, sizeof *stream);
    take_stream(stream, &p);
    stream->level = profile.level;
    go127_writer_init(&stream->writer, GO127_CHAIN_PENALTY);
    go127_chain_init(stream->parser, stream->level);
    stream->has_parser = true;
    return stream;
}

static const go127_chain_snapshot *actual_snapshot(chain_stream *stream) {
    if (!stream->has_actual)
        go127_chain_save(stream->parser, stream->actual);
    stream->has_actual = true;
    return stream->actual;
}

/* A parser in the actual state, to take steps with. */
static go127_chain_parser *actual_parser(chain_stream *stream) {
    if (!stream->has_parser)
        go127_chain_load(stream->parser, stream->actual);
    stream->has_parser = true;
    stream->has_actual = false;
    return stream->parser;
}

/* The most blocks of a batch: the segment's bytes, and fewer tokens than a block's that remained
 * before. */
static size_t batch_blocks(size_t size) {
    return (size + OVERHANG + GO127_CHAIN_BLOCK_TOKENS) / GO127_CHAIN_BLOCK_TOKENS + 1;
}

static size_t bits_size(size_t size) {
    return 2 * (size + OVERHANG) + (size_t)GO127_CHAIN_BLOCK_TOKENS * SEQUENCE_BITS_MAX / 8 +
           batch_blocks(size) * BLOCK_OVERHEAD + BITS_SLACK;
}

static size_t take_batch(chain_batch *batch, uint8_t **p, size_t size) {
    size_t total = 0;
    batch->marks = take(p, &total, max_steps(size) * sizeof *batch->marks);
    batch->blocks = take(p, &total, batch_blocks(size) * sizeof *batch->blocks);
    batch->bits = take(p, &total, bits_size(size));
    return total + take_tokens(&batch->tokens, p, size + OVERHANG, GO127_CHAIN_BLOCK_TOKENS);
}

static size_t batch_size(encoder_profile profile, size_t input_size) {
    chain_batch batch;
    uint8_t *nowhere = NULL;
    (void)profile;
    return aligned(sizeof batch) + take_batch(&batch, &nowhere, input_size);
}

/* Take steps from the actual state until the parser's state is the one that the segment's had
 * there; add tokens and marks to the batch. Return the number of steps. */
static size_t repair(chain_stream *stream, const segment_input *input, const chain_segment *s,
                     chain_batch *batch) {
    size_t i = 0, steps = step_count(input);
    bool met =
        s != NULL && memcmp(actual_snapshot(stream), s->snapshots, sizeof *stream->actual) == 0;
    while (!met && i < steps) {
        go127_chain_parser *parser = actual_parser(stream);
        parser->tokens = batch->tokens;
        batch->marks[i] = take_step(parser, input, i);
        batch->tokens = parser->tokens;
        i++;
        if (s != NULL && has_snapshot(i, steps)) {
            go127_chain_save(parser, stream->scratch);
            met = memcmp(stream->scratch, snapshot_after(s, i), sizeof *stream->scratch) == 0;
        }
    }
    if (met) {
        memcpy(stream->actual, snapshot_after(s, steps), sizeof *stream->actual);
        stream->has_actual = true;
        stream->has_parser = false;
    }
    return i;
}

/* Collect the actual tokens, and the marks of the steps in them. */
static void gather(chain_stream *stream, const segment_input *input, const chain_segment *s,
                   chain_batch *batch) {
    append_tokens(&batch->tokens, &stream->tokens, (token_place){0});
    size_t again = repair(stream, input, s, batch);
    if (s == NULL)
        return;
    stream->repaired += again * GO127_CHAIN_HALF;

    step_mark from = {0};
    if (again > 0)
        from = s->marks[again - 1];
    size_t sequences = batch->tokens.count, literals = batch->tokens.literal_count;
    append_tokens(&batch->tokens, &s->tokens,
                  (token_place){from.count, from.literal_count, from.run});
    for (size_t i = again; i < s->steps; i++) {
        batch->marks[i] = s->marks[i];
        batch->marks[i].count += sequences - from.count;
        batch->marks[i].literal_count += literals - from.literal_count;
    }
}

/* Cut a block with this number of tokens from the list at a place, and move the place behind it.
 * Go writes the block in the step of the mark. */
static void cut(chain_stream *stream, token_list *list, token_place *at, size_t tokens,
                const segment_input *input, const step_mark *step, cut_block *block) {
    size_t i = at->sequence;
    size_t left = tokens, literals = 0;
    uint64_t bytes = 0;
    while (i < list->count && left > list->sequences[i].literals) {
        literals += list->sequences[i].literals;
        left -= list->sequences[i].literals + 1;
        bytes += list->sequences[i].length + 3u;
        i++;
    }
    /* The rest of the block are literals of a sequence that belongs to the next block. */
    if (i < list->count)
        list->sequences[i].literals -= (uint32_t)left;
    else
        list->tail -= (uint32_t)left;
    literals += left;
    block->parsed = (parsed_block){
        .sequences = list->sequences + at->sequence,
        .count = i - at->sequence,
        .literals = list->literals + at->literals,
        .literal_count = literals,
        .tail = left,
    };
    *at = (token_place){i, at->literals + literals, 0};
    block->plain = (plain_block){NULL, 0};
    if (stream->block_start >= step->window)
        block->plain =
            (plain_block){data_at(input, stream->block_start), (size_t)(bytes + literals)};
    stream->block_start += bytes + literals;
    go127_plan_tokens(&block->plan, &block->parsed, step->closing, &go127_writer_now);
}

/* The number of tokens in the next block: a whole block's or, at the end of the stream, the
 * remaining ones; 0 without a block. */
static size_t next_tokens(const token_list *list, const token_place *at, bool rest) {
    size_t tokens = list->count - at->sequence + list->literal_count - at->literals;
    if (tokens >= GO127_CHAIN_BLOCK_TOKENS)
        return GO127_CHAIN_BLOCK_TOKENS;
    return rest ? tokens : 0;
}

static bool join(void *state, const segment_input *input, const void *segment, void *memory) {
    chain_stream *stream = state;
    chain_batch *batch = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *batch);
    memset(batch, 0, sizeof *batch);
    take_batch(batch, &p, input->size);

    gather(stream, input, segment, batch);
    batch->writer = stream->writer;
    token_place at = {0};
    size_t tokens, done = 0, step = 0, steps = step_count(input);
    while ((tokens = next_tokens(&batch->tokens, &at, input->last)) != 0) {
        cut_block *block = &batch->blocks[batch->block_count++];
        done += tokens;
        /* Go writes it in the step of its last token. */
        while (step + 1 < steps &&
               batch->marks[step].count + batch->marks[step].literal_count < done)
            step++;
        cut(stream, &batch->tokens, &at, tokens, input, &batch->marks[step], block);
        go127_write(&stream->writer, &block->plan, NULL, block->plain, NULL);
    }
    stream->tokens.count = stream->tokens.literal_count = stream->tokens.tail = 0;
    append_tokens(&stream->tokens, &batch->tokens, at);
    return false;
}

static void end(void *state, bit_writer *out) {
    chain_stream *stream = state;
    go127_write_end(&stream->writer, out);
}

/* ---- Batches ------------------------------------------------------------------------- */

static void batch_run(void *memory) {
    chain_batch *batch = memory;
    bit_writer w;
    bits_init(&w, batch->bits);
    for (size_t i = 0; i < batch->block_count; i++) {
        cut_block *block = &batch->blocks[i];
        go127_write(&batch->writer, &block->plan, &block->parsed, block->plain, &w);
    }
    batch->output.bits = bits_span(&w);
}

static uint64_t repaired(const void *state) {
    return ((const chain_stream *)state)->repaired;
}

const parallel_encoder go127_chain_parallel = {
    .geometry = geometry,
    .segment_size = segment_size,
    .segment_init = segment_init,
    .segment_run = segment_run,
    .stream_size = stream_size,
    .stream_init = stream_init,
    .batch_size = batch_size,
    .join = join,
    .batch_run = batch_run,
    .end = end,
    .repaired = repaired,
};
