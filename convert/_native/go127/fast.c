/*
 * Go 1.27's levels 1 to 6 around their match finders; see go127_fast.h.
 *
 * Parallel: a parse leaves nothing behind but its tables, of which entries older than 32 KiB
 * are dead. Levels 2 to 6 enter so much that nearly all guesses fit at once; level 1 enters so
 * little that two parses can stay apart for a long time.
 */
#include "go127/fast.h"

enum {
    SHORT_BLOCK = 128, /* a last block below this is not parsed ... */
    STORED_BLOCK = 32, /* ... and up to this not coded either */
};

/* So many single entries and pairs does a level keep. */
typedef struct {
    size_t singles;
    size_t pairs;
} table_sizes;

static table_sizes sizes_of(int level) {
    switch (level) {
    case 1:
        return (table_sizes){(size_t)1 << TABLE_BITS_1, 0};
    case 2:
        return (table_sizes){(size_t)1 << TABLE_BITS_2, 0};
    case 3:
        return (table_sizes){0, (size_t)1 << PAIRS_BITS_3};
    case 4:
        return (table_sizes){((size_t)1 << TABLE_BITS_4) + ((size_t)1 << LONG_BITS_4), 0};
    case 5:
        return (table_sizes){(size_t)1 << TABLE_BITS_5, (size_t)1 << PAIRS_BITS_5};
    default:
        return (table_sizes){(size_t)1 << TABLE_BITS_6, (size_t)1 << PAIRS_BITS_6};
    }
}

static size_t table_entries(int level) {
    table_sizes sizes = sizes_of(level);
    return sizes.singles + 2 * sizes.pairs;
}

static void parser_init(void *memory, int level) {
    fast_parser *parser = memory;
    parser->level = level;
    parser->origin = FAST_FIRST_ORIGIN;
    memset(parser->tables, 0, table_entries(level) * sizeof(uint32_t));
}

static entry_pair *pairs_of(fast_parser *parser) {
    return (entry_pair *)(parser->tables + sizes_of(parser->level).singles);
}

/* ---- Parsing ------------------------------------------------------------------------- */

static fast_parse find_matches(fast_parser *parser, const block_input *block) {
    switch (parser->level) {
    case 1:
        return go127_parse1(parser, block);
    case 2:
        return go127_parse2(parser, block);
    case 3:
        return go127_parse3(parser, block);
    case 4:
        return go127_parse4(parser, block);
    case 5:
        return go127_parse5(parser, block);
    default:
        return go127_parse6(parser, block);
    }
}

static void renumber(fast_parser *parser, uint32_t to_origin);

static void parse(void *memory, const block_input *block, block_room room,
                  parsed_block *parsed) {
    fast_parser *parser = memory;
    if (block->length < SHORT_BLOCK) { /* only ever the last block */
        parsed->kind = block->length <= STORED_BLOCK ? BLOCK_STORED : BLOCK_LITERALS;
        return;
    }
    if (parser->origin >= FAST_LAST_ORIGIN)
        renumber(parser, FAST_FIRST_ORIGIN);
    parser->room = room;
    fast_parse p = find_matches(parser, block);
    parser->origin += (uint32_t)block->length;

    size_t tail = p.end - p.emitted;
    memcpy(room.literals + p.literals, bytes_at(&p, p.emitted), tail);
    *parsed = (parsed_block){
        .sequences = room.sequences,
        .count = p.count,
        .literals = room.literals,
        .literal_count = p.literals + tail,
        .tail = tail,
    };
    if (p.count == 0)
        parsed->kind = BLOCK_STORED;
    else if (parsed_tokens(parsed) > block->length - (block->length >> 4))
        /* Matches save less than a sixteenth of the tokens: they are not worth it. */
        parsed->kind = BLOCK_LITERALS;
    else
        parsed->kind = BLOCK_TOKENS;
}

/* ---- Tables -------------------------------------------------------------------------- */

/* As a snapshot: distances from the end of the last block, 0 for entries that no later block
 * can reach. */

/* The distance from the boundary at `origin`, or 0 if that is out of reach from there on. */
static inline uint32_t reachable_distance(uint32_t entry, uint32_t origin) {
    uint32_t distance = origin - entry;
    return distance < FAST_REACH ? distance : 0;
}

