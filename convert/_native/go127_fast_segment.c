/*
 * Go 1.27's levels 1 to 6 on many cores; see two_step.h.
 *
 * A parse leaves nothing behind but its tables, of which entries older than 32 KiB are dead.
 * So a segment is parsed from empty tables some blocks early, and joining compares the
 * tables it then had with the true ones. If they differ, blocks are parsed again from the
 * true tables until they are the same as the segment's were at that place. Levels 2 to 6
 * enter so much that nearly all segments fit at once; level 1 enters so little that two
 * parses can stay apart for a long time, and tables are kept after many more blocks.
 *
 * How a block is coded depends on the tables left open by the one before, and so on all
 * blocks before. But what such a decision takes (counts, codes, estimates) depends on the
 * block alone and is got ready with the parse; deciding then is so cheap that joining does
 * it in order for the whole stream. Nothing about the coder is ever guessed.
 */
#include <stdalign.h>
#include <string.h>

#include "bit_piece.h"
#include "encoder.h"
#include "go127_fast.h"
#include "two_step.h"

enum {
    /* Codes for literals alone are made by a guess of their header's size; by no more than
     * this does a block get larger than stored. */
    BLOCK_OVERHEAD = 512,
    /* What a block is parsed into: as many sequences and literals as there can be of each. */
    SEQUENCE_ROOM = FAST_SEQUENCES * sizeof(sequence),
    PARSE_ROOM = SEQUENCE_ROOM + FAST_BLOCK + FAST_COPY,
    /* What is kept of one: four bytes of input are a sequence or four literals. */
    KEPT_MAX = SEQUENCE_ROOM + sizeof(sequence),
};

/* Parsed blocks, and their sequences and literals one block behind the other, so that no more
 * memory is touched than there are of both together. */
typedef struct {
    parsed_block *parsed;
    block_plan *plans;
    uint8_t *arena;
    size_t used;
} block_store;

typedef struct {
    int level;
    segment_input input;
    size_t blocks;
    block_store store;
    uint16_t *tables; /* at each has_tables() block boundary, the first included */
    fast_parser *parser;
} fast_segment;

typedef struct {
    int level;
    go127_coder coder; /* behind everything joined */
    /* The tables there, in a parser or as a snapshot or both. */
    fast_parser *parser;
    uint16_t *truth;
    bool has_parser;
    bool has_truth;
    uint16_t *scratch; /* another snapshot, to compare */
    uint8_t *room; /* for a block parsed and coded here, and its plan */
    block_plan plan;
    uint64_t repaired;
} fast_joiner;

typedef struct {
    coding_bits made; /* first of all: see there */
    const fast_segment *segment;
    size_t coded; /* blocks that are coded when it is made: their guess was wrong */
    go127_coder coder; /* behind them */
    bit_writer out;
    uint8_t bits[];
} fast_coding;

/* ---- Memory -------------------------------------------------------------------------- */

static size_t aligned(size_t n) {
    return (n + alignof(max_align_t) - 1) / alignof(max_align_t) * alignof(max_align_t);
}

/* Cut n bytes off the memory at *p. With *p NULL nothing is cut, and it can be used to find
 * out how much memory there has to be. */
static void *take(uint8_t **p, size_t *total, size_t n) {
    void *taken = *p;
    if (*p != NULL)
        *p += aligned(n);
    *total += aligned(n);
    return taken;
}

static size_t block_count(size_t size) {
    return (size + FAST_BLOCK - 1) / FAST_BLOCK;
}

static size_t take_store(block_store *store, uint8_t **p, size_t size) {
    size_t total = 0, blocks = block_count(size);
    store->parsed = take(p, &total, blocks * sizeof *store->parsed);
    store->plans = take(p, &total, blocks * sizeof *store->plans);
    store->arena = take(p, &total, blocks * KEPT_MAX + PARSE_ROOM);
    store->used = 0;
    return total;
}

/* At level 1 what a longer warm-up saves in repairs it costs itself. */
static size_t warmup_blocks(int level) {
    return level == 1 ? 1 : 2;
}

/* Whether a segment keeps the tables as they were after so many of its blocks. */
static bool has_tables(int level, size_t after, size_t blocks) {
    if (after == blocks || after == 0 || after == 1 || after == 4 || after % 16 == 0)
        return true;
    /* Level 1 meets later, and its tables are small. */
    return level == 1 && (after < 8 || (after < 16 && after % 4 == 0) || after % 8 == 0);
}

/* The how manieth of those kept they are. */
static size_t tables_index(int level, size_t after, size_t blocks) {
    size_t index = 0;
    for (size_t i = 0; i < after; i++)
        index += has_tables(level, i, blocks);
    return index;
}

