/* Go 1.27's levels 1 to 6, in order: each block is parsed, then coded. */
#include "encoder.h"
#include "go127_fast.h"

typedef struct {
    go127_coder coder;
    parsed_block parsed;
    block_plan plan;
    sequence sequences[FAST_SEQUENCES];
    uint8_t literals[FAST_BLOCK + FAST_COPY];
} stream_state; /* and the parser behind it */

typedef struct {
    go127_coder_snapshot coder;
    uint16_t distances[];
} stream_snapshot;

static fast_parser *parser_of(const stream_state *state) {
    return (fast_parser *)(uintptr_t)(state + 1);
}

static void init(void *memory, int level) {
    stream_state *state = memory;
    memset(state, 0, sizeof *state);
    go127_coder_init(&state->coder, FAST_PENALTY);
    fast_parser *parser = parser_of(state);
    go127_parser_init(parser, level);
    parser->sequences = state->sequences;
    parser->literals = state->literals;
}

static void encode(void *memory, const block_input *block, bit_writer *out) {
    stream_state *state = memory;
    plain_block plain = {block->data, block->length};
    go127_parse_block(parser_of(state), block, &state->parsed, &state->plan);
    go127_code(&state->coder, &state->plan, &state->parsed, plain, out);
}

static void finish(void *memory, bit_writer *out) {
    stream_state *state = memory;
    go127_code_end(&state->coder, out);
}

static void save(const void *memory, void *snapshot) {
    const stream_state *state = memory;
    stream_snapshot *to = snapshot;
    go127_coder_save(&state->coder, &to->coder);
    go127_tables_save(parser_of(state), to->distances);
}

static void load(void *memory, int level, const void *snapshot, uint64_t position) {
    stream_state *state = memory;
    const stream_snapshot *from = snapshot;
    (void)position; /* blocks know theirs, and nothing else wants to */
    init(memory, level);
    go127_coder_load(&state->coder, FAST_PENALTY, &from->coder);
    go127_tables_load(parser_of(state), from->distances);
}

#define FAST_ENCODER(entries, input_kept)                                                        \
    {                                                                                            \
        .block_size = FAST_BLOCK, .history = (input_kept), .warmup_blocks = 3,                   \
        .state_size = sizeof(stream_state) + sizeof(fast_parser) + (entries) * sizeof(uint32_t),                       \
        .snapshot_size = sizeof(stream_snapshot) + (entries) * sizeof(uint16_t), .init = init,   \
        .encode = encode, .finish = finish, .save = save, .load = load,                          \
    }

/* Singles and twice the pairs, as go127_tables_entries() counts them. */
const block_encoder go127_fast1 = FAST_ENCODER(1 << TABLE_BITS_1, FAST_REACH);
const block_encoder go127_fast2 = FAST_ENCODER(1 << TABLE_BITS_2, FAST_REACH);
const block_encoder go127_fast3 = FAST_ENCODER(2 << PAIRS_BITS_3, FAST_REACH);
const block_encoder go127_fast4 =
    FAST_ENCODER((1 << TABLE_BITS_4) + (1 << LONG_BITS_4), FAST_HISTORY_4);
const block_encoder go127_fast5 =
    FAST_ENCODER((1 << TABLE_BITS_5) + (2 << PAIRS_BITS_5), FAST_REACH);
const block_encoder go127_fast6 =
    FAST_ENCODER((1 << TABLE_BITS_6) + (2 << PAIRS_BITS_6), FAST_REACH);
