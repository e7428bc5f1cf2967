/*
 * Go up to 1.26, levels 2 to 9, on several threads.
 *
 * Algorithm: segments are parsed independently, each after some input of the one before. join()
 * checks whether the stream's tokens so far end where a token of the next segment ends, with the
 * parser in the same state; if not, input is parsed again from there until they do. Blocks are
 * then cut from the joined tokens.
 *
 * Why the bytes are the serial encoder's: at lazy levels the tokens behind a token boundary depend
 * on the boundary alone; at greedy levels also on which positions are in the chains, and that is
 * compared (see chain.c). What no segment has is parsed from a token boundary of the stream.
 */
#include <string.h>

#include "go126/block_writer.h"
#include "go126/chain.h"
#include "go126/go126.h"
#include "parallel/memory.h"

enum {
    /* Parsed before a segment at lazy levels, where any common token boundary suffices. */
    WARMUP_LAZY = 2048,
    /* At greedy levels both parses must be equal for a whole window. */
    WARMUP_GREEDY = 3 * WINDOW_SIZE,
    BEFORE = WARMUP_GREEDY + WINDOW_SIZE,
    AFTER = 1024, /* the last token's length, and the lookahead behind it */
    /* A token can end this far behind a segment. */
    OVERHANG = GO126_CHAIN_MAX_MATCH,
    /* Greedy: after how many bytes a repair compares its state with the guess again. */
    MEETING_STEP = 512,
    FIXED_TOKEN_BYTES = 4,
    BLOCK_OVERHEAD = 16,
};

typedef struct {
    int level;
    segment_input input;
    uint64_t first; /* stream position of the first token: at or behind the segment's start */
    uint64_t end;   /* behind the last token: at or behind the segment's end */
    token_list tokens;
    go126_entered_set entered; /* greedy: at `first` */
    go126_chain_parser parser;
} chain_segment;

typedef struct {
    batch_output output; /* first: every batch begins with it */
    segment_input input;
    go126_chain_cutter cutter; /* before the first block */
    token_list tokens;
    uint8_t *bits;
} chain_batch;

typedef struct {
    int level;
    go126_chain_cutter cutter;
    uint64_t position; /* tokens are known up to here */
    token_list tokens; /* the last ones, which are in no block yet */
    sequence sequences[GO126_CHAIN_BLOCK_TOKENS];
    uint8_t literals[GO126_CHAIN_BLOCK_TOKENS];
    uint64_t repaired;
    go126_entered_set entered; /* greedy: at `position` */
    go126_chain_parser parser; /* for repairs, and without a guess */
} chain_stream;

/* ---- Greedy levels: which positions are in the chains ---------------------------------- */

static void set_entered(go126_entered_set *set, uint64_t position, bool is) {
    uint64_t bit = UINT64_C(1) << (position & 63);
    uint64_t *word = &set->word[position % WINDOW_SIZE / 64];
    *word = is ? *word | bit : *word & ~bit;
}

static void enter_literals(go126_entered_set *set, uint64_t position, uint64_t n) {
    for (uint64_t i = n > WINDOW_SIZE ? n - WINDOW_SIZE : 0; i < n; i++)
        set_entered(set, position + i, true);
}

static void enter_match(go126_entered_set *set, uint64_t position, uint32_t length, uint32_t skip) {
    set_entered(set, position, true);
    for (uint32_t i = 1; i < length; i++)
        set_entered(set, position + i, length <= skip);
}

/* A walk over tokens, one literal run or match at a time. */
typedef struct {
    const token_list *list;
    size_t index;
    uint32_t skip; /* literals of the sequence at index that were passed */
    size_t literals;
    uint64_t position;
} token_walk;

static token_place place_of(const token_walk *w) {
    return (token_place){w->index, w->literals, w->skip};
}

static uint32_t run_left(const token_walk *w) {
    uint32_t run =
        w->index < w->list->count ? w->list->sequences[w->index].literals : w->list->tail;
    return run - w->skip;
}

static bool walk_done(const token_walk *w) {
    return w->index == w->list->count && run_left(w) == 0;
}

