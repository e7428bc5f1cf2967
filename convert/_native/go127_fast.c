/* What surrounds the match finders of Go 1.27's levels 1 to 6; see go127_fast.h. */
#include "go127_fast.h"

#include <string.h>

enum {
    SHORT_BLOCK = 128, /* a last block below this is not parsed ... */
    STORED_BLOCK = 32, /* ... and up to this not coded either */
};

/* The size of a level's tables: so many single entries, so many pairs. */
typedef struct {
    size_t singles;
    size_t pairs;
} table_sizes;

#define SINGLES_1 ((size_t)1 << TABLE_BITS_1)
#define SINGLES_2 ((size_t)1 << TABLE_BITS_2)
#define SINGLES_3 0
#define SINGLES_4 (((size_t)1 << TABLE_BITS_4) + ((size_t)1 << LONG_BITS_4))
#define SINGLES_5 ((size_t)1 << TABLE_BITS_5)
#define SINGLES_6 ((size_t)1 << TABLE_BITS_6)
#define PAIRS_1 0
#define PAIRS_2 0
#define PAIRS_3 ((size_t)1 << PAIRS_BITS_3)
#define PAIRS_4 0
#define PAIRS_5 ((size_t)1 << PAIRS_BITS_5)
#define PAIRS_6 ((size_t)1 << PAIRS_BITS_6)

static const table_sizes sizes_of_level[7] = {
    {0, 0},
    {SINGLES_1, PAIRS_1},
    {SINGLES_2, PAIRS_2},
    {SINGLES_3, PAIRS_3},
    {SINGLES_4, PAIRS_4},
    {SINGLES_5, PAIRS_5},
    {SINGLES_6, PAIRS_6},
};

/* A snapshot: distances from the boundary instead of entries; 0 for those out of reach. */
typedef struct {
    go127_coder_snapshot coder;
    uint16_t distances[];
} fast_snapshot;

static table_sizes sizes_of(const fast_state *state) {
    return sizes_of_level[state->level];
}

static entry_pair *pairs_of(fast_state *state) {
    return (entry_pair *)(state->tables + sizes_of(state).singles);
}

/* ---- Coding -------------------------------------------------------------------------- */

static void init(void *memory, int level) {
    fast_state *state = memory;
    state->level = level;
    state->origin = FAST_FIRST_ORIGIN;
    go127_coder_init(&state->coder, FAST_PENALTY);
    table_sizes sizes = sizes_of(state);
    memset(state->tables, 0, (sizes.singles + 2 * sizes.pairs) * sizeof *state->tables);
}

static fast_parse parse(fast_state *state, const block_input *block) {
    switch (state->level) {
    case 1:
        return go127_parse1(state, block);
    case 2:
        return go127_parse2(state, block);
    case 3:
        return go127_parse3(state, block);
    case 4:
        return go127_parse4(state, block);
    case 5:
        return go127_parse5(state, block);
    default:
        return go127_parse6(state, block);
    }
}

static void renumber(fast_state *state, uint32_t to_origin);

static void encode(void *memory, const block_input *block, bit_writer *out) {
    fast_state *state = memory;
    plain_block plain = {block->data, block->length};

    if (block->length <= STORED_BLOCK) {
        go127_code_stored(&state->coder, plain, out);
        return;
    }
    if (block->length < SHORT_BLOCK) {
        go127_code_literals(&state->coder, plain, block->last, out);
        return;
    }
    if (state->origin >= FAST_LAST_ORIGIN)
        renumber(state, FAST_FIRST_ORIGIN);
    fast_parse p = parse(state, block);
    state->origin += (uint32_t)block->length;

    size_t tail = (size_t)(p.length - p.emitted);
    memcpy(state->literals + p.literals, block->data + p.emitted, tail);
    parsed_block parsed = {
        .sequences = state->sequences,
        .count = p.count,
        .literals = state->literals,
        .literal_count = p.literals + tail,
        .tail = tail,
    };
    if (parsed.count == 0)
        go127_code_stored(&state->coder, plain, out);
    else if (parsed_tokens(&parsed) > block->length - (block->length >> 4))
        /* Matches save less than a sixteenth of the tokens: they are not worth it. */
        go127_code_literals(&state->coder, plain, block->last, out);
    else
        go127_code_tokens(&state->coder, &parsed, plain, block->last, out);
}

static void finish(void *memory, bit_writer *out) {
    fast_state *state = memory;
    go127_code_end(&state->coder, out);
}

/* ---- Snapshots ----------------------------------------------------------------------- */

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

static void save(const void *memory, void *snapshot) {
    const fast_state *state = memory;
    fast_snapshot *to = snapshot;
    table_sizes sizes = sizes_of(state);
    const entry_pair *pairs = (const entry_pair *)(state->tables + sizes.singles);
    uint16_t *distance = to->distances;

    go127_coder_save(&state->coder, &to->coder);
    for (size_t i = 0; i < sizes.singles; i++)
        *distance++ = (uint16_t)reachable_distance(state->tables[i], state->origin);
    for (size_t i = 0; i < sizes.pairs; i++) {
        entry_pair pair = reachable_pair(pairs[i], state->origin);
        *distance++ = (uint16_t)pair.current;
        *distance++ = (uint16_t)pair.previous;
    }
}

static void load(void *memory, int level, const void *snapshot, uint64_t position) {
    fast_state *state = memory;
    const fast_snapshot *from = snapshot;
    (void)position; /* all that matters of it is that blocks know theirs */
    state->level = level;
    state->origin = FAST_FIRST_ORIGIN;
    go127_coder_load(&state->coder, FAST_PENALTY, &from->coder);
    table_sizes sizes = sizes_of(state);
    for (size_t i = 0; i < sizes.singles + 2 * sizes.pairs; i++)
        state->tables[i] = entry_at_distance(from->distances[i], state->origin);
}

/* What save() and load() would do to the tables, in place. */
static void renumber(fast_state *state, uint32_t to_origin) {
    table_sizes sizes = sizes_of(state);
    entry_pair *pairs = pairs_of(state);

    for (size_t i = 0; i < sizes.singles; i++)
        state->tables[i] =
            entry_at_distance(reachable_distance(state->tables[i], state->origin), to_origin);
    for (size_t i = 0; i < sizes.pairs; i++) {
        entry_pair pair = reachable_pair(pairs[i], state->origin);
        pairs[i].current = entry_at_distance(pair.current, to_origin);
        pairs[i].previous = entry_at_distance(pair.previous, to_origin);
    }
    state->origin = to_origin;
}

#define FAST_ENCODER(n, input_kept)                                                                          \
    {                                                                                            \
        .block_size = FAST_BLOCK, .history = (input_kept), .warmup_blocks = 3,                     \
        .state_size = sizeof(fast_state) + (SINGLES_##n + 2 * PAIRS_##n) * sizeof(uint32_t),     \
        .snapshot_size =                                                                         \
            sizeof(fast_snapshot) + (SINGLES_##n + 2 * PAIRS_##n) * sizeof(uint16_t),            \
        .init = init, .encode = encode, .finish = finish, .save = save, .load = load,            \
    }

const block_encoder go127_fast1 = FAST_ENCODER(1, FAST_REACH);
const block_encoder go127_fast2 = FAST_ENCODER(2, FAST_REACH);
const block_encoder go127_fast3 = FAST_ENCODER(3, FAST_REACH);
const block_encoder go127_fast4 = FAST_ENCODER(4, FAST_HISTORY_4);
const block_encoder go127_fast5 = FAST_ENCODER(5, FAST_REACH);
const block_encoder go127_fast6 = FAST_ENCODER(6, FAST_REACH);
