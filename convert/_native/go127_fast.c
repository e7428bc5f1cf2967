/* The parser of Go 1.27's levels 1 to 6 around its match finders; see go127_fast.h. */
#include "go127_fast.h"

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

size_t go127_tables_entries(int level) {
    table_sizes sizes = sizes_of(level);
    return sizes.singles + 2 * sizes.pairs;
}

size_t go127_parser_size(int level) {
    return sizeof(fast_parser) + go127_tables_entries(level) * sizeof(uint32_t);
}

void go127_parser_init(fast_parser *parser, int level) {
    parser->level = level;
    parser->origin = FAST_FIRST_ORIGIN;
    memset(parser->tables, 0, go127_tables_entries(level) * sizeof(uint32_t));
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

void go127_parse_block(fast_parser *parser, const block_input *block, parsed_block *parsed,
                       block_plan *plan) {
    plain_block plain = {block->data, block->length};

    *parsed = (parsed_block){.sequences = parser->sequences, .literals = parser->literals};
    if (block->length <= STORED_BLOCK) {
        go127_plan_stored(plan);
        return;
    }
    if (block->length < SHORT_BLOCK) {
        go127_plan_literals(plan, plain, block->last);
        return;
    }
    if (parser->origin >= FAST_LAST_ORIGIN)
        renumber(parser, FAST_FIRST_ORIGIN);
    fast_parse p = find_matches(parser, block);
    parser->origin += (uint32_t)block->length;

    size_t tail = (size_t)(p.length - p.emitted);
    memcpy(parser->literals + p.literals, block->data + p.emitted, tail);
    parsed->count = p.count;
    parsed->literal_count = p.literals + tail;
    parsed->tail = tail;
    if (plan == NULL)
        return;
    if (parsed->count == 0)
        go127_plan_stored(plan);
    else if (parsed_tokens(parsed) > block->length - (block->length >> 4))
        /* Matches save less than a sixteenth of the tokens: they are not worth it. */
        go127_plan_literals(plan, plain, block->last);
    else
        go127_plan_tokens(plan, parsed, block->last);
}

/* ---- Tables -------------------------------------------------------------------------- */

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

void go127_tables_save(const fast_parser *parser, uint16_t *distances) {
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

void go127_tables_load(fast_parser *parser, const uint16_t *distances) {
    size_t n = go127_tables_entries(parser->level);
    parser->origin = FAST_FIRST_ORIGIN;
    for (size_t i = 0; i < n; i++)
        parser->tables[i] = entry_at_distance(distances[i], parser->origin);
}

/* What saving and loading would do to the tables, in place. */
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