/* Step over literals up to `limit`, or over the match behind them. */
static void walk_step(token_walk *w, uint64_t limit, go126_entered_set *set, uint32_t skip) {
    uint32_t run = run_left(w);
    if (run > 0) {
        uint32_t n = limit - w->position < run ? (uint32_t)(limit - w->position) : run;
        if (set != NULL)
            enter_literals(set, w->position, n);
        w->skip += n;
        w->literals += n;
        w->position += n;
    } else {
        uint32_t length = w->list->sequences[w->index].length + 3u;
        if (set != NULL)
            enter_match(set, w->position, length, skip);
        w->index++;
        w->skip = 0;
        w->position += length;
    }
}

static void clear_tokens(token_list *list) {
    list->count = 0;
    list->literal_count = 0;
    list->tail = 0;
}

/* ---- Segments --------------------------------------------------------------------------- */

static size_t max_sequences(size_t size) {
    return (size + WARMUP_GREEDY + OVERHANG) / GO126_CHAIN_MIN_MATCH + 2;
}

static size_t max_literals(size_t size) {
    return size + WARMUP_GREEDY + OVERHANG;
}

static size_t segment_size(encoder_profile profile, size_t input_size) {
    (void)profile;
    return aligned(sizeof(chain_segment)) + aligned(max_sequences(input_size) * sizeof(sequence)) +
           aligned(max_literals(input_size));
}

static void *segment_init(void *memory, encoder_profile profile, const segment_input *input) {
    uint8_t *p = memory;
    chain_segment *s = memory;
    s->level = profile.level;
    s->input = *input;
    p += aligned(sizeof *s);
    s->tokens = (token_list){.sequences = (sequence *)(void *)p};
    p += aligned(max_sequences(input->size) * sizeof(sequence));
    s->tokens.literals = p;
    return s;
}

/* The input as the parser sees it, from the first known byte on. */
static go126_chain_input whole_input(const segment_input *input) {
    return (go126_chain_input){
        .data = input->data - input->before,
        .size = input->before + input->size + input->after,
        .origin = input->position - input->before,
        .final = input->last,
    };
}

/* The position up to which tokens are final. */
static uint64_t final_position(const go126_chain_parser *p, const go126_chain_input *in) {
    return in->origin + p->next - (p->literal_pending ? 1 : 0);
}

static void segment_run(void *segment, const void *previous) {
    (void)previous; /* the input before a segment suffices */
    chain_segment *s = segment;
    go126_chain_parser *p = &s->parser;
    go126_chain_input in = whole_input(&s->input);
    bool greedy;
    size_t begin = s->input.before;
    size_t stop = begin + s->input.size;

    go126_chain_init(p, s->level, GO126_CHAIN_MIN_MATCH);
    greedy = p->rules.lazy == 0;
    memset(&s->entered, 0, sizeof s->entered);
    if (s->input.position == 0) {
        s->first = 0;
    } else {
        size_t warmup = greedy ? WARMUP_GREEDY : WARMUP_LAZY;
        if (warmup > begin)
            warmup = begin;
        go126_chain_start(p, s->level, &in, begin - warmup, NULL);
        uint64_t position = in.origin + begin - warmup;
        go126_chain_parse(p, &in, begin, &s->tokens);
        s->first = final_position(p, &in);
        if (greedy) {
            token_walk walk = {.list = &s->tokens, .position = position};
            while (!walk_done(&walk))
                walk_step(&walk, UINT64_MAX, &s->entered, p->rules.skip);
        }
        clear_tokens(&s->tokens);
    }
    if (s->first < in.origin + stop)
        go126_chain_parse(p, &in, s->input.last ? SIZE_MAX : stop, &s->tokens);
    s->end = final_position(p, &in);
}

/* ---- Joining ---------------------------------------------------------------------------- */

static size_t stream_size(encoder_profile profile) {
    (void)profile;
    return sizeof(chain_stream);
}