static inline uint32_t entry_at_distance(uint32_t distance, uint32_t origin) {
    return distance != 0 ? origin - distance : 0;
}

/* No level looks at an entry's predecessor when the entry itself is out of reach, and what
 * it pushes next makes that entry the predecessor: so both count as nothing. */
static inline entry_pair reachable_pair(entry_pair pair, uint32_t origin) {
    entry_pair distance = {reachable_distance(pair.current, origin), 0};
    if (distance.current != 0)
        distance.previous = reachable_distance(pair.previous, origin);
    return distance;
}

static void tables_save(const void *memory, void *snapshot) {
    const fast_parser *parser = memory;
    uint16_t *distances = snapshot;
    table_sizes sizes = sizes_of(parser->level);
    const entry_pair *pairs = (const entry_pair *)(parser->tables + sizes.singles);

    for (size_t i = 0; i < sizes.singles; i++)
        distances[i] = (uint16_t)reachable_distance(parser->tables[i], parser->origin);
    distances += sizes.singles;
    for (size_t i = 0; i < sizes.pairs; i++) {
        entry_pair pair = reachable_pair(pairs[i], parser->origin);
        distances[2 * i] = (uint16_t)pair.current;
        distances[2 * i + 1] = (uint16_t)pair.previous;
    }
}

/* Count positions from another origin, and forget what is out of reach. */
static void renumber(fast_parser *parser, uint32_t to_origin) {
    table_sizes sizes = sizes_of(parser->level);
    entry_pair *pairs = pairs_of(parser);

    for (size_t i = 0; i < sizes.singles; i++)
        parser->tables[i] =
            entry_at_distance(reachable_distance(parser->tables[i], parser->origin), to_origin);
    for (size_t i = 0; i < sizes.pairs; i++) {
        entry_pair pair = reachable_pair(pairs[i], parser->origin);
        pairs[i].current = entry_at_distance(pair.current, to_origin);
        pairs[i].previous = entry_at_distance(pair.previous, to_origin);
    }
    parser->origin = to_origin;
}

/* ---- The encoders -------------------------------------------------------------------- */

static void coder_init(void *coder, int level) {
    (void)level;
    go127_coder_init(coder, FAST_PENALTY);
}

/* `entries` as table_entries() counts them. At level 1 what a longer warm-up would save in
 * repairs it would cost itself. */
#define FAST_ENCODER(entries, input_kept, warmup, meets)                                         \
    {                                                                                            \
        .block_size = FAST_BLOCK, .history = (input_kept), .warmup_blocks = (warmup),            \
        .meeting = (meets),                                                                      \
        .parser_size = sizeof(fast_parser) + (entries) * sizeof(uint32_t),                       \
        .snapshot_size = (entries) * sizeof(uint16_t), .parser_init = parser_init,               \
        .parse = parse, .save = tables_save,                                                     \
        .coder_size = sizeof(go127_coder), .plan_size = sizeof(block_plan),                      \
        .coder_init = coder_init, .plan = go127_block_plan, .complete = go127_block_complete,    \
        .code = go127_block_code, .end = go127_block_end,                                        \
    }

const block_encoder go127_fast1 = FAST_ENCODER(1 << TABLE_BITS_1, FAST_REACH, 1, MEETING_LATE);
const block_encoder go127_fast2 = FAST_ENCODER(1 << TABLE_BITS_2, FAST_REACH, 2, MEETING_AT_ONCE);
const block_encoder go127_fast3 = FAST_ENCODER(2 << PAIRS_BITS_3, FAST_REACH, 2, MEETING_AT_ONCE);
const block_encoder go127_fast4 =
    FAST_ENCODER((1 << TABLE_BITS_4) + (1 << LONG_BITS_4), FAST_HISTORY_4, 2, MEETING_AT_ONCE);
const block_encoder go127_fast5 =
    FAST_ENCODER((1 << TABLE_BITS_5) + (2 << PAIRS_BITS_5), FAST_REACH, 2, MEETING_AT_ONCE);
const block_encoder go127_fast6 =
    FAST_ENCODER((1 << TABLE_BITS_6) + (2 << PAIRS_BITS_6), FAST_REACH, 2, MEETING_AT_ONCE);
