/*
 * Go 1.27, levels 1 to 6: everything but the search for matches.
 *
 * Algorithm: blocks of 65,535 bytes are parsed by the level's search (levelN.c). Short last blocks
 * are not parsed.
 *
 * Why the bytes are Go's: the block size, the rules for blocks without a search and for blocks
 * where matches do not pay are those of compress/flate; tokens and their writing are Go's by
 * levelN.c and block_writer.c.
 *
 * In parallel: a parser keeps nothing but its tables, of which entries older than 32 KiB cannot be
 * used. Levels 2 to 6 enter so many positions that nearly all guesses are right at once; level 1
 * enters so few that two parsers can differ for a long time.
 */
#include "go127/fast.h"

#include "go127/block_writer.h"
#include "go127/go127.h"

/* The numbers of single entries and of pairs in the tables of a level. */
typedef struct {
    size_t singles;
    size_t pairs;
} table_sizes;

static table_sizes sizes_of(int level, unsigned more_bits) {
    const size_t one = (size_t)1 << more_bits;
    switch (level) {
    case 1:
        return (table_sizes){one << TABLE_BITS_1, 0};
    case 2:
        return (table_sizes){one << TABLE_BITS_2, 0};
    case 3:
        return (table_sizes){0, one << PAIRS_BITS_3};
    case 4:
        return (table_sizes){(one << TABLE_BITS_4) + (one << LONG_BITS_4), 0};
    default:
        return (table_sizes){one << TABLE_BITS_56, one << PAIRS_BITS_56};
    }
}

static size_t table_entries(int level, unsigned more_bits) {
    table_sizes sizes = sizes_of(level, more_bits);
    return sizes.singles + 2 * sizes.pairs;
}

size_t go127_fast_size(int level, unsigned more_bits) {
    return sizeof(fast_parser) + table_entries(level, more_bits) * sizeof(uint32_t);
}

void go127_fast_init(fast_parser *parser, int level, unsigned more_bits, fast_search *search) {
    parser->level = level;
    parser->more_bits = more_bits;
    parser->search = search;
    parser->origin = FAST_FIRST_ORIGIN;
    parser->history = 0;
    memset(parser->tables, 0, table_entries(level, more_bits) * sizeof(uint32_t));
}

static void parser_init(void *parser, int level) {
    static fast_search *const searches[] = {NULL,         go127_parse1, go127_parse2, go127_parse3,
                                            go127_parse4, go127_parse5, go127_parse6};
    go127_fast_init(parser, level, 0, searches[level]);
}

static entry_pair *pairs_of(fast_parser *parser) {
    return (entry_pair *)(parser->tables + sizes_of(parser->level, parser->more_bits).singles);
}

/* ---- Parsing ------------------------------------------------------------------------- */

static void renumber(fast_parser *parser, uint32_t to_origin);

void go127_fast_parse(fast_parser *parser, const block_input *block, block_buffer buffer,
                      parsed_block *parsed) {
    if (block->length < FAST_SHORT_BLOCK) {
        parsed->kind = block->length <= FAST_STORED_BLOCK ? BLOCK_STORED : BLOCK_LITERALS;
        return;
    }
    if (parser->origin >= FAST_LAST_ORIGIN)
        renumber(parser, FAST_FIRST_ORIGIN);
    parser->buffer = buffer;
    fast_parse p = parser->search(parser, block);
    parser->origin += (uint32_t)block->length;

    size_t tail = p.end - p.emitted;
    memcpy(buffer.literals + p.literals, bytes_at(&p, p.emitted), tail);
    *parsed = (parsed_block){
        .sequences = buffer.sequences,
        .count = p.count,
        .literals = buffer.literals,
        .literal_count = p.literals + tail,
        .tail = tail,
    };
    if (p.count == 0)
        parsed->kind = BLOCK_STORED;
    else if (parsed_tokens(parsed) > block->length - (block->length >> 4))
        /* Matches save less than a sixteenth of the tokens: Go does not use them. */
        parsed->kind = BLOCK_LITERALS;
    else
        parsed->kind = BLOCK_TOKENS;
}

void go127_fast_enter(fast_parser *parser, const uint8_t *data, size_t n, block_buffer buffer) {
    block_input block = {.data = data, .length = n};
    parser->buffer = buffer;
    if (n >= FAST_SHORTEST_ENTERED)
        parser->search(parser, &block);
    parser->origin += (uint32_t)n;
}

static void parse(void *memory, const block_input *block, block_buffer buffer,
                  parsed_block *parsed) {
    fast_parser *parser = memory;
    if (parser->level == 4)
        parser->history = go127_history_before(block);
    go127_fast_parse(parser, block, buffer, parsed);
}

/* ---- Tables -------------------------------------------------------------------------- */

/* A snapshot holds distances from the end of the last block, 0 for entries that no later block
 * can use. */