static void *stream_init(void *memory, encoder_profile profile) {
    chain_stream *stream = memory;
    memset(stream, 0, sizeof *stream);
    stream->tokens.sequences = stream->sequences;
    stream->tokens.literals = stream->literals;
    stream->level = profile.level;
    go126_chain_init(&stream->parser, stream->level, GO126_CHAIN_MIN_MATCH);
    stream->cutter.lazy = stream->parser.rules.lazy != 0;
    stream->cutter.least = GO126_CHAIN_MIN_MATCH;
    return stream;
}

static uint64_t repaired(const void *stream) {
    return ((const chain_stream *)stream)->repaired;
}

/* The most tokens of a batch: the segment's, or as many from a repair, and fewer than a block's
 * that remained before. */
static size_t batch_sequences(size_t size) {
    return max_sequences(size) + GO126_CHAIN_BLOCK_TOKENS + 1;
}

static size_t batch_literals(size_t size) {
    return max_literals(size) + GO126_CHAIN_BLOCK_TOKENS + LITERAL_SLACK;
}

static size_t bits_size(size_t size) {
    /* No block is larger than in the fixed code: 9 bits for a literal, 31 for a match. */
    size_t bytes = size + OVERHANG;
    return GO126_CHAIN_BLOCK_TOKENS * FIXED_TOKEN_BYTES + bytes / 8 * 9 + 16 +
           (bytes / GO126_CHAIN_BLOCK_TOKENS + 3) * BLOCK_OVERHEAD + BITS_SLACK;
}

static size_t batch_size(encoder_profile profile, size_t input_size) {
    (void)profile;
    return aligned(sizeof(chain_batch)) + aligned(batch_sequences(input_size) * sizeof(sequence)) +
           aligned(batch_literals(input_size)) + bits_size(input_size);
}

static chain_batch *batch_init(void *memory, const segment_input *input) {
    uint8_t *p = memory;
    chain_batch *batch = memory;
    memset(batch, 0, sizeof *batch);
    batch->input = *input;
    p += aligned(sizeof *batch);
    batch->tokens.sequences = (sequence *)(void *)p;
    p += aligned(batch_sequences(input->size) * sizeof(sequence));
    batch->tokens.literals = p;
    p += aligned(batch_literals(input->size));
    batch->bits = p;
    return batch;
}

static bool same_set(const go126_entered_set *a, const go126_entered_set *b) {
    return memcmp(a, b, sizeof *a) == 0;
}

/* Parse until a token ends at or behind index `stop`, and track which positions are entered. */
static void parse_on(chain_stream *stream, const go126_chain_input *in, size_t stop,
                     token_list *tokens) {
    token_walk walk = {
        .list = tokens, .index = tokens->count, .skip = tokens->tail, .position = stream->position};
    go126_chain_parse(&stream->parser, in, stop, tokens);
    stream->position = final_position(&stream->parser, in);
    while (!stream->cutter.lazy && !walk_done(&walk))
        walk_step(&walk, UINT64_MAX, &stream->entered, stream->parser.rules.skip);
}

/*
 * Move the walk over the segment's tokens to a position from which the stream's tokens are the
 * same. Up to there, or to the segment's end if there is none, add the stream's actual tokens to
 * the batch.
 */
static void meet(chain_stream *stream, const chain_segment *s, token_walk *walk,
                 chain_batch *batch) {
    bool greedy = !stream->cutter.lazy;
    uint32_t skip = stream->parser.rules.skip;
    if (walk->position == stream->position && (!greedy || same_set(&stream->entered, &s->entered)))
        return;

    go126_chain_input in = whole_input(&s->input);
    go126_entered_set guess = s->entered;
    uint64_t began = stream->position;
    size_t stop = s->input.last ? in.size : s->input.before + s->input.size;
    uint64_t compare_at = 0;
    go126_chain_start(&stream->parser, stream->level, &in, (size_t)(began - in.origin),
                      greedy ? &stream->entered : NULL);
    for (;;) {
        /* The guess up to the stream's position ... */
        while (walk->position < stream->position && !walk_done(walk))
            walk_step(walk, stream->position, greedy ? &guess : NULL, skip);
        if (walk->position == stream->position) {
            if (!greedy)
                break;
            if (stream->position >= compare_at) {
                if (same_set(&stream->entered, &guess))
                    break;
                compare_at = stream->position + MEETING_STEP;
            }
        }
        if (stream->position >= in.origin + stop)
            break;
        /* ... and the stream by one token or more. */
        parse_on(stream, &in, (size_t)(stream->position - in.origin) + 1, &batch->tokens);
    }
    stream->repaired += stream->position - began;
}