static size_t tables_size(int level) {
    return go127_tables_entries(level) * sizeof(uint16_t);
}

static uint16_t *tables_after(const fast_segment *s, size_t after) {
    return s->tables + tables_index(s->level, after, s->blocks) * go127_tables_entries(s->level);
}

/* ---- Segments ------------------------------------------------------------------------ */

static two_step_geometry geometry(int level) {
    size_t history = level == 4 ? (size_t)FAST_HISTORY_4 : (size_t)FAST_REACH;
    return (two_step_geometry){
        .unit = FAST_BLOCK,
        .before = warmup_blocks(level) * FAST_BLOCK + history,
        .after = 1, /* a full block is coded otherwise if it is the stream's last */
        .history = history,
    };
}

static size_t take_segment(fast_segment *s, uint8_t **p, int level, size_t size) {
    size_t total = 0;
    size_t blocks = block_count(size);
    s->level = level;
    s->blocks = blocks;
    s->parser = take(p, &total, go127_parser_size(level));
    s->tables = take(p, &total, (tables_index(level, blocks, blocks) + 1) * tables_size(level));
    return total + take_store(&s->store, p, size);
}

static size_t segment_memory(int level, size_t size) {
    fast_segment s;
    uint8_t *nowhere = NULL;
    return aligned(sizeof s) + take_segment(&s, &nowhere, level, size);
}

static void *segment_init(void *memory, int level, const segment_input *input) {
    fast_segment *s = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *s);
    s->input = *input;
    take_segment(s, &p, level, input->size);
    return s;
}

static block_input block_at(const segment_input *input, size_t i) {
    size_t at = i * FAST_BLOCK;
    size_t left = input->size - at;
    return (block_input){
        .data = input->data + at,
        .length = left < FAST_BLOCK ? left : (size_t)FAST_BLOCK,
        .position = input->position + at,
        .last = input->last && left <= FAST_BLOCK,
    };
}

static void parse_at(fast_parser *parser, uint8_t *room) {
    parser->sequences = (sequence *)(void *)room;
    parser->literals = room + SEQUENCE_ROOM;
}

/* Parse block i of the segment into the store, and get its coding ready. */
static void parse_into(block_store *store, size_t i, fast_parser *parser,
                       const segment_input *input) {
    block_input block = block_at(input, i);
    parse_at(parser, store->arena + store->used);
    go127_parse_block(parser, &block, &store->parsed[i], &store->plans[i]);
    go127_plan_complete(&store->plans[i]);
    if (store->plans[i].kind == PLAN_TOKENS) {
        parsed_block *parsed = &store->parsed[i];
        uint8_t *literals =
            store->arena + store->used + parsed->count * sizeof *parsed->sequences;
        memmove(literals, parsed->literals, parsed->literal_count);
        parsed->literals = literals;
        store->used += parsed->count * sizeof *parsed->sequences;
        store->used += (parsed->literal_count + sizeof(sequence) - 1) / sizeof(sequence) *
                       sizeof(sequence);
    }
}

static void segment_run(void *segment) {
    fast_segment *s = segment;
    uint64_t earlier = s->input.position / FAST_BLOCK;
    size_t warmup = warmup_blocks(s->level);
    if (warmup > earlier)
        warmup = (size_t)earlier;

    go127_parser_init(s->parser, s->level);
    parse_at(s->parser, s->store.arena);
    for (; warmup > 0; warmup--) {
        size_t back = warmup * FAST_BLOCK;
        block_input block = {s->input.data - back, FAST_BLOCK, s->input.position - back, false};
        parsed_block unused;
        go127_parse_block(s->parser, &block, &unused, NULL);
    }
    go127_tables_save(s->parser, s->tables);
    for (size_t i = 0; i < s->blocks; i++) {
        parse_into(&s->store, i, s->parser, &s->input);
        if (has_tables(s->level, i + 1, s->blocks))
            go127_tables_save(s->parser, tables_after(s, i + 1));
    }
}

/* ---- Joining ------------------------------------------------------------------------- */

static size_t take_joiner(fast_joiner *j, uint8_t **p, int level) {
    size_t total = 0;
    j->parser = take(p, &total, go127_parser_size(level));
    j->truth = take(p, &total, tables_size(level));
    j->scratch = take(p, &total, tables_size(level));
    j->room = take(p, &total, PARSE_ROOM);
    return total;
}

static size_t joiner_memory(int level) {
    fast_joiner j;
    uint8_t *nowhere = NULL;
    return aligned(sizeof j) + take_joiner(&j, &nowhere, level);
}

