/* Go 1.27's levels 7 to 9, in order: tokens become a block whenever there are enough. */
#include <string.h>

#include "encoder.h"
#include "go127/chain.h"

typedef struct {
    bit_writer out;
    go127_coder coder;
    block_plan plan;
    int32_t block_start; /* in the window; negative: the window has lost it */
    uint8_t window[CHAIN_WINDOW];
    sequence sequences[CHAIN_BLOCK_TOKENS];
    uint8_t literals[CHAIN_BLOCK_TOKENS + LITERAL_SLACK];
    chain_parser parser;
} stream_state;

static void write_block(void *memory, bool closing) {
    stream_state *state = memory;
    chain_tokens *tokens = &state->parser.tokens;
    parsed_block block = {
        .sequences = tokens->sequences,
        .count = tokens->count,
        .literals = tokens->literals,
        .literal_count = tokens->literal_count,
        .tail = tokens->run,
    };
    plain_block plain = {NULL, 0};
    if (state->block_start >= 0)
        plain = (plain_block){state->window + state->block_start,
                              (size_t)(state->parser.index - state->block_start)};
    go127_plan_tokens(&state->plan, &block, closing);
    go127_code(&state->coder, &state->plan, &block, plain, &state->out);
    state->block_start = state->parser.index;
    tokens->count = tokens->literal_count = tokens->run = 0;
}

static void init(void *memory, int level) {
    stream_state *state = memory;
    memset(state, 0, sizeof *state);
    go127_coder_init(&state->coder, CHAIN_PENALTY);
    go127_chain_init(&state->parser, level);
    state->parser.window = state->window;
    state->parser.tokens.sequences = state->sequences;
    state->parser.tokens.literals = state->literals;
    state->parser.full = CHAIN_BLOCK_TOKENS;
    state->parser.on_full = write_block;
    state->parser.owner = state;
}

static size_t bound(const void *memory, size_t n) {
    (void)memory;
    /* Tokens that wait, each a match at the worst, and two bytes a byte of input. */
    return (size_t)CHAIN_BLOCK_TOKENS * 6 + 2 * (CHAIN_WINDOW + n) +
           (n / CHAIN_BLOCK_TOKENS + 4) * 1024;
}

/* The state keeps the bits that do not fill a byte; output starts afresh in each call. */
static void begin_output(stream_state *state, uint8_t *out) {
    uint64_t word = state->out.word;
    unsigned count = state->out.count;
    bits_resume(&state->out, out, word, count);
}

static size_t end_output(stream_state *state) {
    bits_flush(&state->out);
    return (size_t)(state->out.next - state->out.start);
}

static void move_down(stream_state *state) {
    memcpy(state->window, state->window + CHAIN_HALF, CHAIN_HALF);
    state->block_start =
        state->block_start >= CHAIN_HALF ? state->block_start - CHAIN_HALF : -1;
    go127_chain_move(&state->parser);
}

static size_t write(void *memory, const uint8_t *data, size_t n, uint8_t *out) {
    stream_state *state = memory;
    chain_parser *parser = &state->parser;
    begin_output(state, out);
    while (n > 0) {
        /* A full window waits for more: the last step of a stream is another one. */
        if (parser->end == CHAIN_WINDOW) {
            go127_chain_step(parser, false);
            move_down(state);
        }
        size_t room = (size_t)(CHAIN_WINDOW - parser->end);
        size_t taken = n < room ? n : room;
        memcpy(state->window + parser->end, data, taken);
        parser->end += (int32_t)taken;
        data += taken;
        n -= taken;
    }
    return end_output(state);
}

static size_t finish(void *memory, uint8_t *out) {
    stream_state *state = memory;
    begin_output(state, out);
    go127_chain_step(&state->parser, true);
    if (state->parser.tokens.count + state->parser.tokens.literal_count != 0)
        write_block(state, true);
    go127_code_end(&state->coder, &state->out);
    return end_output(state);
}

const token_encoder go127_chain = {
    .state_size = sizeof(stream_state),
    .init = init,
    .bound = bound,
    .write = write,
    .finish = finish,
};
