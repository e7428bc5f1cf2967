/*
 * Go 1.27's levels 7 to 9 on many cores; see two_step.h.
 *
 * Segments are cut where the parser takes its steps. As every position is entered into the
 * chains whatever the matches, a parser started two steps early, with all positions of one
 * window entered, soon stands where the true one does: lazy matching forgets within some
 * hundred bytes. Joining compares all there is of the parsers between two steps; where
 * they differ, steps are taken again until they are the same.
 *
 * Blocks are cut from the true tokens, and need not end where segments do: what is left
 * goes into the next coding. Joining also decides, in order, how blocks are coded, for this
 * depends on the tables that the block before has left open.
 */
#include <string.h>

#include "deflate/bit_span.h"
#include "go127/chain.h"
#include "parallel/memory.h"
#include "parallel/two_step.h"

enum {
    WARMUP_STEPS = 2,
    /* A segment's tokens begin and end this much off its own bounds, at most. */
    OVERHANG = CHAIN_WINDOW,
    /* Header and end of a block, at most. */
    BLOCK_OVERHEAD = 512,
    SEQUENCE_BITS_MAX = 48,
};

/* Where the tokens of a list stood when a step ended. */
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
    chain_tokens tokens;
    chain_snapshot *snapshots; /* at has_snapshot() steps */
    chain_parser *parser;
} chain_segment;

/* A block cut from the tokens. */
typedef struct {
    parsed_block parsed;
    plain_block plain;
    block_plan plan;
} cut_block;

typedef struct {
    coding_bits made; /* first of all: see there */
    chain_tokens tokens; /* what was left before, then the segment's true ones */
    step_mark *marks;    /* of each of the segment's steps in them */
    cut_block *blocks;
    size_t block_count;
    go127_coder coder; /* before the first block */
    uint8_t *bits;
} chain_coding;

typedef struct {
    int level;
    go127_coder coder;    /* behind the last block cut */
    uint64_t block_start; /* stream position of the next block */
    chain_tokens tokens;  /* the last, that are in no block yet */
    uint64_t repaired;
    /* The parser behind everything joined, itself or as a snapshot or both. */
    chain_parser *parser;
    chain_snapshot *truth;
    bool has_parser;
    bool has_truth;
    chain_snapshot *scratch; /* another, to compare */
} chain_joiner;

/* ---- Memory -------------------------------------------------------------------------- */

static size_t take_tokens(chain_tokens *tokens, uint8_t **p, size_t bytes, size_t more) {
    size_t total = 0;
    memset(tokens, 0, sizeof *tokens);
    tokens->sequences =
        take(p, &total, (bytes / CHAIN_MIN_MATCH + more + 1) * sizeof *tokens->sequences);
    tokens->literals = take(p, &total, bytes + more + LITERAL_SLACK);
    return total;
}

/* ---- Steps --------------------------------------------------------------------------- */

/* How many steps end in the segment. The first of a stream ends when a window is full, the
 * last, which closes it, where the stream ends. */
static size_t step_count(const segment_input *input) {
    uint64_t skipped = input->position == 0 ? 1 : 0;
    uint64_t halves = input->size / CHAIN_HALF;
    if (input->last)
        halves = input->size == 0 ? 1 : (input->size + CHAIN_HALF - 1) / CHAIN_HALF;
    if (halves > skipped)
        return (size_t)(halves - skipped);
    return input->last ? 1 : 0;
}

static size_t max_steps(size_t size) {
    return size / CHAIN_HALF + 1;
}

/* Where the window lies when the step is taken that ends behind `position` (a multiple of
 * CHAIN_HALF) by a half or less. */
static uint64_t window_of_step(uint64_t position) {
    return position > CHAIN_HALF ? position - CHAIN_HALF : 0;
}

/* Snapshots are large, and all but a few segments fit at once. */
static bool has_snapshot(size_t after, size_t steps) {
    return after == steps || after == 0 || after == 1 || after == 4 || after == 16;
}

static size_t snapshot_index(size_t after, size_t steps) {
    size_t index = 0;
    for (size_t i = 0; i < after; i++)
        index += has_snapshot(i, steps);
    return index;
}