static void *joiner_init(void *memory, int level) {
    fast_joiner *j = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *j);
    memset(j, 0, sizeof *j);
    take_joiner(j, &p, level);
    j->level = level;
    go127_coder_init(&j->coder, FAST_PENALTY);
    go127_parser_init(j->parser, level);
    j->has_parser = true;
    return j;
}

static size_t encode_size(size_t size) {
    return size + (block_count(size) + 1) * BLOCK_OVERHEAD + BITS_SLACK;
}

static const uint16_t *true_tables(fast_joiner *j) {
    if (!j->has_truth)
        go127_tables_save(j->parser, j->truth);
    j->has_truth = true;
    return j->truth;
}

/* The true parser, to parse on with. */
static fast_parser *true_parser(fast_joiner *j) {
    if (!j->has_parser)
        go127_tables_load(j->parser, j->truth);
    j->has_parser = true;
    j->has_truth = false;
    return j->parser;
}

/* Parse and code one block from where the stream stands. */
static void encode_block(fast_joiner *j, const block_input *block, bit_writer *out) {
    plain_block plain = {block->data, block->length};
    parsed_block parsed;
    fast_parser *parser = true_parser(j);
    parse_at(parser, j->room);
    go127_parse_block(parser, block, &parsed, &j->plan);
    go127_code(&j->coder, &j->plan, &parsed, plain, out);
}

static void encode(void *joiner, const segment_input *input, bit_writer *out) {
    size_t blocks = block_count(input->size);
    for (size_t i = 0; i < blocks; i++) {
        block_input block = block_at(input, i);
        encode_block(joiner, &block, out);
    }
}

static size_t coding_memory(int level, size_t size) {
    (void)level;
    return sizeof(fast_coding) + encode_size(size);
}

/* Encode from where the stream stands until the tables are those that the segment had there.
 * Gives the number of blocks. */
static size_t repair(fast_joiner *j, const fast_segment *s, bit_writer *out) {
    size_t done = 0;
    bool met = memcmp(true_tables(j), s->tables, tables_size(j->level)) == 0;
    while (!met && done < s->blocks) {
        block_input block = block_at(&s->input, done++);
        encode_block(j, &block, out);
        j->repaired += block.length;
        if (has_tables(j->level, done, s->blocks)) {
            go127_tables_save(j->parser, j->scratch);
            met = memcmp(j->scratch, tables_after(s, done), tables_size(j->level)) == 0;
        }
    }
    if (met) {
        memcpy(j->truth, tables_after(s, s->blocks), tables_size(j->level));
        j->has_truth = true;
        j->has_parser = false;
    }
    return done;
}

static void code_block(const fast_segment *s, size_t i, go127_coder *coder, bit_writer *out) {
    block_input block = block_at(&s->input, i);
    plain_block plain = {block.data, block.length};
    go127_code(coder, &s->store.plans[i], &s->store.parsed[i], plain, out);
}

static void join(void *joiner, const segment_input *input, const void *segment, void *coding) {
    fast_joiner *j = joiner;
    const fast_segment *s = segment;
    fast_coding *c = coding;
    c->segment = s;
    bits_init(&c->out, c->bits);
    if (s == NULL) {
        encode(j, input, &c->out);
        return;
    }
    c->coded = repair(j, s, &c->out);
    c->coder = j->coder;
    for (size_t i = c->coded; i < s->blocks; i++)
        code_block(s, i, &j->coder, NULL);
}

static void end(void *joiner, bit_writer *out) {
    fast_joiner *j = joiner;
    go127_code_end(&j->coder, out);
}

/* ---- Coding -------------------------------------------------------------------------- */

static void coding_run(void *coding) {
    fast_coding *c = coding;
    const fast_segment *s = c->segment;
    for (size_t i = c->coded; s != NULL && i < s->blocks; i++)
        code_block(s, i, &c->coder, &c->out);
    c->made.piece = bits_piece(&c->out);
}

static uint64_t repaired(const void *joiner) {
    return ((const fast_joiner *)joiner)->repaired;
}

const two_step_encoder go127_fast_two_step = {
    .codes_from_segment = true,
    .geometry = geometry,
    .segment_memory = segment_memory,
    .segment_init = segment_init,
    .segment_run = segment_run,
    .joiner_memory = joiner_memory,
    .joiner_init = joiner_init,
    .coding_memory = coding_memory,
    .join = join,
    .coding_run = coding_run,
    .encode_size = encode_size,
    .encode = encode,
    .end = end,
    .repaired = repaired,
};
