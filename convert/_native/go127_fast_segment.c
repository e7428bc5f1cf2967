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
    uint16_t *truth;   /* the tables there */
    uint16_t *scratch;
    uint64_t repaired;
    uint64_t word; /* bits not yet given out */
    unsigned count;
    fast_parser *parser; /* for repairs */
} fast_joiner;

typedef struct {
    const fast_segment *segment;
    size_t replaced; /* blocks that were parsed again: their true form is in `store` */
    block_store store;
    go127_coder coder; /* before the first block */
    uint8_t *bits;
    uint64_t bit_count;
    uint64_t first_stored;
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
    return level == 1 ? 1 : 3;
}

/* Whether a segment keeps the tables as they were after so many of its blocks. */
static bool has_tables(int level, size_t after, size_t blocks) {
    if (after == blocks || (after & (after - 1)) == 0)
        return true;
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

static void *segment_init(void *memory, int level, const segment_input *input, size_t after) {
    fast_segment *s = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *s);
    (void)after;
    s->input = *input;
    take_segment(s, &p, level, input->size);
    return s;
}

static const segment_input *input_of(const void *segment) {
    return &((const fast_segment *)segment)->input;
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
    go127_tables_save(j->parser, j->truth);
    return j;
}

static size_t bits_size(const fast_segment *s) {
    return s->input.size + (s->blocks + 1) * BLOCK_OVERHEAD + BITS_SLACK;
}

static size_t take_coding(fast_coding *c, uint8_t **p, const fast_segment *s) {
    size_t total = 0;
    c->bits = take(p, &total, bits_size(s));
    return total + take_store(&c->store, p, s->input.size);
}

static size_t coding_memory(const void *joiner, const void *segment) {
    fast_coding c;
    uint8_t *nowhere = NULL;
    (void)joiner;
    return aligned(sizeof c) + take_coding(&c, &nowhere, segment);
}

static void *coding_init(void *memory, const void *joiner, const void *segment) {
    fast_coding *c = memory;
    uint8_t *p = (uint8_t *)memory + aligned(sizeof *c);
    (void)joiner;
    memset(c, 0, sizeof *c);
    take_coding(c, &p, segment);
    c->segment = segment;
    return c;
}

/* Parse the segment's first blocks again until the tables are those it had. */
static void repair(fast_joiner *j, const fast_segment *s, fast_coding *c) {
    bool met = memcmp(j->truth, s->tables, tables_size(j->level)) == 0;
    if (!met)
        go127_tables_load(j->parser, j->truth);
    while (!met && c->replaced < s->blocks) {
        parse_into(&c->store, c->replaced, j->parser, &s->input);
        c->replaced++;
        if (has_tables(j->level, c->replaced, s->blocks)) {
            go127_tables_save(j->parser, j->scratch);
            met = memcmp(j->scratch, tables_after(s, c->replaced), tables_size(j->level)) == 0;
        }
    }
    if (met)
        memcpy(j->truth, tables_after(s, s->blocks), tables_size(j->level));
    else
        go127_tables_save(j->parser, j->truth);
}

/* Code block i, from where its true form is. */
static void code_block(const fast_coding *c, size_t i, go127_coder *coder, bit_writer *out) {
    const block_store *store = i < c->replaced ? &c->store : &c->segment->store;
    block_input block = block_at(&c->segment->input, i);
    plain_block plain = {block.data, block.length};
    go127_code(coder, &store->plans[i], &store->parsed[i], plain, out);
}

static void join(void *joiner, const void *segment, void *coding) {
    fast_joiner *j = joiner;
    const fast_segment *s = segment;
    fast_coding *c = coding;

    repair(j, s, c);
    for (size_t i = 0; i < c->replaced; i++)
        j->repaired += block_at(&s->input, i).length;
    c->coder = j->coder;
    for (size_t i = 0; i < s->blocks; i++)
        code_block(c, i, &j->coder, NULL);
}

/* ---- Coding -------------------------------------------------------------------------- */

static void coding_run(void *coding) {
    fast_coding *c = coding;
    bit_writer w;
    bits_init(&w, c->bits);
    for (size_t i = 0; i < c->segment->blocks; i++)
        code_block(c, i, &c->coder, &w);
    bits_flush(&w);
    c->bit_count = bits_position(&w);
    c->first_stored = w.first_stored;
    store64(w.next, w.word);
    memset(w.next + 8, 0, BITS_SLACK - 8);
}

static size_t coding_bound(const void *coding) {
    const fast_coding *c = coding;
    return (size_t)(c->bit_count / 8) + 3 * BITS_SLACK;
}

static size_t append(void *joiner, const void *coding, uint8_t *out) {
    fast_joiner *j = joiner;
    const fast_coding *c = coding;
    bit_writer w;
    bits_resume(&w, out, j->word, j->count);
    bit_piece piece = {c->bits, 0, c->bit_count, c->first_stored};
    bits_append(&w, &piece);
    if (c->segment->input.last)
        go127_code_end(&j->coder, &w);
    bits_flush(&w);
    j->word = w.word;
    j->count = w.count;
    return (size_t)(w.next - w.start);
}

static uint64_t repaired(const void *joiner) {
    return ((const fast_joiner *)joiner)->repaired;
}

const two_step_encoder go127_fast_two_step = {
    .geometry = geometry,
    .segment_memory = segment_memory,
    .segment_init = segment_init,
    .segment_input = input_of,
    .segment_run = segment_run,
    .joiner_memory = joiner_memory,
    .joiner_init = joiner_init,
    .coding_memory = coding_memory,
    .coding_init = coding_init,
    .join = join,
    .coding_run = coding_run,
    .coding_bound = coding_bound,
    .append = append,
    .repaired = repaired,
};