static chain_snapshot *snapshot_after(const chain_segment *s, size_t after) {
    return s->snapshots + snapshot_index(after, s->steps);
}

static const uint8_t *data_at(const segment_input *input, uint64_t position) {
    return input->data - input->before + (position - (input->position - input->before));
}

/* Take step i of a segment's, and move on unless it was the last of the stream. */
static step_mark take_step(chain_parser *parser, const segment_input *input, size_t i) {
    uint64_t window = window_of_step(input->position) + i * CHAIN_HALF;
    bool closing = input->last && i + 1 == step_count(input);
    uint64_t end = window + CHAIN_WINDOW;
    if (closing)
        end = input->position + input->size;
    parser->window = data_at(input, window);
    parser->end = (int32_t)(end - window);
    go127_chain_step(parser, closing);
    if (!closing)
        go127_chain_move(parser);
    return (step_mark){parser->tokens.count, parser->tokens.literal_count, parser->tokens.run,
                       window, closing};
}

/* ---- Segments ------------------------------------------------------------------------ */

static two_step_geometry geometry(encoder_profile profile) {
    (void)profile;
    return (two_step_geometry){
        .unit = CHAIN_HALF,
        .before = (WARMUP_STEPS + 1) * CHAIN_HALF,
        .after = 1, /* whether a full window's step is the last depends on it */
        .history = (WARMUP_STEPS + 1) * CHAIN_HALF,
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

static size_t segment_memory(encoder_profile profile, size_t size) {
    chain_segment s;
    uint8_t *nowhere = NULL;
    (void)profile;
    return aligned(sizeof s) + take_segment(&s, &nowhere, size);
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
    chain_parser *parser = s->parser;
    uint64_t to = window_of_step(s->input.position);
    uint64_t from = to > WARMUP_STEPS * CHAIN_HALF ? to - WARMUP_STEPS * CHAIN_HALF : 0;

    if (from == 0) {
        go127_chain_init(parser, s->level);
    } else {
        int32_t index = CHAIN_HALF - CHAIN_LOOKAHEAD + 1;
        go127_chain_start(parser, s->level, data_at(&s->input, from), index);
    }
    parser->tokens = s->tokens;
    for (uint64_t window = from; window < to; window += CHAIN_HALF) {
        parser->window = data_at(&s->input, window);
        parser->end = CHAIN_WINDOW;
        go127_chain_step(parser, false);
        go127_chain_move(parser);
        parser->tokens = s->tokens;
    }
}

static void segment_run(void *segment, const void *previous) {
    (void)previous; /* what is before a segment says all */
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

static size_t take_joiner(chain_joiner *j, uint8_t **p) {
    size_t total = 0;
    j->parser = take(p, &total, sizeof *j->parser);
    j->truth = take(p, &total, sizeof *j->truth);
    j->scratch = take(p, &total, sizeof *j->scratch);
    return total + take_tokens(&j->tokens, p, 0, CHAIN_BLOCK_TOKENS);
}

static size_t joiner_memory(encoder_profile profile) {
    chain_joiner j;
    uint8_t *nowhere = NULL;
    (void)profile;
    return aligned(sizeof j) + take_joiner(&j, &nowhere);
}

static void *joiner_init(void *memory, encoder_profile profile) {
    chain_joiner *j = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *j);
    memset(j, 0, sizeof *j);
    take_joiner(j, &p);
    j->level = profile.level;
    go127_coder_init(&j->coder, CHAIN_PENALTY);
    go127_chain_init(j->parser, j->level);
    j->has_parser = true;
    return j;
}

static const chain_snapshot *true_snapshot(chain_joiner *j) {
    if (!j->has_truth)
        go127_chain_save(j->parser, j->truth);
    j->has_truth = true;
    return j->truth;
}

/* The true parser, to take steps with. */
static chain_parser *true_parser(chain_joiner *j) {
    if (!j->has_parser)
        go127_chain_load(j->parser, j->truth);
    j->has_parser = true;
    j->has_truth = false;
    return j->parser;
}

/* Bytes that a coding's tokens may stand for: the segment's, and fewer tokens than a block's
 * that were left over. */
static size_t coding_blocks(size_t size) {
    return (size + OVERHANG + CHAIN_BLOCK_TOKENS) / CHAIN_BLOCK_TOKENS + 1;
}

static size_t bits_size(size_t size) {
    return 2 * (size + OVERHANG) + (size_t)CHAIN_BLOCK_TOKENS * SEQUENCE_BITS_MAX / 8 +
           coding_blocks(size) * BLOCK_OVERHEAD + BITS_SLACK;
}

static size_t take_coding(chain_coding *c, uint8_t **p, size_t size) {
    size_t total = 0;
    c->marks = take(p, &total, max_steps(size) * sizeof *c->marks);
    c->blocks = take(p, &total, coding_blocks(size) * sizeof *c->blocks);
    c->bits = take(p, &total, bits_size(size));
    return total + take_tokens(&c->tokens, p, size + OVERHANG, CHAIN_BLOCK_TOKENS);
}

static size_t coding_memory(encoder_profile profile, size_t size) {
    chain_coding c;
    uint8_t *nowhere = NULL;
    (void)profile;
    return aligned(sizeof c) + take_coding(&c, &nowhere, size);
}

/* Add tokens of another list from a place on, where `run` literals of a sequence, or of the
 * list's end, are behind. */
static void append_tokens(chain_tokens *to, const chain_tokens *from, size_t sequence_index,
                          size_t literal_index, uint32_t run) {
    size_t n = from->count - sequence_index;
    size_t literals = from->literal_count - literal_index;
    if (n > 0) {
        memcpy(to->sequences + to->count, from->sequences + sequence_index,
               n * sizeof *to->sequences);
        to->sequences[to->count].literals += to->run - run;
        to->count += n;
        to->run = from->run;
    } else {
        to->run += from->run - run;
    }
    memcpy(to->literals + to->literal_count, from->literals + literal_index, literals);
    to->literal_count += literals;
}

/* Take steps from where the stream stands until the parser is what the segment's was there;
 * the tokens and marks go to the coding. Gives the number of steps. */
static size_t repair(chain_joiner *j, const segment_input *input, const chain_segment *s,
                     chain_coding *c) {
    size_t i = 0, steps = step_count(input);
    bool met = s != NULL && memcmp(true_snapshot(j), s->snapshots, sizeof *j->truth) == 0;
    while (!met && i < steps) {
        chain_parser *parser = true_parser(j);
        parser->tokens = c->tokens;
        c->marks[i] = take_step(parser, input, i);
        c->tokens = parser->tokens;
        i++;
        if (s != NULL && has_snapshot(i, steps)) {
            go127_chain_save(parser, j->scratch);
            met = memcmp(j->scratch, snapshot_after(s, i), sizeof *j->scratch) == 0;
        }
    }
    if (met) {
        memcpy(j->truth, snapshot_after(s, steps), sizeof *j->truth);
        j->has_truth = true;
        j->has_parser = false;
    }
    return i;
}

/* All tokens that are true, with the places where steps ended among them. */
static void gather(chain_joiner *j, const segment_input *input, const chain_segment *s,
                   chain_coding *c) {
    append_tokens(&c->tokens, &j->tokens, 0, 0, 0);
    size_t again = repair(j, input, s, c);
    if (s == NULL)
        return;
    j->repaired += again * CHAIN_HALF;

    step_mark from = {0};
    if (again > 0)
        from = s->marks[again - 1];
    size_t sequences = c->tokens.count, literals = c->tokens.literal_count;
    append_tokens(&c->tokens, &s->tokens, from.count, from.literal_count, from.run);
    for (size_t i = again; i < s->steps; i++) {
        c->marks[i] = s->marks[i];
        c->marks[i].count += sequences - from.count;
        c->marks[i].literal_count += literals - from.literal_count;
    }
}

/* How far blocks have been cut from a list of tokens. */
typedef struct {
    size_t sequences;
    size_t literals;
} token_place;

/* Cut a block of so many tokens off the list at a place, which moves behind it. Go wrote it
 * in the step of the mark. */
static void cut(chain_joiner *j, chain_tokens *list, token_place *at, size_t tokens,
                const segment_input *input, const step_mark *step, cut_block *block) {
    size_t i = at->sequences;
    size_t left = tokens, literals = 0;
    uint64_t bytes = 0;
    while (i < list->count && left > list->sequences[i].literals) {
        literals += list->sequences[i].literals;
        left -= list->sequences[i].literals + 1;
        bytes += list->sequences[i].length + 3u;
        i++;
    }
    /* What is left of the block are literals of a sequence that goes into the next. */
    if (i < list->count)
        list->sequences[i].literals -= (uint32_t)left;
    else
        list->run -= (uint32_t)left;
    literals += left;
    block->parsed = (parsed_block){
        .sequences = list->sequences + at->sequences,
        .count = i - at->sequences,
        .literals = list->literals + at->literals,
        .literal_count = literals,
        .tail = left,
    };
    *at = (token_place){i, at->literals + literals};
    block->plain = (plain_block){NULL, 0};
    if (j->block_start >= step->window)
        block->plain = (plain_block){data_at(input, j->block_start), (size_t)(bytes + literals)};
    j->block_start += bytes + literals;
    go127_plan_tokens(&block->plan, &block->parsed, step->closing);
}

/* The tokens of the next block: all of a whole one, at the end of the stream what there is,
 * or none. */
static size_t next_tokens(const chain_tokens *list, const token_place *at, bool rest) {
    size_t tokens =
        list->count - at->sequences + list->literal_count - at->literals;
    if (tokens >= CHAIN_BLOCK_TOKENS)
        return CHAIN_BLOCK_TOKENS;
    return rest ? tokens : 0;
}

static bool join(void *joiner, const segment_input *input, const void *segment, void *coding) {
    chain_joiner *j = joiner;
    chain_coding *c = coding;
    uint8_t *p = (uint8_t *)coding + aligned(sizeof *c);
    memset(c, 0, sizeof *c);
    take_coding(c, &p, input->size);

    gather(j, input, segment, c);
    c->coder = j->coder;
    token_place at = {0, 0};
    size_t tokens, done = 0, step = 0, steps = step_count(input);
    while ((tokens = next_tokens(&c->tokens, &at, input->last)) != 0) {
        cut_block *block = &c->blocks[c->block_count++];
        done += tokens;
        /* The step in which Go wrote it: that of its last token. */
        while (step + 1 < steps && c->marks[step].count + c->marks[step].literal_count < done)
            step++;
        cut(j, &c->tokens, &at, tokens, input, &c->marks[step], block);
        go127_code(&j->coder, &block->plan, NULL, block->plain, NULL);
    }
    j->tokens.count = j->tokens.literal_count = j->tokens.run = 0;
    append_tokens(&j->tokens, &c->tokens, at.sequences, at.literals, 0);
    return false;
}

static void end(void *joiner, bit_writer *out) {
    chain_joiner *j = joiner;
    go127_code_end(&j->coder, out);
}

/* ---- Coding -------------------------------------------------------------------------- */

static void coding_run(void *coding) {
    chain_coding *c = coding;
    bit_writer w;
    bits_init(&w, c->bits);
    for (size_t i = 0; i < c->block_count; i++) {
        cut_block *block = &c->blocks[i];
        go127_code(&c->coder, &block->plan, &block->parsed, block->plain, &w);
    }
    c->made.piece = bits_piece(&w);
}

static uint64_t repaired(const void *joiner) {
    return ((const chain_joiner *)joiner)->repaired;
}

const two_step_encoder go127_chain_two_step = {
    .geometry = geometry,
    .segment_memory = segment_memory,
    .segment_init = segment_init,
    .segment_run = segment_run,
    .joiner_memory = joiner_memory,
    .joiner_init = joiner_init,
    .coding_memory = coding_memory,
    .join = join,
    .coding_run = coding_run,
    .end = end,
    .repaired = repaired,
};