/*
 * Cut off all whole blocks, at the end of the stream also the remaining tokens, and write them
 * unless `out` is NULL. Return a walk behind them.
 */
static token_walk take_blocks(go126_chain_cutter *cutter, const token_list *list,
                              const segment_input *input, bit_writer *out) {
    uint64_t origin = input->position - input->before;
    uint64_t end = input->position + input->size + input->after;
    token_walk at = {.list = list, .position = cutter->position};
    go126_chain_block block;
    while (go126_chain_cut(cutter, list, at.index, at.skip, input->last, end, &block)) {
        /* Blocks that begin before the known input are too large to be stored. */
        bool storable = block.storable && at.position >= origin;
        parsed_block tokens = {
            .literals = list->literals + at.literals,
            .literal_count = block.literals,
            .sequences = list->sequences + at.index,
            .count = block.sequences,
            .skip = at.skip,
            .tail = block.tail,
        };
        const uint8_t *data =
            storable ? input->data - input->before + (at.position - origin) : NULL;
        if (out != NULL)
            go126_write_smallest(&tokens, data, block.size, out);
        at.position = cutter->position;
        at.literals += block.literals;
        at.skip = block.tail + (block.sequences == 0 ? at.skip : 0);
        at.index += block.sequences;
    }
    return at;
}

/* Without a segment: parse to the end of the input. */
static void parse_here(chain_stream *stream, const segment_input *input, chain_batch *batch) {
    go126_chain_input in = whole_input(input);
    size_t at = (size_t)(stream->position - in.origin);
    size_t stop = input->before + input->size;
    if (at >= stop)
        return;
    go126_chain_start(&stream->parser, stream->level, &in, at,
                      stream->cutter.lazy ? NULL : &stream->entered);
    parse_on(stream, &in, input->last ? SIZE_MAX : stop, &batch->tokens);
}

/* With a segment: take its tokens, except where the guess was wrong. */
static void take_tokens(chain_stream *stream, const chain_segment *s, chain_batch *batch) {
    token_walk walk = {.list = &s->tokens, .position = s->first};
    meet(stream, s, &walk, batch);
    if (walk.position != stream->position)
        return;
    append_tokens(&batch->tokens, walk.list, place_of(&walk));
    /* Only the last window matters later, but all of it is cheap. */
    while (!stream->cutter.lazy && !walk_done(&walk))
        walk_step(&walk, UINT64_MAX, &stream->entered, stream->parser.rules.skip);
    stream->position = s->end;
}

static bool join(void *state, const segment_input *input, const void *segment, void *memory) {
    chain_stream *stream = state;
    chain_batch *batch = batch_init(memory, input);
    batch->cutter = stream->cutter;
    append_tokens(&batch->tokens, &stream->tokens, (token_place){0});
    if (segment != NULL)
        take_tokens(stream, segment, batch);
    else
        parse_here(stream, input, batch);

    token_walk left = take_blocks(&stream->cutter, &batch->tokens, input, NULL);
    clear_tokens(&stream->tokens);
    append_tokens(&stream->tokens, left.list, place_of(&left));
    return false;
}

static void end(void *stream, bit_writer *out) {
    (void)stream;
    go126_write_end(NULL, out);
}

/* ---- Batches ---------------------------------------------------------------------------- */

static void batch_run(void *memory) {
    chain_batch *batch = memory;
    bit_writer w;
    bits_init(&w, batch->bits);
    take_blocks(&batch->cutter, &batch->tokens, &batch->input, &w);
    batch->output.bits = bits_span(&w);
}

static parallel_geometry geometry(encoder_profile profile) {
    (void)profile;
    return (parallel_geometry){.unit = 1, .before = BEFORE, .after = AFTER, .history = BEFORE};
}

const parallel_encoder go126_chain_parallel = {
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