/* The distance from the boundary at `origin`, or 0 if it is too far from there on. */
static inline uint32_t usable_distance(uint32_t entry, uint32_t origin) {
    uint32_t distance = origin - entry;
    return distance < FAST_MAX_DISTANCE ? distance : 0;
}

static inline uint32_t entry_at_distance(uint32_t distance, uint32_t origin) {
    return distance != 0 ? origin - distance : 0;
}

/* No level reads an entry's predecessor when the entry itself is too far, and the next push()
 * makes that entry the predecessor: so neither can be used. */
static inline entry_pair usable_pair(entry_pair pair, uint32_t origin) {
    entry_pair distance = {usable_distance(pair.current, origin), 0};
    if (distance.current != 0)
        distance.previous = usable_distance(pair.previous, origin);
    return distance;
}

static void tables_save(const void *memory, void *snapshot) {
    const fast_parser *parser = memory;
    uint16_t *distances = snapshot;
    table_sizes sizes = sizes_of(parser->level, parser->more_bits);
    const entry_pair *pairs = (const entry_pair *)(parser->tables + sizes.singles);

    for (size_t i = 0; i < sizes.singles; i++)
        distances[i] = (uint16_t)usable_distance(parser->tables[i], parser->origin);
    distances += sizes.singles;
    for (size_t i = 0; i < sizes.pairs; i++) {
        entry_pair pair = usable_pair(pairs[i], parser->origin);
        distances[2 * i] = (uint16_t)pair.current;
        distances[2 * i + 1] = (uint16_t)pair.previous;
    }
}

/* Count positions from another origin, and drop entries that are too far. */
static void renumber(fast_parser *parser, uint32_t to_origin) {
    table_sizes sizes = sizes_of(parser->level, parser->more_bits);
    entry_pair *pairs = pairs_of(parser);

    for (size_t i = 0; i < sizes.singles; i++)
        parser->tables[i] =
            entry_at_distance(usable_distance(parser->tables[i], parser->origin), to_origin);
    for (size_t i = 0; i < sizes.pairs; i++) {
        entry_pair pair = usable_pair(pairs[i], parser->origin);
        pairs[i].current = entry_at_distance(pair.current, to_origin);
        pairs[i].previous = entry_at_distance(pair.previous, to_origin);
    }
    parser->origin = to_origin;
}

/* ---- The encoders -------------------------------------------------------------------- */

static void writer_init(void *writer, int level) {
    (void)level;
    go127_writer_init(writer, FAST_PENALTY);
}

/* `entries` as table_entries() counts them. At level 1 a longer warm-up would cost what it saves
 * in repairs. */
#define FAST_ENCODER(entries, input_kept, warmup, converges)                                       \
    {                                                                                              \
        .block_size = FAST_BLOCK,                                                                  \
        .history = (input_kept),                                                                   \
        .warmup_blocks = (warmup),                                                                 \
        .convergence = (converges),                                                                \
        .parser_size = sizeof(fast_parser) + (entries) * sizeof(uint32_t),                         \
        .snapshot_size = (entries) * sizeof(uint16_t),                                             \
        .parser_init = parser_init,                                                                \
        .parse = parse,                                                                            \
        .save = tables_save,                                                                       \
        .writer_size = sizeof(go127_writer),                                                       \
        .plan_size = sizeof(block_plan),                                                           \
        .writer_init = writer_init,                                                                \
        .plan = go127_block_plan,                                                                  \
        .complete = go127_block_complete,                                                          \
        .write = go127_block_write,                                                                \
        .end = go127_block_end,                                                                    \
    }

const block_encoder go127_level1 =
    FAST_ENCODER(1 << TABLE_BITS_1, FAST_MAX_DISTANCE, 1, CONVERGES_LATE);
const block_encoder go127_level2 =
    FAST_ENCODER(1 << TABLE_BITS_2, FAST_MAX_DISTANCE, 2, CONVERGES_AT_ONCE);
const block_encoder go127_level3 =
    FAST_ENCODER(2 << PAIRS_BITS_3, FAST_MAX_DISTANCE, 2, CONVERGES_AT_ONCE);
const block_encoder go127_level4 =
    FAST_ENCODER((1 << TABLE_BITS_4) + (1 << LONG_BITS_4), FAST_HISTORY_4, 2, CONVERGES_AT_ONCE);
const block_encoder go127_level5 = FAST_ENCODER((1 << TABLE_BITS_56) + (2 << PAIRS_BITS_56),
                                                FAST_MAX_DISTANCE, 2, CONVERGES_AT_ONCE);
const block_encoder go127_level6 = FAST_ENCODER((1 << TABLE_BITS_56) + (2 << PAIRS_BITS_56),
                                                FAST_MAX_DISTANCE, 2, CONVERGES_AT_ONCE);
